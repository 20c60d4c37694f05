// Every page that people see, in every light, width and state, held to axe-core and to itself: no violation, nothing
// wider than the window, nothing that fails to load.
//
//     node pages.mjs BASE [--crowded] [--only TEXT] [--shots FOLDER]
//
// BASE is the address of a server with the `dev` provider: with the configuration as shipped, or with crowded.toml.
// `--only` looks at the pages whose name holds TEXT.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Visitor, holds, withBrowser } from './browser.mjs';

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    crowded: { type: 'boolean' },
    only: { type: 'string', default: '' },
    shots: { type: 'string' },
  },
});
const base = positionals[0].replace(/\/$/, '');
const verifier = randomBytes(32).toString('base64url');
const receiver = `${base}/docs/oauth-receiver.html`;

const VIEWS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  { name: 'light-phone', colorScheme: 'light', viewport: { width: 320, height: 640 } },
  { name: 'dark-phone', colorScheme: 'dark', viewport: { width: 390, height: 844 } },
  { name: 'magnified', colorScheme: 'light', viewport: { width: 640, height: 450 }, deviceScaleFactor: 2 },
  { name: 'plain', colorScheme: 'light', viewport: { width: 1280, height: 900 }, javaScriptEnabled: false },
];

/**
 * Each page: its name, how one gets there, and whether it lives without JavaScript. What `open` yields is looked at by
 * itself: the name of a state, and its page where that is another window.
 */
const SHIPPED = [
  { name: 'front', open: eachClient, plain: true },
  { name: 'docs', open: openDocs },
  { name: 'docs-operation', open: openOperation },
  { name: 'docs-refused', open: openRefused },
  { name: 'docs-dialog', open: openDialog },
  { name: 'docs-declined', open: openDeclined },
  { name: 'docs-authorized', open: openAuthorized },
  { name: 'docs-answers', open: openAnswers },
  { name: 'docs-models', open: openModels },
  { name: 'receiver', open: openReceiver },
  { name: 'consent', open: (visit) => visit.page.goto(authorization()), plain: true },
  { name: 'consent-again', open: openConsentAgain, plain: true },
  { name: 'consent-complaint', open: openComplaints, plain: true },
  { name: 'consent-refused', open: (visit) => visit.page.goto(authorization({ client_id: 'nobody' })), plain: true },
  { name: 'mcp', open: (visit) => visit.page.goto(`${base}${mcpPath}`), plain: true },
  { name: 'nowhere', open: (visit) => visit.page.goto(`${base}/web-serch`), plain: true },
  { name: 'no-call', open: (visit) => visit.page.goto(`${base}/api/tools/web-search/echo`), plain: true },
];
const CROWDED = [
  { name: 'front-degraded', open: openEndpoints, plain: true },
  { name: 'front-filtered', open: openFiltered },
  { name: 'front-gone', open: openGone },
  { name: 'docs-schemes', open: openSchemes },
];

const resource = (await (await fetch(`${base}/.well-known/oauth-protected-resource`)).json()).resource;
const mcpPath = new URL(resource).pathname.slice(new URL(base).pathname.replace(/\/$/, '').length);
const client = await register();
const wanted = (options.crowded ? CROWDED : SHIPPED).filter(({ name }) => name.includes(options.only));

await withBrowser(async (browser) => {
  for (const { name: view, ...how } of VIEWS) {
    const scripted = how.javaScriptEnabled !== false;
    let looked = 0;
    for (const { name, open, plain } of wanted) {
      if (!scripted && !plain) continue;
      const visit = await Visitor.at(browser, { shots: options.shots, ...how });
      visit.expectError(/the server responded with a status of 4\d\d/);
      const opened = open(visit);
      if (!opened[Symbol.asyncIterator]) {
        await opened;
        await look(visit, visit.page, `${name}-${view}`, scripted);
        looked += 1;
      } else {
        for await (const { state, page = visit.page } of opened) {
          await look(visit, page, `${name}-${state}-${view}`, scripted);
          looked += 1;
        }
      }
      await visit.leave();
    }
    holds(`${looked} pages, ${view}`);
  }
});

async function look(visit, page, name, scripted) {
  await visit.shoot(name, page, { fullPage: true });
  assert.notEqual(await page.title(), '', `${name} has a title`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `${name}: ${wide} pixels wider than the window`);
  if (!scripted) return;
  const found = await visit.violations(page);
  assert.ok(found.length === 0, `${name}: axe-core finds\n  ${found.join('\n  ')}`);
}

// === the front page ===

async function* eachClient({ page }) {
  await page.goto(`${base}/`);
  for (const client of await page.locator('input[name=client]').evaluateAll((all) => all.map((one) => one.value))) {
    await page.locator(`label[for=client-${client}]`).click();
    yield { state: client };
  }
}

async function* openEndpoints({ page }) {
  await page.goto(`${base}/`);
  assert.equal(await page.locator('#state-word').textContent(), 'Degraded');
  yield { state: 'first' };
  await page.getByRole('link', { name: 'quiet' }).click();
  await page.getByText('shows when a client has signed in').waitFor();
  yield { state: 'hiding' };
}

