// What the scripts of the pages do, each claim by itself: copying, filtering, staying fresh; signing in, and the answers to
// it that are refused; the dialog for people without a mouse.
//
//     node scripts.mjs BASE CONFIG [TEXT]
//
// BASE is the address of a server with crowded.toml, CONFIG its file there: it is edited. Only the claims that hold TEXT
// are tried, if there is one.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { Visitor, holds, withBrowser } from './browser.mjs';

const base = process.argv[2].replace(/\/$/, '');
const config = process.argv[3];
const only = process.argv[4] ?? '';
const issuer = (await (await fetch(`${base}/.well-known/oauth-authorization-server`)).json()).issuer;

// === the front page ===

async function copies(visit) {
  const { page, context } = visit;
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.goto(`${base}/`);
  await page.locator('label[for=client-curl]').click();
  for (const id of ['address-text', 'curl-token', 'curl-call', 'curl-list']) {
    const button = page.locator(`button[data-copy=${id}]`);
    await button.click();
    await button.getByText('Copied').waitFor();
    const text = await page.locator(`#${id}`).evaluate((source) => source.textContent);
    assert.notEqual(text, '');
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), text, id);
    assert.equal(await page.locator('#told').textContent(), 'Copied');
  }
}

async function selectsWithoutClipboard(visit) {
  const { page } = visit;
  await page.addInitScript(() => {
    Object.defineProperty(navigator, 'clipboard', { value: undefined });
    document.execCommand = () => false;
  });
  await page.goto(`${base}/`);
  await page.locator('button[data-copy=address-text]').click();
  await page.locator('button[data-copy=address-text]').getByText('Ctrl+C').waitFor();
  assert.equal(await page.evaluate(() => getSelection().toString()), await page.locator('#address-text').textContent());
}

async function filters(visit) {
  const { page } = visit;
  await page.goto(`${base}/`);
  const shown = () => page.locator('#tools .tools > li:visible h3 code').allTextContents();
  const all = await shown();
  const field = page.getByRole('searchbox');
  await field.fill('ECHO two');
  assert.deepEqual(await shown(), ['echo_two']);
  assert.equal(await page.locator('#filtered').textContent(), '1 found');
  await field.fill('there is none');
  assert.deepEqual(await shown(), []);
  assert.equal(await page.locator('#filtered').textContent(), 'Nothing found');
  await field.fill('');
  assert.deepEqual(await shown(), all);
}

async function staysFresh(visit) {
  const { page } = visit;
  const row = (tool) => page.locator('#tools h3 code', { hasText: tool });
  await page.goto(`${base}/`);
  await page.getByRole('searchbox').fill('echo');
  await page.locator('label[for=client-python]').click();
  const again = page.locator('#tools li', { hasText: 'echo_two' }).getByRole('link', { name: 'Try it' });
  await again.focus();
  const before = readFileSync(config, 'utf8');
  try {
    writeFileSync(config, before.replace('name = "echo_one"', 'name = "echo_uno"'));
    await row('echo_uno').waitFor();
    assert.equal(await page.getByText('echo_one').count(), 0);
    assert.equal(await page.getByRole('searchbox').inputValue(), 'echo', 'the filter is kept');
    assert.deepEqual(await page.locator('#tools li:visible h3 code').count(), 3, 'and works on');
    assert.ok(await page.locator('#client-python').isChecked(), 'the choice is kept');
    assert.ok(await again.evaluate((link) => link === document.activeElement), 'the focus is where it was');
  } finally {
    writeFileSync(config, before);
  }
  await row('echo_one').waitFor();
}

/** The server behind a door that can be closed: it itself serves on. */
async function saysThatTheServerIsGone(visit) {
  const { page } = visit;
  let open = true;
  let status = 0;
  const upstream = new URL(base);
  const door = createServer((asked, answer) => {
    if (!open) return answer.destroy();
    if (status) return answer.writeHead(status).end();
    const options = { host: upstream.hostname, port: upstream.port, path: asked.url, method: asked.method };
    asked.pipe(request({ ...options, headers: { ...asked.headers, host: upstream.host } }, (given) => {
      answer.writeHead(given.statusCode, given.headers);
      given.pipe(answer);
    }));
  });
  await new Promise((done) => door.listen(0, '127.0.0.1', done));
  try {
    visit.expectError(/ERR_EMPTY_RESPONSE|ERR_CONNECTION|status of 403/);
    await page.goto(`http://localhost:${door.address().port}/`);
    const gone = page.locator('#gone');
    open = false;
    await gone.getByText('has not answered since').waitFor();
    open = true;
    status = 403;
    await gone.getByText('has answered with an error (403) since').waitFor();
    status = 0;
    await gone.waitFor({ state: 'hidden' });
  } finally {
    door.closeAllConnections();
    door.close();
  }
}

