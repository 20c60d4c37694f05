// The official TypeScript SDK as a host that listens for changes of the list of tools, or that starts its server itself:
//
//     node listening-client.mjs --sdk v2|v1 --protocol VERSION --endpoint URL --config FILE
//     node listening-client.mjs --sdk v2|v1 --protocol VERSION --command JSON [--library FILE]
//
// Over HTTP it renames the tool `echo_read` in the server's configuration while it listens. Over standard input and
// output it runs the command, a JSON array, calls the tool `echo`, and leaves. With a library, that of
// examples/hello-plugin which the command serves, it calls `greet` instead, and changes what the library says of that
// tool while it listens. Prints one line per claim, and ends with status 1 at the first that does not hold.

import assert from 'node:assert/strict';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

const STATELESS = '2026-07-28';
const PATIENCE = 30_000;

const names = ['sdk', 'protocol', 'endpoint', 'config', 'command', 'library'];
const { values: options } = parseArgs({ options: Object.fromEntries(names.map((name) => [name, { type: 'string' }])) });
const { sdk, protocol, endpoint, config, command, library } = options;

const SDKS = {
  v2: async () => ({
    ...(await import('@modelcontextprotocol/client')),
    ...(await import('@modelcontextprotocol/client/stdio')),
  }),
  v1: async () => ({
    ...(await import('@modelcontextprotocol/sdk/client/index.js')),
    ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
    ...(await import('@modelcontextprotocol/sdk/client/stdio.js')),
  }),
};
const { Client, StreamableHTTPClientTransport, StdioClientTransport } = await SDKS[sdk]();

async function claim(text, check) {
  await check();
  console.log(`  ok  ${text}`);
}

function within(promise, what) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`in vain within ${PATIENCE} ms: ${what}`)), PATIENCE).unref();
  });
  return Promise.race([promise, late]);
}

const listed = async (client) => (await client.listTools()).tools.map(({ name }) => name);

function newClient(onChanged) {
  const versions =
    protocol === STATELESS
      ? { versionNegotiation: { mode: { pin: protocol } } }
      : { versionNegotiation: { mode: 'legacy' }, supportedProtocolVersions: [protocol] };
  const listChanged = onChanged && { tools: { onChanged } };
  return new Client({ name: 'toolgate-interop', version: '1.0.0' }, { ...(sdk === 'v2' && versions), listChanged });
}

async function speaks(client, transport) {
  if (sdk === 'v2') assert.equal(client.getNegotiatedProtocolVersion(), protocol);
  assert.deepEqual(client.getServerCapabilities(), { tools: { listChanged: true } });
  assert.ok(transport);
}

async function listen() {
  const changed = Promise.withResolvers();
  const client = newClient((error, tools) => (error ? changed.reject(error) : changed.resolve(tools)));
  const transport = new StreamableHTTPClientTransport(new URL(endpoint));
  await client.connect(transport);
  await claim(`the client speaks ${protocol} and knows that lists change`, () => speaks(client, transport));
  await claim('the list is the one of the configuration', async () => {
    assert.deepEqual(await listed(client), ['echo_read', 'echo_write']);
  });
  await claim('a live edit of the configuration reaches who listens', async () => {
    const text = await readFile(config, 'utf8');
    await writeFile(`${config}.new`, text.replace('"echo_read"', '"echo_told"'));
    await rename(`${config}.new`, config);
    const tools = await within(changed.promise, 'the notification');
    assert.deepEqual(tools.map(({ name }) => name), ['echo_told', 'echo_write']);
  });
  await claim('the same client calls the tool by its new name', async () => {
    const result = await client.callTool({ name: 'echo_told', arguments: { text: 'hello' } });
    assert.deepEqual(result.structuredContent, { text: 'hello' });
  });
  await client.close();
}

async function start() {
  const [program, ...args] = JSON.parse(command);
  const transport = new StdioClientTransport({ command: program, args });
  const client = newClient(() => {});
  await client.connect(transport);
  const child = transport.pid;
  await claim(`the client speaks ${protocol} over standard input and output`, () => speaks(client, transport));
  await claim('the tool is listed and answers', async () => {
    assert.deepEqual(await listed(client), ['echo']);
    const result = await client.callTool({ name: 'echo', arguments: { text: 'hello' } });
    assert.deepEqual(result.structuredContent, { text: 'hello' });
  });
  await claim('wrong arguments are a result that a model can act on', async () => {
    const result = await client.callTool({ name: 'echo', arguments: { text: 7 } });
    assert.equal(result.isError, true);
    assert.match(result.content[0].text, /\/text/);
  });
  await leaves(client, child);
}

async function startLibrary() {
  const [program, ...args] = JSON.parse(command);
  const transport = new StdioClientTransport({ command: program, args });
  const changed = Promise.withResolvers();
  const client = newClient((error, tools) => (error ? changed.reject(error) : changed.resolve(tools)));
  await client.connect(transport);
  const child = transport.pid;
  const greets = async (name) => {
    const result = await client.callTool({ name: 'greet', arguments: { name } });
    assert.deepEqual([Boolean(result.isError), result.content[0].text], [false, `Hello, ${name}!`]);
  };
  const said = (tools) => tools.map(({ name, description }) => [name, description]);
  await claim(`the client speaks ${protocol} over standard input and output`, () => speaks(client, transport));
  await claim("the library's tool is listed and answers", async () => {
    assert.deepEqual(said((await client.listTools()).tools), [['greet', 'Greet somebody by name.']]);
    await greets('Ann');
  });
  await claim('wrong arguments are a result that a model can act on', async () => {
    const result = await client.callTool({ name: 'greet', arguments: { name: 7 } });
    assert.equal(result.isError, true);
    assert.match(result.content[0].text, /\/name/);
  });
  await claim('a library that is built again reaches who listens', async () => {
    // As a linker does: another file takes the name. The texts are equally long.
    const text = (await readFile(library)).toString('latin1');
    const built = text.replaceAll('Greet somebody by name', 'Salute anybody by name');
    await writeFile(`${library}.new`, built, 'latin1');
    await rename(`${library}.new`, library);
    const tools = await within(changed.promise, 'the notification');
    assert.deepEqual(said(tools), [['greet', 'Salute anybody by name.']]);
    await greets('Bob');
  });
  await leaves(client, child);
}

async function leaves(client, child) {
  await claim('the server ends with its client', async () => {
    const since = Date.now();
    await client.close();
    assert.throws(() => process.kill(child, 0), { code: 'ESRCH' });
    // The SDK sends a signal after two seconds.
    assert.ok(Date.now() - since < 1900, `it took ${Date.now() - since} ms`);
  });
}

try {
  await (library ? startLibrary() : command ? start() : listen());
} catch (error) {
  console.error(error);
  process.exit(1); // a stream may still be open
}
