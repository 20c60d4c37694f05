// A certified authorization server that we did not write (`oidc-provider`), set up for one protected resource:
//
//     node authorization-server.mjs PORT RESOURCE SCOPE...
//
// Dynamic registration, PKCE, resource indicators (RFC 8707) that give JWT access tokens (RFC 9068) for RESOURCE, and
// refresh tokens that rotate. It signs people in with its own login and consent pages, whoever they say they are.
// Prints one line, `ready ISSUER`, when it listens, and ends when its standard input does.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider, { errors } from 'oidc-provider';

const [port, resource, ...scopes] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  jwks: {
    keys: [
      {
        ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
        kid: randomUUID(),
        alg: 'RS256',
        use: 'sig',
      },
    ],
  },
  cookies: { keys: [randomUUID()] },
  scopes: ['openid', 'offline_access'],
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
  // What a client registers with is the scope of its first challenge. A server that held it to that could never step
  // up, so the value is replaced by "anything the resource offers", as RFC 7591 section 3.2.1 allows.
  extraClientMetadata: {
    properties: ['software_id'],
    validator(_ctx, _key, _value, metadata) {
      delete metadata.scope;
    },
  },
  pkce: { required: () => true },
  issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  ttl: { AccessToken: 300, AuthorizationCode: 60, Grant: 3600, Interaction: 600, RefreshToken: 3600, Session: 3600 },
  features: {
    devInteractions: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo(_ctx, indicator) {
        if (indicator !== resource) throw new errors.InvalidTarget();
        return {
          scope: scopes.join(' '),
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'RS256' } },
        };
      },
    },
  },
});

provider.on('server_error', (_ctx, error) => console.error(error));
for (const event of ['authorization.error', 'grant.error', 'registration_create.error']) {
  provider.on(event, (_ctx, error) => console.error(event, error.message, error.error_description ?? ''));
}

const server = provider.listen(Number(port), '127.0.0.1', () => console.log(`ready ${issuer}`));
process.stdin.resume();
process.stdin.on('end', () => {
  server.close();
  server.closeAllConnections();
});
