// Runs a command that may sign in through a browser, as the person in front of it:
//
//     node sign-in.mjs COMMAND…
//
// The command prints the address that it wants opened, and waits on loopback for the browser to come back. Its input
// stays open, its output goes on, and its status is this one's.

import { spawn } from 'node:child_process';
import { Person } from './person.mjs';

const [command, ...rest] = process.argv.slice(2);
const child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
let printed = '';
let opened = false;

async function open(address) {
  const url = new URL(address);
  const back = url.searchParams.get('redirect_uri');
  const answer = await new Person().signIn(url, back);
  const response = await fetch(`${back}?${answer}`);
  if (!response.ok) throw new Error(`the client answered its callback with ${response.status}`);
}

function read(chunk) {
  printed += chunk;
  const address = /https?:\/\/\S+\/authorize\?\S+(?=\s)/.exec(printed)?.[0];
  if (!address || opened) return;
  opened = true;
  open(address).catch((error) => {
    console.error(error);
    child.kill();
  });
}

for (const [stream, out] of [[child.stdout, process.stdout], [child.stderr, process.stderr]]) {
  stream.setEncoding('utf8');
  stream.on('data', (chunk) => {
    out.write(chunk);
    read(chunk);
  });
}
child.on('close', (status) => process.exit(status ?? 1));
