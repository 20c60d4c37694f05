"""The official Python SDK as a host that listens for changes of the list of tools, or that starts its server itself:

    python listening_client.py --protocol VERSION --endpoint URL --config FILE
    python listening_client.py --protocol VERSION --command JSON [--library FILE]

Over HTTP it renames the tool `echo_read` in the server's configuration while it listens. Over standard input and output
it runs the command, a JSON array, calls the tool `echo`, and leaves. With a library, that of examples/hello-plugin which
the command serves, it calls `greet` instead, and changes what the library says of that tool while it listens. Prints one line per claim, and ends with status 1
at the first that does not hold.
"""

import argparse
import asyncio
import json
import os
import sys
import time
import traceback
from contextlib import contextmanager
from pathlib import Path

from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

STATELESS = "2026-07-28"
PATIENCE = 30


@contextmanager
def claim(text: str):
    """What the lines below it show; printed once they have."""
    yield
    print(f"  ok  {text}", flush=True)


def edit(config: Path) -> None:
    new = config.with_suffix(".new")
    new.write_text(config.read_text().replace('"echo_read"', '"echo_told"'))
    os.replace(new, config)


async def names(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


async def listen(protocol: str, endpoint: str, config: Path) -> None:
    stateless = protocol == STATELESS
    heard = asyncio.Event()

    async def hear(message: object) -> None:
        if getattr(message, "method", None) == "notifications/tools/list_changed":
            heard.set()

    mode = "auto" if stateless else "legacy"
    async with Client(streamable_http_client(endpoint), mode=mode, cache=None, message_handler=hear) as client:
        with claim(f"the client speaks {protocol} and knows that lists change"):
            assert client.protocol_version == protocol, client.protocol_version
            assert client.server_capabilities.tools.list_changed, client.server_capabilities
        with claim("the list is the one of the configuration"):
            assert await names(client) == ["echo_read", "echo_write"]
        with claim("a live edit of the configuration reaches who listens"):
            if stateless:
                async with client.listen(tools_list_changed=True, prompts_list_changed=True) as subscription:
                    assert subscription.honored.tools_list_changed and not subscription.honored.prompts_list_changed
                    edit(config)
                    await asyncio.wait_for(anext(subscription), PATIENCE)
            else:
                edit(config)
                await asyncio.wait_for(heard.wait(), PATIENCE)
            assert await names(client) == ["echo_told", "echo_write"]
        with claim("the same client calls the tool by its new name"):
            result = await client.call_tool("echo_told", {"text": "hello"})
            assert result.structured_content == {"text": "hello"}, result


async def start(protocol: str, command: list[str]) -> None:
    server = stdio_client(StdioServerParameters(command=command[0], args=command[1:]))
    async with Client(server, mode="auto" if protocol == STATELESS else "legacy", cache=None) as client:
        with claim(f"the client speaks {protocol} over standard input and output"):
            assert client.protocol_version == protocol, client.protocol_version
            assert client.server_info.name == "toolgate", client.server_info
        with claim("the tool is listed and answers"):
            assert await names(client) == ["echo"]
            result = await client.call_tool("echo", {"text": "hello"})
            assert result.structured_content == {"text": "hello"}, result
        with claim("wrong arguments are a result that a model can act on"):
            result = await client.call_tool("echo", {"text": 7})
            assert result.is_error and "/text" in result.content[0].text, result
        leaving = time.monotonic()
    with claim("the server ends with its client"):
        # The SDK sends a signal after two seconds.
        assert time.monotonic() - leaving < 1.9, time.monotonic() - leaving


def rebuild(library: Path) -> None:
    """As a linker does: another file takes the name. The texts are equally long."""
    new = library.with_suffix(".new")
    new.write_bytes(library.read_bytes().replace(b"Greet somebody by name", b"Salute anybody by name"))
    os.replace(new, library)


async def start_library(protocol: str, command: list[str], library: Path) -> None:
    stateless = protocol == STATELESS
    heard = asyncio.Event()

    async def hear(message: object) -> None:
        if getattr(message, "method", None) == "notifications/tools/list_changed":
            heard.set()

    async def descriptions() -> list[tuple[str, str | None]]:
        return [(tool.name, tool.description) for tool in (await client.list_tools()).tools]

    async def greet(name: str) -> None:
        result = await client.call_tool("greet", {"name": name})
        assert not result.is_error and result.content[0].text == f"Hello, {name}!", result

    server = stdio_client(StdioServerParameters(command=command[0], args=command[1:]))
    mode = "auto" if stateless else "legacy"
    async with Client(server, mode=mode, cache=None, message_handler=hear) as client:
        with claim(f"the client speaks {protocol} over standard input and output"):
            assert client.protocol_version == protocol, client.protocol_version
        with claim("the library's tool is listed and answers"):
            assert await descriptions() == [("greet", "Greet somebody by name.")], await descriptions()
            await greet("Ann")
        with claim("wrong arguments are a result that a model can act on"):
            result = await client.call_tool("greet", {"name": 7})
            assert result.is_error and "/name" in result.content[0].text, result
        with claim("a library that is built again reaches who listens"):
            if stateless:
                async with client.listen(tools_list_changed=True) as subscription:
                    rebuild(library)
                    await asyncio.wait_for(anext(subscription), PATIENCE)
            else:
                rebuild(library)
                await asyncio.wait_for(heard.wait(), PATIENCE)
            assert await descriptions() == [("greet", "Salute anybody by name.")], await descriptions()
            await greet("Bob")
        leaving = time.monotonic()
    with claim("the server ends with its client"):
        # The SDK sends a signal after two seconds.
        assert time.monotonic() - leaving < 1.9, time.monotonic() - leaving


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--protocol", required=True)
    for name in ("endpoint", "config", "command", "library"):
        parser.add_argument(f"--{name}")
    options = parser.parse_args()
    try:
        if options.library:
            asyncio.run(start_library(options.protocol, json.loads(options.command), Path(options.library)))
        elif options.command:
            asyncio.run(start(options.protocol, json.loads(options.command)))
        else:
            asyncio.run(listen(options.protocol, options.endpoint, Path(options.config)))
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
