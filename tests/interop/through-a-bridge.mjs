// A client that knows no HTTP, such as a desktop host: starts a command, speaks over its standard streams, lists and calls:
//
//     node through-a-bridge.mjs '["COMMAND","ARGUMENT"]' TOOL

import assert from 'node:assert/strict';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [command, ...args] = JSON.parse(process.argv[2]);
const tool = process.argv[3];
const transport = new StdioClientTransport({ command, args, env: { ...process.env } });
const client = new Client({ name: 'toolgate-interop', version: '1.0.0' });
await client.connect(transport);
const { tools } = await client.listTools();
assert.ok(tools.some(({ name }) => name === tool), `${tool} is not among ${tools.map(({ name }) => name)}`);
const result = await client.callTool({ name: tool, arguments: { text: 'through a bridge' } });
assert.ok(!result.isError && JSON.stringify(result.content).includes('through a bridge'), JSON.stringify(result));
await client.close();
console.log('  ok  lists and calls through the bridge');
