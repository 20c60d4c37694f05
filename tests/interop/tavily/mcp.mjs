// An MCP server in the cases of `cases.json`: what a client of it gets, one JSON line a case.
//
//     node mcp.mjs tavily-mcp URL         the official server, over stdio, led to the stand-in at URL
//     node mcp.mjs toolgate ORIGIN        ours, where each case has an endpoint of its own: ORIGIN/CASE/mcp

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [kind, address] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(new URL("cases.json", import.meta.url), "utf8"));

function transport(each) {
  if (kind === "toolgate") {
    return new StreamableHTTPClientTransport(new URL(`${address}/${each.id}/mcp`));
  }
  const env = {
    PATH: process.env.PATH,
    TAVILY_API_KEY: `tvly-fault-${each.fault ?? "none"}.mcp-${each.id}`,
    TAVILY_STAND_IN: address,
  };
  if (each.defaults !== undefined) {
    env.DEFAULT_PARAMETERS = JSON.stringify(each.defaults);
  }
  const preload = new URL("redirect.mjs", import.meta.url).href;
  const server = createRequire(import.meta.url).resolve("tavily-mcp/build/index.js");
  return new StdioClientTransport({
    command: process.execPath,
    args: ["--import", preload, server],
    env,
    cwd: fileURLToPath(new URL(".", import.meta.url)),
    stderr: "ignore",
  });
}

for (const each of cases) {
  const client = new Client({ name: "side-by-side", version: "1" });
  const progress = [];
  let told;
  await client.connect(transport(each));
  try {
    const request = { name: `tavily_${each.tool}`, arguments: each.arguments };
    const onprogress = ({ message }) => progress.push(message ?? "");
    const options = { timeout: 60_000, ...(each.listens ? { onprogress } : {}) };
    const result = await client.callTool(request, undefined, options);
    told = {
      text: result.content.map((block) => block.text ?? "").join("\n"),
      structured: result.structuredContent ?? null,
      failed: result.isError === true,
      code: result.structuredContent?.error?.code ?? (result.isError === true ? "isError" : null),
    };
  } catch (error) {
    told = { protocol: error.code ?? 0, text: error.message, code: `protocol ${error.code}` };
  }
  console.log(JSON.stringify({ id: each.id, progress, ...told }));
  await client.close();
}
