// The stand-in for Tavily's API as the official JavaScript SDK sees it.
//
//     npm install @tavily/core
//     node check.mjs http://127.0.0.1:PORT
//
// PORT is where `tavily-stand-in` runs without a fault. Further pairs NAME=URL name stand-ins that run with
// `--fault NAME`; each is checked for the error that the SDK makes of it. Exits with 1 on a mismatch.
// The SDK is looked up from the working directory, so that it need not be installed beside this file.

import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";

const require = createRequire(join(process.cwd(), "check.mjs"));
const { tavily } = require("@tavily/core");

const KEY = "tvly-stand-in";
let mismatches = 0;

function check(what, found, expected = true) {
  const good = JSON.stringify(found) === JSON.stringify(expected);
  mismatches += good ? 0 : 1;
  console.log(good ? `ok: ${what}` : `MISMATCH: ${what}: ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
}

async function rejects(what, text, call) {
  try {
    check(what, await call(), `an error with ${text}`);
  } catch (error) {
    check(what, error.message.includes(text) || error.message, true);
  }
}

const FAULTS = {
  "no-auth-header": "missing or invalid API key",
  "key-deactivated": "deactivated",
  "429-no-header": "excessive requests",
  "432": "plan's set usage limit",
  "433": "pay-as-you-go limit",
  "403": "not supported",
  "500": "Internal Server Error",
  "extract-all-invalid": "All URLs failed validation.",
};

async function keyed(url) {
  const client = tavily({ apiKey: KEY, apiBaseURL: url });
  const found = await client.search("tokio", {
    maxResults: 3, topic: "news", includeAnswer: true, includeRawContent: "text", includeImages: true,
    includeImageDescriptions: true, includeFavicon: true, includeUsage: true,
  });
  check("search: results", found.results.length, 3);
  check("search: query", found.query, "tokio");
  check("search: answer", found.answer.includes("tokio"));
  check("search: usage", found.usage, { credits: 1 });
  check("search: images", found.images, [{ url: "https://images.example/0.png", description: "Picture 0" }]);
  const [first] = found.results;
  check("search: members of a result",
    ["title", "url", "content", "score", "rawContent", "publishedDate", "favicon"].filter((name) => !first[name]), []);
  check("search: default count", (await client.search("x")).results.length, 5);
  const filtered = await client.search("x", { includeDomains: ["a.example"] });
  check("search: filters", [...new Set(filtered.results.map((result) => new URL(result.url).host))], ["a.example"]);

  const read = await client.extract(["https://a.example/p", "https://fail.example/"], { includeImages: true });
  check("extract: results", read.results.map((page) => page.url), ["https://a.example/p"]);
  check("extract: failed", read.failedResults.map((page) => page.url), ["https://fail.example/"]);

  const site = await client.map("https://a.example", { limit: 2 });
  check("map: pages", site.results, ["https://a.example/", "https://a.example/page/1"]);
  const pages = await client.crawl("https://a.example", { limit: 2 });
  check("crawl: pages", pages.results.map((page) => page.url), ["https://a.example/", "https://a.example/page/1"]);
  check("crawl: text", pages.results.every((page) => (page.rawContent ?? page.raw_content).includes("paragraph")));
  const begun = await client.research("tea", { model: "mini" });
  let report = begun;
  for (let look = 0; report.status !== "completed" && look < 10; look += 1) {
    report = await client.getResearch(begun.requestId ?? begun.request_id, { includeUsage: true });
  }
  check("research: report", report.content.includes("What is known about tea"));
  check("research: usage", report.usage, { credits: 4 });
  const noted = await client.feedback({ requestId: found.requestId, agentScore: 1 });
  check("feedback", noted.success);

  await rejects("400: unknown topic", "Invalid topic", () => client.search("x", { topic: "sports" }));
  await rejects("400: 21 URLs", "Max 20 URLs",
    () => client.extract(Array.from({ length: 21 }, (_, n) => `https://a.example/${n}`)));
  await rejects("400: no URL", "All URLs failed validation.", () => client.extract(["nothing"]));
  await rejects("401: unknown key", "missing or invalid API key",
    () => tavily({ apiKey: "tvly-unknown", apiBaseURL: url }).search("x"));

  const keyless = tavily({ apiBaseURL: url });
  check("keyless: search", (await keyless.search("x")).results.length, 5);
  check("keyless: extract", (await keyless.extract(["https://a.example/p"])).results.length, 1);
}

const args = process.argv.slice(2);
if (args.length === 0) {
  console.error("usage: node check.mjs URL [FAULT=URL ...]");
  process.exit(2);
}
for (const arg of args) {
  const at = arg.indexOf("=");
  const [fault, url] = at < 0 ? ["", arg] : [arg.slice(0, at), arg.slice(at + 1)];
  if (fault === "") {
    await keyed(url);
  } else if (fault === "keyless-limit") {
    await rejects(`fault ${fault}`, "keyless", () => tavily({ apiBaseURL: url }).search("x"));
  } else if (fault in FAULTS) {
    await rejects(`fault ${fault}`, FAULTS[fault], () => tavily({ apiKey: KEY, apiBaseURL: url }).search("x"));
  } else {
    check(`fault ${fault} is known to this script`, false);
  }
}
process.exit(mismatches === 0 ? 0 : 1);
