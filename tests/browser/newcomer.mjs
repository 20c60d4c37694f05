// A newcomer at /docs, from the first visit to a result and one step up, with the mouse or with the keyboard alone:
//
//     node newcomer.mjs BASE [--keyboard] [--shots FOLDER] [--pictures FOLDER] [--scheme dark] [--width 390]
//
// BASE is the address of a server with the `dev` provider. FIRST and STEP in the environment are the two operations, as
// "operationId" and the JSON of its arguments: the first is in reach of what one asks for at first, the second is not.
// `--pictures` writes the two pictures of the README: the page that one meets, and the docs with a result.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Visitor, holds, withBrowser } from './browser.mjs';

const MOST_CLICKS = 15;
/** How often Tab is pressed before something counts as out of reach. */
const MOST_STOPS = 400;

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    keyboard: { type: 'boolean' },
    shots: { type: 'string' },
    pictures: { type: 'string' },
    scheme: { type: 'string', default: 'light' },
    width: { type: 'string', default: '1280' },
  },
});
const base = positionals[0].replace(/\/$/, '');
const [first, step] = ['FIRST', 'STEP'].map((name) => {
  const [operation, ...rest] = process.env[name].split(' ');
  return { operation, body: rest.join(' ') };
});

await withBrowser(async (browser) => {
  const visitor = await Visitor.at(browser, {
    shots: options.shots,
    colorScheme: options.scheme,
    viewport: { width: Number(options.width), height: 900 },
    deviceScaleFactor: options.pictures ? 1.5 : 1,
    ignoreHTTPSErrors: true,
  });
  visitor.expectError(/the server responded with a status of 40[13]/);
  const { page } = visitor;
  const press = options.keyboard ? (locator) => pressByKeyboard(visitor, locator) : (locator) => visitor.click(locator);
  const type = async (locator, text) => {
    if (options.keyboard) await reach(locator);
    await locator.fill(text);
  };

  if (options.pictures) {
    await page.goto(`${base}/`);
    await picture('front');
  }
  await page.goto(`${base}/docs`);
  await page.getByRole('heading', { name: 'HTTP API', level: 1 }).waitFor();
  const refused = await call(first);
  assert.equal(refused.status(), 401, 'without a token the call is refused');
  await page.getByText('This call needs a token').first().waitFor();
  await visitor.shoot('docs-401');
  await signIn(first, 'Sign in', async (consent) => {
    const [asked, ticked] = await Promise.all([
      consent.getByRole('checkbox').count(),
      consent.getByRole('checkbox', { checked: true }).count(),
    ]);
    assert.ok(ticked > 0 && ticked === asked, `what is asked for is ticked: ${ticked} of ${asked}`);
    await visitor.shoot('consent', consent);
  });
  const answer = await execute(first);
  assert.equal(answer.status(), 200);
  assert.equal((await answer.json()).isError, false);
  await visitor.shoot('docs-200');
  if (options.pictures) {
    await block(first).locator('.opblock-section-request-body').evaluate((element) => element.scrollIntoView());
    await picture('docs');
  }
  const toResult = visitor.clicks;
  holds(`a result after ${toResult} ${options.keyboard ? 'presses' : 'clicks'}`);

  const short = await call(step);
  assert.equal(short.status(), 403, 'short of a scope the call is refused');
  const needed = /scope="([^"]*)"/.exec(short.headers()['www-authenticate'])[1];
  await block(step).getByText(`This call needs ${needed}`).waitFor();
  await visitor.shoot('docs-403');
  await signIn(step, 'Sign in for these scopes', async (consent) => {
    for (const scope of needed.split(' ')) {
      assert.ok(await consent.locator(`input[type=checkbox][value="${scope}"]`).isChecked(), `${scope} is asked for`);
    }
  });
  const stepped = await execute(step);
  assert.equal(stepped.status(), 200);
  holds(`stepped up after ${visitor.clicks}`);
  const before = await execute(first);
  assert.equal(before.status(), 200, 'what was granted before still is');
  visitor.clicks -= 1; // that was ours, not the newcomer's
  assert.ok(visitor.clicks < MOST_CLICKS, `${visitor.clicks} of fewer than ${MOST_CLICKS}`);
  await visitor.leave();

  function picture(name) {
    return page.screenshot({ path: join(options.pictures, `${name}.png`) });
  }

  function block({ operation }) {
    return page.locator(`.opblock[id$="-${operation}"]`);
  }

  async function call(what) {
    await press(block(what).locator('.opblock-summary-control'));
    if (what.body) await type(block(what).getByRole('textbox', { name: 'Request body' }), what.body);
    return execute(what);
  }

  async function execute(what) {
    const [response] = await Promise.all([
      page.waitForResponse((response) => response.url().includes('/api/tools/') && response.request().method() === 'POST'),
      press(block(what).getByRole('button', { name: 'Execute' })),
    ]);
    await block(what).locator('.live-responses-table').waitFor();
    return response;
  }

  // The dialog, the window that it opens, and back.
  async function signIn(what, label, look) {
    await press(block(what).getByRole('button', { name: label, exact: true }));
    const dialog = page.getByRole('dialog');
    const authorize = dialog.getByRole('button', { name: 'Authorize' });
    await authorize.waitFor();
    await visitor.shoot(`dialog-${what.operation}`);
    const popup = await visitor.popupOf(() => press(authorize));
    await look(popup);
    const closed = popup.waitForEvent('close');
    await press(popup.getByRole('button', { name: 'Allow' }));
    await closed;
    await dialog.waitFor({ state: 'detached' });
    if (options.keyboard) {
      const focused = await page.evaluate(() => document.activeElement.textContent);
      assert.equal(focused, 'Execute', 'the focus is where one goes on');
    }
  }
});

// === by keyboard ===

/** Moves the focus to an element as Tab does, wherever it is on the page. */
async function reach(locator) {
  const page = locator.page();
  const wanted = await locator.elementHandle();
  for (let stop = 0; stop < MOST_STOPS; stop += 1) {
    const there = await page.evaluate((element) => document.activeElement === element, wanted);
    if (there) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab does not lead to ${await locator.textContent()}`);
}

async function pressByKeyboard(visitor, locator) {
  await reach(locator);
  const seen = await locator.evaluate((element) => getComputedStyle(element).outlineStyle);
  assert.notEqual(seen, 'none', `${await locator.textContent()} shows that it has the focus`);
  await locator.page().keyboard.press('Enter');
  visitor.clicks += 1;
}