// === signing in ===

async function openDialog({ page }) {
  await page.goto(`${base}/docs`);
  await page.locator('.opblock').first().waitFor();
  await page.locator('.scheme-container .authorize').first().click();
  await page.getByRole('dialog').getByRole('button', { name: 'Authorize' }).first().waitFor();
}

/** The form of a scheme in the open dialog. */
function form(page, scheme) {
  return page.locator('.auth-container').filter({ has: page.locator('h4', { hasText: `${scheme} ` }) });
}

/** Signs in, in the window that opens, which the authorization server then leads `elsewhere` than it would. */
async function answering(visit, elsewhere, scheme = 'oauth2-web-search') {
  const { page, context } = visit;
  await openDialog(visit);
  await context.route(`${issuer}/**`, async (route) => {
    if (route.request().method() !== 'POST' || !route.request().isNavigationRequest()) return route.fallback();
    const response = await route.fetch({ maxRedirects: 0 });
    const location = elsewhere(new URL(response.headers().location)).href;
    return route.fulfill({ response, headers: { ...response.headers(), location } });
  });
  const popup = await visit.popupOf(() => form(page, scheme).getByRole('button', { name: 'Authorize' }).click());
  const asked = new URL(popup.url()).searchParams;
  await popup.getByRole('button', { name: 'Allow' }).click();
  return { popup, asked };
}

const set = (name, value) => (answer) => {
  if (value === null) answer.searchParams.delete(name);
  else answer.searchParams.set(name, value);
  return answer;
};

/** Answers to our question that are not to be believed, and what is said of them. */
const WRONG = {
  'another issuer': [set('iss', 'https://elsewhere.example'), 'not from the authorization server that was asked'],
  'no issuer': [set('iss', null), 'not from the authorization server that was asked'],
  'no code': [set('code', null), 'sent no code'],
  'an error': [set('error', 'invalid_scope'), 'does not give these scopes'],
  'an error of its own words': [
    (answer) => set('error_description', 'Call 555')(set('error', 'Your session has ended')(answer)),
    'for a reason that this page does not know',
  ],
  'an error named like a property': [set('error', 'constructor'), 'for a reason that this page does not know'],
};

async function refuses(visit, [elsewhere, said]) {
  const { page } = visit;
  let tokens = 0;
  page.on('request', (request) => { if (request.url() === `${issuer}/token`) tokens += 1; });
  const { popup } = await answering(visit, elsewhere);
  await page.getByRole('dialog').getByText(said).waitFor();
  if (!popup.isClosed()) await popup.waitForEvent('close');
  assert.equal(tokens, 0, 'no token is asked for');
  assert.equal(await page.getByText('555').count() + await page.getByText('elsewhere').count(), 0, 'no foreign word is shown');
  await page.keyboard.press('Escape');
  assert.ok(await page.locator('.scheme-container .authorize').first().evaluate((button) => button.classList.contains('unlocked')));
}

/** Answers to no question of ours. */
const FOREIGN = {
  'another state': set('state', 'AAAAAAAAAAAAAAAAAAAAAA=='),
  'no state': set('state', null),
  'the time as its state': set('state', Buffer.from(new Date().toString()).toString('base64')),
};

async function ignores(visit, elsewhere) {
  const { page } = visit;
  const { popup, asked } = await answering(visit, elsewhere);
  await popup.getByText('No page is waiting for this answer').waitFor();
  assert.equal(new URL(popup.url()).search, '', 'the code is not in the history');
  assert.equal(await page.locator('.errors').count(), 0, 'nothing is said of it');
  assert.equal(Buffer.from(asked.get('state'), 'base64').length, 16, 'the state is 128 bits');
  assert.ok(await form(page, 'oauth2-web-search').getByRole('button', { name: 'Authorize' }).isVisible());
}

async function signsIn(visit) {
  const { page } = visit;
  const requested = page.waitForRequest(`${issuer}/token`);
  const states = new Set();
  for (let turn = 0; turn < 2; turn += 1) {
    const { asked } = await answering(visit, (answer) => answer);
    states.add(asked.get('state'));
    assert.equal(asked.get('code_challenge_method'), 'S256');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  }
  assert.equal(states.size, 2, 'each sign-in has a state of its own');
  const token = new URLSearchParams((await requested).postData());
  assert.ok(!token.has('client_secret'), 'a public client sends no secret, not even an empty one');
  assert.equal(token.get('resource'), `${base}/web-search/mcp`);
  assert.notEqual(token.get('code_verifier'), null);
  await page.locator('.scheme-container .authorize').first().click();
  await form(page, 'oauth2-web-search').getByRole('button', { name: 'Logout' }).waitFor();
}

