// Every page that people see, in every light and width, held to axe-core and to itself: no violation, nothing wider than
// the window, nothing that fails to load.
//
//     node pages.mjs BASE [--shots FOLDER] [--pictures FOLDER]
//
// BASE is the address of a server with the `dev` provider. `--pictures` writes the two pictures of the README.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Visitor, holds, withBrowser } from './browser.mjs';

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: { shots: { type: 'string' }, pictures: { type: 'string' } },
});
const base = positionals[0].replace(/\/$/, '');

const VIEWS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  { name: 'light-phone', colorScheme: 'light', viewport: { width: 320, height: 640 } },
  { name: 'dark-phone', colorScheme: 'dark', viewport: { width: 390, height: 844 } },
  { name: 'plain', colorScheme: 'light', viewport: { width: 1280, height: 900 }, javaScriptEnabled: false },
];

/** Each page: its name, how one gets there, and whether it lives without JavaScript. */
const PAGES = [
  { name: 'front', open: (visit) => visit.page.goto(`${base}/`), plain: true },
  { name: 'docs', open: openDocs },
  { name: 'docs-operation', open: openOperation },
  { name: 'docs-refused', open: openRefused },
  { name: 'docs-dialog', open: openDialog },
  { name: 'consent', open: (visit) => visit.page.goto(authorization()), plain: true },
  { name: 'consent-refused', open: (visit) => visit.page.goto(authorization({ client_id: 'nobody' })), plain: true },
  { name: 'mcp', open: (visit) => visit.page.goto(`${base}${mcpPath}`), plain: true },
  { name: 'nowhere', open: (visit) => visit.page.goto(`${base}/web-serch`), plain: true },
  { name: 'no-call', open: (visit) => visit.page.goto(`${base}/api/tools/web-search/echo`), plain: true },
];

const resource = (await (await fetch(`${base}/.well-known/oauth-protected-resource`)).json()).resource;
const mcpPath = new URL(resource).pathname.slice(new URL(base).pathname.replace(/\/$/, '').length);
const client = await register();

await withBrowser(async (browser) => {
  for (const { name: view, ...how } of VIEWS) {
    let looked = 0;
    for (const { name, open, plain } of PAGES) {
      if (how.javaScriptEnabled === false && !plain) continue;
      const visit = await Visitor.at(browser, { shots: options.shots, ...how });
      visit.expectError(/the server responded with a status of 4\d\d/);
      await open(visit);
      const { page } = visit;
      await visit.shoot(`${name}-${view}`, page, { fullPage: true });
      assert.notEqual(await page.title(), '', `${name} has a title`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(wide <= 0, `${name}, ${view}: ${wide} pixels wider than the window`);
      if (how.javaScriptEnabled !== false) {
        const found = await visit.violations();
        assert.ok(found.length === 0, `${name}, ${view}: axe-core finds\n  ${found.join('\n  ')}`);
      }
      await visit.leave();
      looked += 1;
    }
    holds(`${looked} pages, ${view}`);
  }
  if (options.pictures) await takePictures(browser);
});

async function openDocs({ page }) {
  await page.goto(`${base}/docs`);
  await page.locator('.opblock').first().waitFor();
}

async function openOperation(visit) {
  await openDocs(visit);
  await visit.page.locator('.opblock-summary-control').first().click();
  await visit.page.getByRole('button', { name: 'Execute' }).waitFor();
  const schemas = visit.page.getByRole('tab', { name: 'Schema' });
  await schemas.first().click();
}

async function openRefused(visit) {
  await openOperation(visit);
  await visit.page.getByRole('button', { name: 'Execute' }).click();
  await visit.page.locator('.refusal').waitFor();
}

async function openDialog(visit) {
  await openRefused(visit);
  await visit.page.locator('.refusal').getByRole('button').click();
  await visit.page.getByRole('dialog').getByRole('button', { name: 'Authorize' }).waitFor();
}

async function register() {
  const issuer = (await (await fetch(`${base}/.well-known/oauth-authorization-server`)).json()).issuer;
  const response = await fetch(`${base}/oauth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: 'A client with a rather long name, as some have',
      redirect_uris: ['https://client.example/callback'],
      token_endpoint_auth_method: 'none',
    }),
  });
  assert.equal(response.status, 201);
  return { issuer, id: (await response.json()).client_id };
}

function authorization(over = {}) {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: client.id,
    redirect_uri: 'https://client.example/callback',
    code_challenge: createHash('sha256').update(randomBytes(32).toString('base64url')).digest('base64url'),
    code_challenge_method: 'S256',
    state: 'state',
    resource,
    ...over,
  });
  return `${client.issuer}/authorize?${query}`;
}

/** The pictures of the README: the page that a newcomer sees, and the docs with a result. */
async function takePictures(browser) {
  const how = { viewport: { width: 1200, height: 800 }, deviceScaleFactor: 1.5, shots: options.pictures };
  const visit = await Visitor.at(browser, how);
  await visit.page.goto(`${base}/`);
  await visit.shoot('front');
  visit.expectError(/status of 401/);
  await openRefused(visit);
  await visit.page.locator('.opblock.is-open').evaluate((block) => block.scrollIntoView());
  await visit.shoot('docs');
  await visit.leave();
  holds('pictures');
}
