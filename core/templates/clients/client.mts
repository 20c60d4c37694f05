import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const address = new URL({{ address }});
{%- if guarded %}
const transport = new StreamableHTTPClientTransport(address, {
  // To sign a person in, put an OAuthClientProvider here instead.
  authProvider: { token: async () => process.env.TOKEN },
});
{%- else %}
const transport = new StreamableHTTPClientTransport(address);
{%- endif %}
const client = new Client({ name: "my-program", version: "1.0.0" });
await client.connect(transport);

const { tools } = await client.listTools();
console.log(tools.map((tool) => tool.name).join("\n"));
{% if let Some(sample) = sample %}
const result = await client.callTool({ name: {{ sample.tool }}, arguments: {{ sample.arguments }} });
console.log(JSON.stringify(result.content, null, 2));
{% endif %}
await client.close();