/** A token shows the tools that are hidden without it; logging out hides them. */
async function unlocksHidden(visit) {
  const { page } = visit;
  const whisper = page.locator('.opblock-summary-path', { hasText: '/api/tools/quiet/whisper' });
  const echo = page.locator('.opblock-summary-path', { hasText: '/api/tools/web-search/echo_two' });
  await answering(visit, (answer) => answer, 'oauth2-quiet');
  await whisper.waitFor();
  assert.equal(await echo.count(), 1, 'beside what everybody sees');
  await page.locator('.scheme-container .authorize').first().click();
  await form(page, 'oauth2-quiet').getByRole('button', { name: 'Logout' }).click();
  await whisper.waitFor({ state: 'detached' });
  assert.equal(await echo.count(), 1);
}

async function remembersScopes(visit) {
  const { page } = visit;
  await page.route(`${issuer}/token`, async (route) => {
    const answer = await route.fetch();
    const { scope, ...token } = await answer.json();
    assert.notEqual(scope, undefined);
    await route.fulfill({ response: answer, json: token });
  });
  await answering(visit, (answer) => answer);
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  // A server that wants more for the call than was granted.
  const challenge = 'Bearer error="insufficient_scope", scope="quiet:use"';
  await page.route('**/api/tools/web-search/**', (route) =>
    route.fulfill({ status: 403, headers: { 'www-authenticate': challenge }, json: { error: 'insufficient_scope' } }),
  );
  visit.expectError(/status of 403/);
  await page.locator('.opblock-summary-control').first().click();
  await page.getByRole('button', { name: 'Execute' }).click();
  await page.locator('.refusal').getByRole('button').click();
  const ticked = await page.getByRole('dialog').locator('input[type=checkbox]:checked').evaluateAll((all) => all.map((one) => one.dataset.value));
  assert.deepEqual(ticked.sort(), ['quiet:use', 'web-search:read'], 'stepping up keeps what was granted');
}

// === without a mouse ===

async function keepsTheFocus(visit) {
  const { page } = visit;
  await openDialog(visit);
  const inside = () => page.evaluate(() => document.querySelector('.modal-ux').contains(document.activeElement));
  assert.ok(await inside(), 'the dialog has the focus');
  const first = await page.evaluateHandle(() => document.activeElement);
  for (const key of ['Tab', 'Shift+Tab']) {
    let round = 0;
    do {
      await page.keyboard.press(key);
      assert.ok(await inside(), `${key} stays inside`);
      round += 1;
    } while (round < 100 && !(await page.evaluate((first) => document.activeElement === first, first)));
    assert.ok(round > 3 && round < 100, `${key} comes round, after ${round} stops`);
  }
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.waitForFunction(() => document.activeElement.matches('.scheme-container .authorize'));
}

// === all of it ===

const CLAIMS = {
  'what is there to copy comes into the clipboard as it stands there': copies,
  'without a clipboard the text stays selected': selectsWithoutClipboard,
  'the filter leaves the tools that hold all words': filters,
  'an edited configuration shows by itself, and what people have set stays': staysFresh,
  'a server that is gone, or refuses, is told, and so is its return': saysThatTheServerIsGone,
  'a sign-in asks for a token as a public client, for this resource': signsIn,
  'hidden tools show in the documentation for as long as a token reaches them': unlocksHidden,
  'a token without a word of its scopes is taken for what was asked': remembersScopes,
  'the dialog keeps the focus, and Escape closes it': keepsTheFocus,
};
for (const [what, wrong] of Object.entries(WRONG)) {
  CLAIMS[`an answer with ${what} is refused`] = (visit) => refuses(visit, wrong);
}
for (const [what, foreign] of Object.entries(FOREIGN)) {
  CLAIMS[`an answer with ${what} is left alone`] = (visit) => ignores(visit, foreign);
}

await withBrowser(async (browser) => {
  for (const [name, claim] of Object.entries(CLAIMS).filter(([name]) => name.includes(only))) {
    const visit = await Visitor.at(browser);
    await claim(visit);
    await visit.leave();
    holds(name);
  }
});
