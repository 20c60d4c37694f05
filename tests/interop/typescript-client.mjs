// The official TypeScript SDK as an MCP host would use it, from the first refusal to the refreshed token:
//
//     node typescript-client.mjs --sdk v2|v1 --protocol VERSION --endpoint URL --issuer URL
//
// `v2` is @modelcontextprotocol/client, `v1` is @modelcontextprotocol/sdk (sessions only). Everything of OAuth is the
// SDK's own doing; this file stores what it is told to store, signs in as a person, and reads the traffic to see that
// what should have happened did. Prints one line per claim, and ends with status 1 at the first that does not hold.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Person } from './person.mjs';

const READ = 'web-search:read';
const WRITE = 'web-search:write';
const STATELESS = '2026-07-28';
const REDIRECT_URI = 'http://127.0.0.1:9/callback'; // nobody listens: the person hands the parameters over

const { values: options } = parseArgs({
  options: Object.fromEntries(['sdk', 'protocol', 'endpoint', 'issuer'].map((name) => [name, { type: 'string' }])),
});
const { sdk, protocol, endpoint, issuer } = options;
const stateless = protocol === STATELESS;
// The resource identifier ends in no slash, whatever one gives to a client; and the path under which a proxy serves it.
const canonical = endpoint.replace(/\/$/, '');
const prefix = new URL(issuer).pathname.replace('/dev/auth', '').replace(/\/$/, '');

const SDKS = {
  v2: () => import('@modelcontextprotocol/client'),
  v1: async () => ({
    ...(await import('@modelcontextprotocol/sdk/client/index.js')),
    ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
    ...(await import('@modelcontextprotocol/sdk/client/auth.js')),
  }),
};
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = await SDKS[sdk]();

/** Every exchange of the SDK, in order: what the claims below are checked against. */
const traffic = [];

async function observedFetch(url, init = {}) {
  const form = init.body instanceof URLSearchParams ? init.body : undefined;
  const exchange = {
    method: init.method ?? 'GET',
    url: new URL(url),
    form: form && Object.fromEntries(form),
    json: typeof init.body === 'string' ? JSON.parse(init.body) : undefined,
    headers: new Headers(init.headers),
  };
  traffic.push(exchange);
  const response = await fetch(url, init);
  exchange.status = response.status;
  exchange.challenge = response.headers.get('www-authenticate');
  exchange.session = response.headers.get('mcp-session-id');
  return response;
}

/** The host's side of the SDK's OAuth: a store, and a browser that is opened. */
class Store {
  authorizations = [];
  withholdRefreshToken = false;

  get redirectUrl() {
    return REDIRECT_URI;
  }
  get clientMetadata() {
    return {
      client_name: `interop ${sdk}`,
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    };
  }
  state() {
    this.lastState = randomUUID();
    return this.lastState;
  }
  clientInformation() {
    return this.client;
  }
  saveClientInformation(client) {
    this.client = client;
  }
  tokens() {
    if (!this.stored || !this.withholdRefreshToken) return this.stored;
    const { refresh_token: _withheld, ...rest } = this.stored;
    return rest;
  }
  saveTokens(tokens) {
    this.stored = tokens;
  }
  codeVerifier() {
    return this.verifier;
  }
  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }
  discoveryState() {
    return this.discovery;
  }
  saveDiscoveryState(discovery) {
    this.discovery = discovery;
  }
  redirectToAuthorization(url) {
    this.authorizations.push(url);
  }
}

const person = new Person();
const store = new Store();

function newTransport() {
  return new StreamableHTTPClientTransport(new URL(endpoint), { authProvider: store, fetch: observedFetch });
}

function newClient() {
  const versions = stateless
    ? { versionNegotiation: { mode: { pin: protocol } } }
    : { versionNegotiation: { mode: 'legacy' }, supportedProtocolVersions: [protocol] };
  return new Client({ name: 'toolgate-interop', version: '1.0.0' }, sdk === 'v2' ? versions : {});
}

