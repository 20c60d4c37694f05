import asyncio
import os

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

ADDRESS = "http://localhost:10000/web-search/mcp"


async def main() -> None:
    # To sign a person in, give the HTTP client auth=OAuthClientProvider(...) instead.
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    http = httpx2.AsyncClient(headers=headers, timeout=60)
    transport = streamable_http_client(ADDRESS, http_client=http)
    async with http, Client(transport) as client:
        for tool in (await client.list_tools()).tools:
            print(tool.name)
        result = await client.call_tool("echo", {"text": "text"})
        print(result.content)


asyncio.run(main())
