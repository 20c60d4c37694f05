// The official conformance suite's scenarios for authorization servers, with the person that they ask for:
//
//     node authorization-conformance.mjs ISSUER PORT VERSION RESULTS
//
// Registers a client, starts the suite, opens the address that the suite prints, signs in, and lets the browser come
// back to the suite's own listener on PORT. The suite leaves its reports in the folder RESULTS, and its status is ours.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Person } from './person.mjs';

const [issuer, port, version, results] = process.argv.slice(2);
const redirectUri = `http://127.0.0.1:${port}/callback`;
const { origin, pathname } = new URL(issuer);

const metadata = await (await fetch(`${origin}/.well-known/oauth-authorization-server${pathname.replace(/\/$/, '')}`)).json();
const registration = await fetch(metadata.registration_endpoint, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    client_name: 'conformance suite',
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    application_type: 'native',
  }),
});
if (registration.status !== 201) throw new Error(`registration answered ${registration.status}: ${await registration.text()}`);
const { client_id: clientId } = await registration.json();

const suite = fileURLToPath(new URL('./node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url));
const run = spawn(
  process.execPath,
  [suite, 'authorization', '--url', issuer, '--client-id', clientId, '-p', port, '--spec-version', version, '-o', results],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
const ended = once(run, 'exit');
for await (const line of createInterface({ input: run.stdout })) {
  console.log(`      | ${line}`);
  if (!line.startsWith(`${metadata.authorization_endpoint}?`)) continue;
  try {
    const answer = await new Person().signIn(line, redirectUri);
    await fetch(`${redirectUri}?${answer}`);
  } catch (error) {
    console.error(error);
    run.kill();
  }
}
const [status] = await ended;
process.exitCode = status ?? 1;
