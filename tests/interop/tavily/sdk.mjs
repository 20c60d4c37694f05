// @tavily/core in the cases of `cases.json`: what a caller of it gets, one JSON line a case.
//
//     node sdk.mjs URL

import { readFileSync } from "node:fs";
import process from "node:process";
import { setTimeout } from "node:timers/promises";

import { tavily } from "@tavily/core";

const [url] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(new URL("cases.json", import.meta.url), "utf8"));

const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

// What the API calls `max_age_hours` elsewhere.
const NAMES = { max_age_hours: "maxHours" };

function options(given) {
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [NAMES[name] ?? camel(name), value]));
}

async function call(client, { tool, arguments: given }) {
  const { query, urls, url: start, input, ...rest } = given;
  switch (tool) {
    case "search":
      return client.search(query, options(rest));
    case "extract":
      return client.extract(urls, options(rest));
    case "crawl":
      return client.crawl(start, options(rest));
    case "research": {
      let answer = await client.research(input, options(rest));
      const deadline = Date.now() + 30_000;
      while (!["completed", "failed"].includes(answer.status) && Date.now() < deadline) {
        await setTimeout(50);
        // Its types promise `requestId`, which it does not give.
        answer = await client.getResearch(answer.requestId ?? answer.request_id);
      }
      return answer;
    }
    default:
      throw new Error(`no tool ${tool}`);
  }
}

for (const each of cases) {
  const client = tavily({ apiKey: `tvly-fault-${each.fault ?? "none"}.js-${each.id}`, apiBaseURL: url });
  let told;
  try {
    told = { value: await call(client, each) };
  } catch (error) {
    const status = error.status ?? error.response?.status ?? error.statusCode;
    told = {
      raised: error.constructor.name,
      text: error.message,
      // What a program can tell errors apart by.
      code: `${error.constructor.name}${status === undefined ? "" : ` ${status}`}`,
    };
  }
  console.log(JSON.stringify({ id: each.id, ...told }));
}
