import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const address = new URL("http://localhost:10000/web-search/mcp");
const transport = new StreamableHTTPClientTransport(address, {
  // To sign a person in, put an OAuthClientProvider here instead.
  authProvider: { token: async () => process.env.TOKEN },
});
const client = new Client({ name: "my-program", version: "1.0.0" });
await client.connect(transport);

const { tools } = await client.listTools();
console.log(tools.map((tool) => tool.name).join("\n"));

const result = await client.callTool({ name: "echo", arguments: { text: "text" } });
console.log(JSON.stringify(result.content, null, 2));

await client.close();
