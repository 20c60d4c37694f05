"""The stand-in for Tavily's API as the official Python SDK sees it.

    pip install tavily-python
    python check.py http://127.0.0.1:PORT

PORT is where `tavily-stand-in` runs without a fault. Further pairs NAME=URL name stand-ins that run with
`--fault NAME`; each is checked for the exception that the SDK makes of it. Exits with 1 on a mismatch.
"""

import asyncio
import sys

import requests
from tavily import AsyncTavilyClient, TavilyClient
from tavily.errors import BadRequestError, ForbiddenError, InvalidAPIKeyError, TavilyKeylessLimitError, UsageLimitExceededError

KEY = "tvly-stand-in"
mismatches = 0


def check(what, found, expected=True):
    global mismatches
    good = found == expected
    mismatches += not good
    print(f"{'ok' if good else 'MISMATCH'}: {what}" + ("" if good else f": {found!r}, expected {expected!r}"))


def raises(what, error, text, call):
    try:
        found = call()
    except error as raised:
        check(what, type(raised) is error and text in str(raised))
    except Exception as raised:  # any other is the mismatch that is reported
        check(what, repr(raised), error.__name__)
    else:
        check(what, found, error.__name__)


FAULTS = {
    "no-auth-header": (InvalidAPIKeyError, "missing or invalid API key"),
    "key-deactivated": (InvalidAPIKeyError, "deactivated"),
    "429-no-header": (UsageLimitExceededError, "excessive requests"),
    "432": (ForbiddenError, "plan's set usage limit"),
    "433": (ForbiddenError, "pay-as-you-go limit"),
    "403": (ForbiddenError, "not supported"),
    "500": (requests.exceptions.HTTPError, "500"),
    "502-html": (requests.exceptions.HTTPError, "502"),
    "422-list-detail": (requests.exceptions.HTTPError, "422"),
    "extract-all-invalid": (BadRequestError, "All URLs failed validation."),
}


def keyed(url):
    client = TavilyClient(KEY, api_base_url=url)
    found = client.search(
        "tokio", max_results=3, topic="news", include_answer=True, include_raw_content="text", include_images=True,
        include_favicon=True, include_usage=True,
    )
    check("search: results", len(found["results"]), 3)
    check("search: query", found["query"], "tokio")
    check("search: answer", "tokio" in found["answer"])
    check("search: usage", found["usage"], {"credits": 1})
    first = found["results"][0]
    missing = [name for name in ("title", "url", "content", "score", "raw_content", "favicon", "id") if not first.get(name)]
    check("search: members of a result", missing, [])
    check("search: default count", len(client.search("x")["results"]), 5)
    check("search: filters", {r["url"].split("/")[2] for r in client.search("x", include_domains=["a.example"])["results"]},
          {"a.example"})
    read = client.extract(["https://a.example/p", "https://fail.example/"], include_images=True)
    check("extract: results", [page["url"] for page in read["results"]], ["https://a.example/p"])
    check("extract: failed", [page["url"] for page in read["failed_results"]], ["https://fail.example/"])
    check("extract: one URL", len(client.extract("https://a.example/p")["results"]), 1)

    raises("400: unknown topic", BadRequestError, "Invalid topic", lambda: client.search("x", topic="sports"))
    raises("400: 21 URLs", BadRequestError, "Max 20 URLs", lambda: client.extract([f"https://a.example/{n}" for n in range(21)]))
    raises("400: no URL", BadRequestError, "All URLs failed validation.", lambda: client.extract("nothing"))
    unknown = TavilyClient("tvly-unknown", api_base_url=url)
    raises("401: unknown key", InvalidAPIKeyError, "missing or invalid API key", lambda: unknown.search("x"))

    keyless = TavilyClient(api_base_url=url)
    check("keyless: search", len(keyless.search("x")["results"]), 5)
    check("keyless: extract", len(keyless.extract("https://a.example/p")["results"]), 1)

    site = client.map("https://a.example", limit=3)
    check("map: pages", site["results"], ["https://a.example/", "https://a.example/page/1", "https://a.example/page/2"])
    pages = client.crawl("https://a.example", limit=2, include_images=True, include_usage=True)
    check("crawl: pages", [page["url"] for page in pages["results"]], ["https://a.example/", "https://a.example/page/1"])
    check("crawl: members of a page", [name for name in ("raw_content", "images") if not pages["results"][0].get(name)], [])
    raises("403: no site", ForbiddenError, "not supported", lambda: client.crawl("ftp://a.example"))
    report = researched(client, client.research("tea", model="mini"))
    check("research: report", "What is known about tea" in report["content"])
    check("research: usage", report["usage"], {"credits": 4})
    check("research: sources", [source["url"] for source in report["sources"]], ["https://blog.example/rt", "https://news.example/1"])
    stream = b"".join(client.research("tea", stream=True)).decode()
    check("research: stream", ("Planning" in stream, "WebSearch" in stream, stream.rstrip().endswith("event: done")), (True,) * 3)
    raises("400: unknown model", BadRequestError, "Invalid model", lambda: client.research("tea", model="ultra"))
    check("feedback", client.feedback(request_id=found["request_id"], agent_score=1)["success"])

    both = asyncio.run(concurrently(url))
    check("async: search and extract", both, (5, 1))


def researched(client, begun):
    """Look until it is done; the stand-in counts looks, not time."""
    for _ in range(10):
        report = client.get_research(begun["request_id"], include_usage=True)
        if report["status"] == "completed":
            break
    return report


async def concurrently(url):
    client = AsyncTavilyClient(KEY, api_base_url=url)
    found, read = await asyncio.gather(client.search("x"), client.extract("https://a.example/p"))
    return len(found["results"]), len(read["results"])


def main(args):
    if not args:
        sys.exit(__doc__)
    for arg in args:
        fault, _, url = arg.rpartition("=")
        if not fault:
            keyed(url)
        elif fault == "keyless-limit":
            raises(f"fault {fault}", TavilyKeylessLimitError, "keyless", lambda: TavilyClient(api_base_url=url).search("x"))
        elif fault in FAULTS:
            error, text = FAULTS[fault]
            raises(f"fault {fault}", error, text, lambda: TavilyClient(KEY, api_base_url=url).search("x"))
        else:
            check(f"fault {fault} is known to this script", False)
    sys.exit(1 if mismatches else 0)


main(sys.argv[1:])
