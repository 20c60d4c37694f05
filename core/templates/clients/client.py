import asyncio
{%- if guarded %}
import os

import httpx2
{%- else %}
{% endif %}
from mcp import Client
{%- if guarded %}
from mcp.client.streamable_http import streamable_http_client
{%- endif %}

ADDRESS = {{ address }}


async def main() -> None:
{%- if guarded %}
    # To sign a person in, give the HTTP client auth=OAuthClientProvider(...) instead.
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    http = httpx2.AsyncClient(headers=headers, timeout=60)
    transport = streamable_http_client(ADDRESS, http_client=http)
    async with http, Client(transport) as client:
{%- else %}
    async with Client(ADDRESS) as client:
{%- endif %}
        for tool in (await client.list_tools()).tools:
            print(tool.name)
{%- if let Some(sample) = sample %}
        result = await client.call_tool({{ sample.tool }}, {{ sample.arguments }})
        print(result.content)
{%- endif %}


asyncio.run(main())
