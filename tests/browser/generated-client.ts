// A program against the types that openapi-typescript makes of the document: it compiles only if the operations, their
// arguments and their results are there, and then calls a tool with a token and without.

import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';
import type { paths } from './toolgate.js';

const client = createClient<paths>({ baseUrl: process.argv[2] });
const headers = { Authorization: `Bearer ${process.env.TOKEN}` };

const { data, error } = await client.POST('/api/tools/web-search/echo', { body: { text: 'hello' }, headers });
assert.equal(error, undefined);
assert.equal(data?.isError, false);
const [block] = data.content;
assert.ok(block?.type === 'text');
const text: string = block.text;
assert.equal(text, 'hello');

const refused = await client.POST('/api/tools/web-search/echo', { body: { text: 'hello' } });
assert.equal(refused.response.status, 401);
const why: string | undefined = refused.error?.error_description;
assert.ok(why);

const { data: catalogue } = await client.GET('/api/tools');
assert.ok(catalogue?.tools.some(({ tool }) => tool === 'echo'));

// What the types refuse does not compile.
// @ts-expect-error a number is no text
void (() => client.POST('/api/tools/web-search/echo', { body: { text: 7 } }));

console.log(`  ok  a generated client calls a tool (${text}) and reads a refusal (${why})`);
