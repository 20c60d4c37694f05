// Preloaded into tavily-mcp, whose address of the API is hard-coded: requests for api.tavily.com go to the stand-in that
// TAVILY_STAND_IN names.

import http from "node:http";
import https from "node:https";
import process from "node:process";

const standIn = new URL(process.env.TAVILY_STAND_IN);

https.request = (first, ...rest) => {
  const given = typeof first === "string" || first instanceof URL ? new URL(first) : first;
  const host = given.hostname ?? given.host;
  if (host !== "api.tavily.com") {
    throw new Error(`a request for ${host}, which is neither Tavily's API nor expected`);
  }
  const elsewhere = given instanceof URL ? { path: given.pathname + given.search } : { ...given };
  Object.assign(elsewhere, { protocol: "http:", hostname: standIn.hostname, host: standIn.hostname, port: standIn.port });
  delete elsewhere.agent;
  delete elsewhere.agents;
  return http.request(elsewhere, ...rest);
};
