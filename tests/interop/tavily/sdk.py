"""tavily-python in the cases of `cases.json`: what a caller of it gets, one JSON line a case.

    python sdk.py URL
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from tavily import AsyncTavilyClient, TavilyClient

URL = sys.argv[1]
CASES = json.loads((Path(__file__).parent / "cases.json").read_text())


def research(client, arguments):
    answer = client.research(**arguments)
    deadline = time.monotonic() + 30
    while answer.get("status") not in ("completed", "failed") and time.monotonic() < deadline:
        time.sleep(0.05)
        answer = client.get_research(answer["request_id"])
    return answer


def outcome(call):
    try:
        return {"value": call()}
    except Exception as raised:  # whatever a caller meets
        response = getattr(raised, "response", None)
        return {
            "raised": type(raised).__name__,
            "text": str(raised),
            # What a program can tell errors apart by.
            "code": type(raised).__name__ + (f" {response.status_code}" if response is not None else ""),
        }


def tell(case, told):
    print(json.dumps({"id": case, **told}), flush=True)


for case in CASES:
    client = TavilyClient(f"tvly-fault-{case.get('fault', 'none')}.py-{case['id']}", api_base_url=URL)
    arguments = case["arguments"]
    if case["tool"] == "research":
        tell(case["id"], outcome(lambda: research(client, arguments)))
    else:
        tell(case["id"], outcome(lambda: getattr(client, case["tool"])(**arguments)))


async def stream():
    client = AsyncTavilyClient("tvly-fault-no-auth-header.py-async", api_base_url=URL)
    async for _ in await client.research("tea", stream=True):
        pass


# Only this client has it.
tell("async-stream-401", outcome(lambda: asyncio.run(stream())))