/** Runs what must end at the sign-in page, signs in, and hands the answer to the SDK. */
async function signInAfter(transport, attempt) {
  const before = store.authorizations.length;
  await assert.rejects(attempt, (error) => {
    if (error instanceof UnauthorizedError) return true;
    throw error;
  });
  assert.equal(store.authorizations.length, before + 1, 'the SDK did not send the person to sign in');
  const url = new URL(store.authorizations.at(-1));
  const answer = await person.signIn(url, REDIRECT_URI);
  assert.equal(answer.get('error'), null, `${answer.get('error')}: ${answer.get('error_description')}`);
  assert.equal(answer.get('state'), store.lastState);
  await transport.finishAuth(sdk === 'v2' ? answer : answer.get('code'));
  return url;
}

async function claim(text, check) {
  await check();
  console.log(`  ok  ${text}`);
}

const scopes = (text) => new Set(text?.split(' ') ?? []);
const exchanges = (test) => traffic.filter(test);
const tokenRequests = (grant) => exchanges(({ form }) => form?.grant_type === grant);
const textOf = (result) => result.content?.map(({ text }) => text).join('');

async function echo(client, tool, text) {
  const result = await client.callTool({ name: tool, arguments: { text } });
  assert.ok(!result.isError, JSON.stringify(result));
  assert.ok(textOf(result).includes(text), JSON.stringify(result));
}