async function* openFiltered({ page }) {
  await page.goto(`${base}/`);
  for (const text of ['echo', 'there is none']) {
    await page.getByRole('searchbox').fill(text);
    yield { state: text.replaceAll(' ', '-') };
  }
}

async function openGone(visit) {
  const { page } = visit;
  visit.expectError(/the server responded with a status of 503/);
  await page.goto(`${base}/`);
  await page.route(`${base}/`, (route) => route.fulfill({ status: 503, body: '' }));
  await page.locator('#gone').waitFor();
}

// === the docs ===

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

/** Presses what opens the window to sign in, and decides in it. */
async function decide(visit, decision) {
  const popup = await visit.popupOf(() => visit.page.getByRole('dialog').getByRole('button', { name: 'Authorize' }).first().click());
  await Promise.all([popup.waitForEvent('close'), popup.getByRole('button', { name: decision }).click()]);
}

async function* openDeclined(visit) {
  await openDialog(visit);
  await decide(visit, 'Decline');
  await visit.page.getByText('nothing was allowed').first().waitFor();
  yield { state: 'dialog' };
  await visit.page.keyboard.press('Escape');
  await visit.page.getByRole('dialog').waitFor({ state: 'detached' });
  yield { state: 'page' };
}

async function* openAuthorized(visit) {
  const { page } = visit;
  await openDialog(visit);
  await decide(visit, 'Allow');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  yield { state: 'page' };
  await page.locator('.scheme-container .authorize').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Logout' }).waitFor();
  yield { state: 'dialog' };
}

/** Answers with numbers, and a long one. */
async function* openAnswers({ page }) {
  await page.goto(`${base}/docs`);
  for (const path of ['/api/tools', '/oauth/register']) {
    const block = page.locator('.opblock').filter({ has: page.locator(`.opblock-summary-path`, { hasText: new RegExp(`^${path}$`) }) });
    await block.locator('.opblock-summary-control').click();
    await block.getByRole('button', { name: 'Execute' }).click();
    await block.locator('.live-responses-table .microlight').first().waitFor();
    yield { state: path.slice(1).replace('/', '-') };
    await block.locator('.opblock-summary-control').click();
  }
}

async function* openModels({ page }) {
  await page.goto(`${base}/docs`);
  await page.locator('section.models .models-control').waitFor();
  if (!(await page.locator('section.models.is-open').count())) await page.locator('section.models .models-control').click();
  yield { state: 'closed' };
  for (const more of await page.locator('section.models .json-schema-2020-12-accordion:visible').all()) await more.click();
  yield { state: 'open' };
}

async function openReceiver({ page }) {
  await page.goto(receiver);
  await page.getByText('No page is waiting').waitFor();
}

async function* openSchemes(visit) {
  const { page } = visit;
  await openDocs(visit);
  assert.equal(await page.getByText('/api/tools/quiet/whisper').count(), 0, 'a hidden tool is not shown');
  yield { state: 'nobody' };
  await page.locator('.scheme-container .authorize').first().click();
  await page.getByRole('dialog').getByRole('button', { name: 'Authorize' }).nth(1).waitFor();
  yield { state: 'dialog' };
}

// === signing in ===

async function* openConsentAgain({ page }) {
  const [read, write] = ['web-search:read', 'web-search:write'];
  await page.goto(authorization({ redirect_uri: receiver, scope: read }));
  yield { state: 'first' };
  const [answer] = await Promise.all([
    page.waitForRequest((request) => request.url().startsWith(`${receiver}?`)),
    page.getByRole('button', { name: 'Allow' }).click(),
  ]);
  // What was allowed counts from the first token on.
  const body = { grant_type: 'authorization_code', client_id: client.id, redirect_uri: receiver, code_verifier: verifier };
  const code = new URL(answer.url()).searchParams.get('code');
  assert.equal((await fetch(client.token, { method: 'POST', body: new URLSearchParams({ ...body, code }) })).status, 200);
  await page.goto(authorization({ redirect_uri: receiver, scope: `${read} ${write}` }));
  await page.getByText('it asks for this as well').waitFor();
  yield { state: 'more' };
}

async function* openComplaints({ page }) {
  const allow = async () => {
    await page.locator('form').evaluate((form) => { form.noValidate = true; });
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.getByRole('alert').waitFor();
  };
  await page.goto(authorization());
  for (const scope of await page.getByRole('checkbox').all()) await scope.uncheck();
  await allow();
  yield { state: 'scopes' };
  await page.goto(authorization());
  await page.getByRole('textbox').fill('not a name');
  await allow();
  yield { state: 'user' };
}

async function register() {
  const { issuer, token_endpoint: token } = await (await fetch(`${base}/.well-known/oauth-authorization-server`)).json();
  const response = await fetch(`${base}/oauth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: 'A client with a rather long name, as some have',
      redirect_uris: ['https://client.example/callback', receiver],
      token_endpoint_auth_method: 'none',
    }),
  });
  assert.equal(response.status, 201);
  return { issuer, token, id: (await response.json()).client_id };
}

function authorization(over = {}) {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: client.id,
    redirect_uri: 'https://client.example/callback',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state: 'state',
    resource,
    ...over,
  });
  return `${client.issuer}/authorize?${query}`;
}
