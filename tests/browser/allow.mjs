// The browser that a command-line client opens to sign in: a person looks at the page and allows what it asks for.
//
//     node allow.mjs URL

import { Visitor, withBrowser } from './browser.mjs';

await withBrowser(async (browser) => {
  const visitor = await Visitor.at(browser);
  await visitor.page.goto(process.argv.at(-1));
  await visitor.page.getByRole('button', { name: 'Allow' }).click();
  // The client's own page says that it has what it needs.
  await visitor.page.waitForURL((url) => url.searchParams.has('code') || url.pathname.includes('callback'));
  await visitor.page.waitForLoadState();
});
