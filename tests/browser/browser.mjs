// A real browser, as a person without a network has it: Chromium, in which every request to another place than this
// machine fails the run, and so does an error in the console that nobody announced. Counts what the person presses.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** How long to wait for what should come at once; a loaded machine takes its time. */
const PATIENCE = 60_000;

const FLAGS = [
  '--no-sandbox', // CI runs as root
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts the browser for as long as `use` runs. */
export async function withBrowser(use) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
  try {
    return await use(browser);
  } finally {
    await browser.close();
  }
}

/** A person at the browser: one profile, with its cookies. */
export class Visitor {
  clicks = 0;
  #expected = [];
  #unexpected = [];

  static async at(browser, { shots, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    context.setDefaultTimeout(PATIENCE);
    const visitor = new Visitor();
    visitor.context = context;
    visitor.shots = shots;
    await context.route('**/*', (route) => visitor.#guard(route));
    context.on('console', (message) => visitor.#heard(message));
    context.on('weberror', (error) => visitor.#unexpected.push(`an exception: ${error.error().message}`));
    visitor.page = await context.newPage();
    return visitor;
  }

  #guard(route) {
    const url = new URL(route.request().url());
    const here = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname) || !url.protocol.startsWith('http');
    if (here) return route.continue();
    this.#unexpected.push(`a request to ${url.origin}`);
    return route.abort();
  }

  #heard(message) {
    if (message.type() !== 'error') return;
    const text = message.text();
    if (!this.#expected.some((pattern) => pattern.test(text))) this.#unexpected.push(text.split('\n').slice(0, 3).join(' '));
  }

  /** From here on such an error in the console is no fault of the page, as a refused call is none. */
  expectError(pattern) {
    this.#expected.push(pattern);
  }

  async click(locator) {
    await locator.click();
    this.clicks += 1;
  }

  /** The window that opens meanwhile. */
  async popupOf(action) {
    const [popup] = await Promise.all([this.context.waitForEvent('page'), action()]);
    await popup.waitForLoadState();
    return popup;
  }

  async shoot(name, page = this.page, options = {}) {
    if (!this.shots) return;
    await mkdir(this.shots, { recursive: true });
    await page.screenshot({ path: join(this.shots, `${name}.png`), ...options });
  }

  /** What axe-core finds on the page, one line a place; none is as it should be. */
  async violations(page = this.page) {
    // Evaluated by the debugger: a strict policy lets no script be added as an element.
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} – ${failureSummary.split('\n').at(-1).trim()}`),
    );
  }

  /** Ends the visit; says what should not have happened. */
  async leave() {
    await this.context.close();
    assert.ok(this.#unexpected.length === 0, `in the browser went wrong:\n  ${this.#unexpected.join('\n  ')}`);
  }
}

/** Prints a claim that holds. */
export function holds(claim) {
  console.log(`  ok  ${claim}`);
}
