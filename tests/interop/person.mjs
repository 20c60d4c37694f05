// A person with a browser, reduced to what a sign-in needs: follows redirects, keeps cookies, reads the form on the
// page, ticks what was asked for (leaves the ticks alone when nothing was) and presses the button that agrees. Knows no
// authorization server: whatever page has one form with plain inputs can be signed in to.

import assert from 'node:assert/strict';

const STEPS = 20;
const REFUSES = /deny|cancel|abort|reject|decline/i;

/** One browser profile: its cookies outlive a sign-in, so that stepping up finds the session again. */
export class Person {
  #cookies = new Map();

  /** What was seen on the way: one entry per form, with the scopes that it offered. */
  forms = [];

  constructor(name = 'alex') {
    this.name = name;
  }

  /** Opens the authorization URL and returns the parameters with which the browser comes back to `redirectUri`. */
  async signIn(authorizationUrl, redirectUri) {
    const wanted = new Set(new URL(authorizationUrl).searchParams.get('scope')?.split(' ') ?? []);
    let request = { url: new URL(authorizationUrl), init: {} };
    for (let step = 0; step < STEPS; step += 1) {
      if (request.url.href.split('?')[0] === redirectUri) return request.url.searchParams;
      const response = await this.#fetch(request);
      if (response.status >= 300 && response.status < 400) {
        const location = response.headers.get('location');
        assert.ok(location, `${request.url.pathname} answered ${response.status} without a location`);
        await response.body?.cancel();
        request = { url: new URL(location, request.url), init: {} };
        continue;
      }
      const page = await response.text();
      assert.equal(response.status, 200, `${request.url.pathname} answered ${response.status}: ${page.slice(0, 600)}`);
      request = this.#fillIn(page, request.url, wanted);
    }
    throw new Error(`no way back to ${redirectUri} after ${STEPS} pages`);
  }

  async #fetch({ url, init }) {
    const origin = url.origin;
    const cookies = [...(this.#cookies.get(origin)?.entries() ?? [])].map(([name, value]) => `${name}=${value}`);
    const headers = { accept: 'text/html', ...init.headers };
    if (cookies.length > 0) headers.cookie = cookies.join('; ');
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) this.#keep(origin, line);
    return response;
  }

  // Paths and expiry are ignored but for deletion: a sign-in is over before they matter.
  #keep(origin, line) {
    const [pair, ...attributes] = line.split(';').map((part) => part.trim());
    const [name, ...value] = pair.split('=');
    const jar = this.#cookies.get(origin) ?? new Map();
    const expires = attributes.find((attribute) => /^expires=/i.test(attribute));
    const past = expires && new Date(expires.slice('expires='.length)) < new Date();
    if (past || attributes.some((attribute) => /^max-age=0$/i.test(attribute))) jar.delete(name);
    else jar.set(name, value.join('='));
    this.#cookies.set(origin, jar);
  }

  #fillIn(page, url, wanted) {
    const form = readForms(page).find(({ method }) => method === 'post');
    assert.ok(form, `no form to fill in at ${url.pathname}: ${page.slice(0, 600)}`);
    const body = new URLSearchParams();
    const offered = [];
    for (const input of form.inputs) {
      const { name, value = '' } = input;
      if (!name || 'disabled' in input) continue;
      switch (input.type) {
        case 'submit':
        case 'button':
          break;
        case 'checkbox':
          offered.push(value || 'on');
          if (wanted.size > 0 ? wanted.has(value) : 'checked' in input) body.append(name, value || 'on');
          break;
        case 'radio':
          if ('checked' in input) body.append(name, value);
          break;
        case 'hidden':
          body.append(name, value);
          break;
        default:
          body.append(name, value || this.name);
      }
    }
    const button = form.buttons.find(({ name, value, text }) => !REFUSES.test(`${name} ${value} ${text}`));
    assert.ok(button, `no button that agrees at ${url.pathname}`);
    if (button.name) body.append(button.name, button.value ?? '');
    this.forms.push({ at: url.pathname, offered, sent: body });
    return {
      url: new URL(form.action || url.href, url),
      init: {
        method: 'POST',
        body,
        headers: { origin: url.origin, 'content-type': 'application/x-www-form-urlencoded' },
      },
    };
  }
}

/** The forms of an HTML page: where they go, their inputs, and the buttons that send them. */
export function readForms(page) {
  return [...page.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gis)].map(([, head, inside]) => {
    const attributes = readAttributes(head);
    const inputs = [...inside.matchAll(/<input\b([^>]*)>/gi)].map(([, text]) => {
      const input = readAttributes(text);
      return { ...input, type: (input.type ?? 'text').toLowerCase() };
    });
    const buttons = [...inside.matchAll(/<button\b([^>]*)>(.*?)<\/button>/gis)]
      .map(([, text, label]) => ({ type: 'submit', ...readAttributes(text), text: label.replace(/<[^>]*>/g, '').trim() }))
      .concat(inputs.filter(({ type }) => type === 'submit').map((input) => ({ ...input, text: input.value ?? '' })))
      .filter(({ type }) => type.toLowerCase() === 'submit');
    return { method: (attributes.method ?? 'get').toLowerCase(), action: attributes.action, inputs, buttons };
  });
}

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", '#39': "'", '#34': '"', '#x27': "'", '#x22': '"' };

function readAttributes(text) {
  const attributes = {};
  for (const [, name, quoted, single, bare] of text.matchAll(/([a-z][\w:-]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/gi)) {
    const value = quoted ?? single ?? bare ?? '';
    attributes[name.toLowerCase()] = value.replace(/&(#?\w+);/g, (whole, entity) => ENTITIES[entity.toLowerCase()] ?? decodeNumber(entity) ?? whole);
  }
  return attributes;
}

function decodeNumber(entity) {
  const found = /^#(?:x([0-9a-f]+)|(\d+))$/i.exec(entity);
  return found ? String.fromCodePoint(found[1] ? parseInt(found[1], 16) : Number(found[2])) : undefined;
}