async function run() {
  const first = newTransport();
  let authorization;
  await claim('without a token the client is sent to sign in', async () => {
    authorization = await signInAfter(first, newClient().connect(first));
  });
  await claim('the refusal is a 401 that names the metadata and the first scope', () => {
    const [refused] = exchanges(({ url }) => url.href === endpoint);
    assert.equal(refused.status, 401);
    assert.match(refused.challenge, /^Bearer /);
    assert.match(refused.challenge, /resource_metadata="/);
    assert.match(refused.challenge, new RegExp(`scope="${READ}"`));
    assert.doesNotMatch(refused.challenge, /error=/);
  });
  await claim('discovery leads from the resource to its authorization server', () => {
    const found = exchanges(({ url, status }) => url.pathname.includes('/.well-known/') && status === 200);
    const [resource, server] = found.map(({ url }) => url);
    const [refused] = exchanges(({ url }) => url.href === endpoint);
    assert.equal(resource.href, /resource_metadata="([^"]*)"/.exec(refused.challenge)[1]);
    assert.ok(resource.pathname.endsWith(`/oauth-protected-resource${new URL(canonical).pathname.replace(prefix, '')}`));
    assert.equal(server.origin, new URL(issuer).origin);
    assert.match(server.pathname, /\/\.well-known\/(oauth-authorization-server|openid-configuration)/);
    if (sdk === 'v2') assert.equal(store.discovery.authorizationServerMetadata.issuer, issuer);
  });
  await claim('the client registers itself', () => {
    const [registration] = exchanges(({ json }) => json?.redirect_uris);
    assert.equal(registration.status, 201);
    assert.ok(store.client.client_id);
  });
  await claim('the sign-in uses PKCE, the resource, and asks for no more than reading', () => {
    assert.equal(authorization.searchParams.get('code_challenge_method'), 'S256');
    assert.equal(authorization.searchParams.get('resource'), canonical);
    assert.ok(scopes(authorization.searchParams.get('scope')).has(READ));
    assert.ok(!scopes(authorization.searchParams.get('scope')).has(WRITE));
    const [exchange] = tokenRequests('authorization_code');
    assert.equal(exchange.status, 200);
    assert.ok(exchange.form.code_verifier);
    assert.equal(exchange.form.resource, canonical);
    assert.ok(scopes(store.stored.scope).has(READ));
    assert.ok(!scopes(store.stored.scope).has(WRITE));
    assert.ok(person.forms.length > 0, 'nobody was asked for consent');
  });

  const client = newClient();
  const transport = newTransport();
  await claim(`the client speaks ${protocol}`, async () => {
    await client.connect(transport);
    const used = exchanges(({ url, status }) => url.href === endpoint && status === 200).at(-1);
    if (sdk === 'v2') assert.equal(client.getNegotiatedProtocolVersion(), protocol);
    else assert.equal(transport.protocolVersion, protocol);
    if (stateless) assert.equal(used.headers.get('mcp-protocol-version'), protocol);
    assert.ok(client.getServerVersion()?.name);
  });
  const session = transport.sessionId;
  await claim(stateless ? 'no session is made' : 'a session is made', () => {
    if (stateless) assert.deepEqual(exchanges((exchange) => exchange.session), []);
    else assert.match(session, /^[\x21-\x7e]+$/);
  });
  await claim('the list names both tools and what each requires', async () => {
    const { tools } = await client.listTools();
    const requirements = Object.fromEntries(tools.map(({ name, _meta }) => [name, _meta?.securitySchemes]));
    assert.deepEqual(requirements, {
      echo_read: [{ type: 'oauth2', scopes: [READ] }],
      echo_write: [{ type: 'oauth2', scopes: [WRITE] }],
    });
  });
  await claim('a tool that needs reading answers', () => echo(client, 'echo_read', 'hello'));

  await claim('a tool that needs writing makes the client step up', async () => {
    // SDK 1.x answers the challenge with a refresh, which cannot widen a grant (RFC 6749 section 6), unless its host
    // gives it no refresh token.
    store.withholdRefreshToken = sdk === 'v1';
    const url = await signInAfter(transport, client.callTool({ name: 'echo_write', arguments: { text: 'hello' } }));
    store.withholdRefreshToken = false;
    assert.ok(scopes(url.searchParams.get('scope')).has(WRITE));
    const refused = exchanges(({ status }) => status === 403);
    assert.equal(refused.length, 1);
    assert.match(refused[0].challenge, /error="insufficient_scope"/);
    assert.match(refused[0].challenge, new RegExp(`scope="${WRITE}"`));
    assert.match(refused[0].challenge, /resource_metadata="/);
    assert.equal(exchanges(({ json }) => json?.redirect_uris).length, 1, 'registered again');
  });
  await claim('the same client then calls it', async () => {
    assert.ok(scopes(store.stored.scope).has(WRITE));
    await echo(client, 'echo_write', 'written');
    await echo(client, 'echo_read', 'still read');
    assert.equal(transport.sessionId, session);
  });

  await claim('a token that is no longer accepted is refreshed without a sign-in', async () => {
    const before = { ...store.stored };
    assert.ok(before.refresh_token, 'no refresh token was issued');
    assert.equal(tokenRequests('refresh_token').length, 0);
    store.stored = { ...before, access_token: spoil(before.access_token) };
    const from = traffic.length;
    await echo(client, 'echo_write', 'refreshed');
    const [refused] = traffic.slice(from);
    assert.equal(refused.status, 401);
    assert.match(refused.challenge, /error="invalid_token"/);
    const [refresh, ...more] = tokenRequests('refresh_token');
    assert.deepEqual(more, []);
    assert.equal(refresh.status, 200);
    assert.equal(refresh.form.refresh_token, before.refresh_token);
    assert.notEqual(store.stored.access_token, before.access_token);
    assert.notEqual(store.stored.refresh_token, before.refresh_token, 'the refresh token was not rotated');
    assert.equal(store.authorizations.length, 2);
    assert.equal(transport.sessionId, session);
  });

  if (!stateless) {
    await claim('the session ends when the client says so', async () => {
      await transport.terminateSession();
      const ended = exchanges(({ method }) => method === 'DELETE').at(-1);
      assert.ok(ended.status >= 200 && ended.status < 300, `DELETE answered ${ended.status}`);
      const late = await observedFetch(endpoint, {
        method: 'POST',
        headers: {
          accept: 'application/json, text/event-stream',
          authorization: `Bearer ${store.stored.access_token}`,
          'content-type': 'application/json',
          'mcp-protocol-version': protocol,
          'mcp-session-id': session,
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 'late', method: 'tools/list' }),
      });
      assert.equal(late.status, 404);
    });
  }
  await client.close();
}

/** The token with one character of its signature changed: still a JWT, no longer one of the issuer's. */
function spoil(token) {
  const at = token.length - 10;
  return token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
}

function describe({ method, url, status, form, json, challenge }) {
  const what = form?.grant_type ?? json?.method ?? '';
  return `      ${status} ${method} ${url.pathname} ${what}${challenge ? ` [${challenge}]` : ''}`;
}

try {
  await run();
} catch (error) {
  console.error(error);
  console.error(['      the last exchanges:', ...traffic.slice(-20).map(describe)].join('\n'));
  process.exit(1); // a session's stream may still be open
}
