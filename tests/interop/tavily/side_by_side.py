"""Tavily's three official clients and this server in front of the same stand-in, with the same faults: a table.

Owns what is right in each case, by one measure for all, and the words of the table. The plugin's README holds the table
between two comments; `check` fails if it says otherwise, `write` writes it.
"""

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
README = HERE.parents[2] / "plugins" / "tavily" / "README.md"
BEGIN, END = "<!-- side by side: begin -->\n", "<!-- side by side: end -->\n"
CASES = {case["id"]: case for case in json.loads((HERE / "cases.json").read_text())}
CLIENTS = {"py": "tavily-python", "js": "@tavily/core", "mcp": "tavily-mcp", "ours": "toolgate"}
#: A cell of a client that has no such thing.
NOTHING = "–"


class Outcome:
    """What a caller of one client got in one case."""

    def __init__(self, client: str, told: dict, sent: list[dict]) -> None:
        self.client, self.told, self.sent = client, told, sent
        self.text = told.get("text") or ""
        self.all = f"{self.text}\n{json.dumps(told.get('value'), ensure_ascii=False)}\n{json.dumps(told.get('structured'), ensure_ascii=False)}"
        self.code = told.get("code")

    @property
    def failed(self) -> bool:
        """Whether a program can tell that it failed."""
        return "raised" in self.told or "protocol" in self.told or bool(self.told.get("failed"))

    def says(self, *parts: str) -> bool:
        return all(part in self.all for part in parts)

    @property
    def how(self) -> str:
        if "raised" in self.told:
            return f"`{self.told['raised']}`"
        return f"JSON-RPC error {self.told['protocol']}" if "protocol" in self.told else "an error"

    @property
    def body(self) -> dict:
        posts = [request for request in self.sent if request["method"] == "POST"]
        return (posts[0]["body"] or {}) if posts else {}


Judge = Callable[[Outcome], str]


def succeeds(*parts: str, but: str = "incomplete") -> Judge:
    def judge(got: Outcome) -> str:
        if got.failed:
            return f"✗ {got.how}"
        return "✓" if got.says(*parts) else f"✗ {but}"

    return judge


def fails(*parts: str, but: str) -> Judge:
    """A failure that a program sees as one, with these words in it; as a tool's result where there are such."""

    def judge(got: Outcome) -> str:
        if not got.failed:
            return "✗ not marked as an error" if got.says(*parts) else f"✗ {but}"
        if "protocol" in got.told:
            return f"✗ {got.how}"
        return "✓" if got.says(*parts) else f"✗ {but}"

    return judge


def only(clients: str, judge: Judge) -> Judge:
    """A matter of these clients alone."""
    return lambda got: judge(got) if got.client in clients.split() else NOTHING


def refused_before(got: Outcome) -> str:
    if got.sent:
        return "✗ sent all the same"
    return "✓" if got.failed else "✗ no error"


def one_wish_one_field(got: Outcome) -> str:
    odd = [name for name in got.body if name in ("max_age_hours", "max_hours")]
    return f"✗ sends `{odd[0]}`, which is undocumented" if odd else "✓ none" if got.client == "ours" else NOTHING


def defaults(got: Outcome) -> str:
    sent = got.body.get("max_results")
    return "✓" if sent == 7 else f"✗ {sent} instead of 7"


def header_only(got: Outcome) -> str:
    return "✗ in the body as well" if "api_key" in got.body else "✓"


def lower_case(got: Outcome) -> str:
    if got.failed and not got.sent:
        return "✓ refused"
    return "✓" if got.body.get("country") == "united states" else "✗ sent as written"


def contradiction(got: Outcome) -> str:
    return "✓" if got.failed else "✗ drops one in silence"


def marked(got: Outcome) -> str:
    inside = got.text.count("</untrusted-web>") == 0 and "\u202e" not in got.all and "untrusted text" in got.text
    return "✓" if inside and not got.failed else "✗ as it is"


def held(got: Outcome) -> str:
    if got.failed:
        return f"✗ {got.how}"
    shown = json.dumps(got.told.get("value") or (got.told.get("structured") or {}).get("sources") or got.text)
    return "✗ shown" if "elsewhere.test" in shown else "✓ dropped and told"


def bounded(got: Outcome) -> str:
    return "✓" if not got.failed and len(got.text) < 100_000 else "✗ 5 MB"


def steps(got: Outcome) -> str:
    return "✓" if any(message.startswith("Planning") for message in got.told["progress"]) else "✗ none"


def report(got: Outcome) -> str:
    return succeeds("What is known about tea")(got)


def retried(got: Outcome) -> str:
    return "✗ no second try" if got.failed else "✓"


def apart(outcomes: list[Outcome]) -> str:
    codes = {outcome.code for outcome in outcomes}
    if len(codes) == len(outcomes):
        return "✓"
    kinds = " = ".join(sorted({f"`{code}`" for code in codes}))
    return f"✗ {kinds} for all" if len(codes) == 1 else f"✗ {kinds}"


def typed(got: Outcome) -> str:
    return "✓" if got.code == "InvalidAPIKeyError" else f"✗ {got.how}"


# (what is right, the case, how it is judged)
ROWS: list[tuple[str, str, Judge]] = [
    ("a research accepted with 201, as documented", "created-201", report),
    ("the keyless limit on a client with a key says so", "keyless-limit", fails("used up the keyless", but="no words")),
    ("freshness by the hour", "max-age", one_wish_one_field),
    ("async streaming keeps the type of a 401", "async-stream-401", only("py", typed)),
    ("429 with `Retry-After` is waited out", "retry-after-1", retried),
    ("a passing 500 is not noticed", "500-then-200", retried),
    ("a search without its optional members", "missing-search", succeeds("blog.example")),
    ("an extract without its optional members", "missing-extract", succeeds("What stands there", but="text lost")),
    ("`response_time` as a string", "numeric-string", succeeds("blog.example")),
    ("502 with HTML is an error that names it", "502-html", fails("502", but="status lost")),
    ("422 with a list names the field", "422-list", fails("field required", but="words lost")),
    ("a deactivated key is told", "deactivated", fails("deactivated", but="words lost")),
    ("refused URLs are named one by one", "all-invalid", fails("Invalid URL format", but="not named")),
    ("a page that failed is named beside one that was read", "partial", succeeds("What stands there", "fail.example", but="failed page dropped, text `undefined`")),
    ("search results with score, request id and cost", "search", succeeds("0.95", "stand-in-", but="dropped")),
    ("a page of a crawl is whole", "long-crawl", succeeds("And this is the end.", but="cut to 200 characters")),
    ("5 MB of text are cut to a budget", "huge", only("mcp ours", bounded)),
    ("domain filters hold", "off-list", held),
    ("metadata addresses do not leave", "inside", refused_before),
    ("a page that forges marks and hides text is contained", "hostile", only("mcp ours", marked)),
    ("a research comes with its sources", "research", succeeds("https://news.example/1", but="sources dropped")),
    ("the steps of a research are told as progress", "research-steps", only("mcp ours", steps)),
    ("a report that is an object, asked for", "poll-object", succeeds("An object.", but="lost")),
    ("`research_stream_required` is followed", "stream-required", report),
    ("a stream that ends without a blank line", "stream-no-blank", only("mcp ours", report)),
    ("a report that is an object, streamed", "stream-object", only("mcp ours", succeeds("What is known about tea", but="\"completed without content\""))),
    ("an error as data of a stream", "stream-error-data", only("mcp ours", fails("ran aground", but="words lost"))),
    ("an error as an event of a stream", "stream-error-event", only("mcp ours", fails("ran aground", but="words lost"))),
    ("a stream that is cut is an error", "stream-cut", only("mcp ours", fails("before", but="taken for whole"))),
    ("a research that failed is an error", "research-failed", lambda got: fails("failed", but="words lost")(got) if got.client in ("mcp", "ours") else succeeds("failed")(got)),
    ("a research refused with 401", "research-401", fails("API key", but="words lost")),
    ("a research refused with 429", "research-429", fails("", but="words lost")),
    ("defaults fill gaps and never override", "defaults", only("mcp ours", defaults)),
    ("a missing query is refused before it is sent", "no-query", refused_before),
    ("a misspelt argument is refused before it is sent", "unknown-argument", refused_before),
    ("a country in another spelling is not sent as it is", "country", lower_case),
    ("a time range that contradicts dates", "dates", contradiction),
    ("the key is in the header alone", "search", header_only),
]

#: What is expected to be wrong, from the notes on these versions; a client that has mended it is worth a look.
KNOWN = {
    "py": "created-201 keyless-limit max-age async-stream-401".split(),
    "js": "max-age missing-search missing-extract".split(),
    "mcp": """defaults no-query unknown-argument country dates partial search long-crawl research poll-object stream-object
              stream-error-data research-401 research-429 research-failed keyless-limit""".split(),
}


def run(python: Path, node: Path, stand_in: str, ours: str, environment: dict) -> list[list[str]]:
    """Every client through all cases: the table's lines. `ours` is where toolgate serves an endpoint for each case."""
    commands = {
        "py": [python, "-I", HERE / "sdk.py", stand_in],
        "js": [node, HERE / "sdk.mjs", stand_in],
        "mcp": [node, HERE / "mcp.mjs", "tavily-mcp", stand_in],
        "ours": [node, HERE / "mcp.mjs", "toolgate", ours],
    }
    got: dict[str, dict[str, Outcome]] = {}
    for client, command in commands.items():
        _requests(stand_in)
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment, text=True, timeout=600)
        if ran.returncode != 0:
            raise RuntimeError(f"{CLIENTS[client]} ended with status {ran.returncode} in the side by side")
        told = [json.loads(line) for line in ran.stdout.splitlines()]
        sent: dict[str, list[dict]] = {}
        for request in _requests(stand_in):
            sent.setdefault((request["key"] or "").rpartition(f".{client}-")[2], []).append(request)
        got[client] = {each["id"]: Outcome(client, each, sent.get(each["id"], [])) for each in told}
        missing = set(CASES) - set(got[client])
        if missing:
            raise RuntimeError(f"{CLIENTS[client]} says nothing of {', '.join(sorted(missing))}")
    lines = []
    for title, case, judge in ROWS:
        cells = [judge(got[client][case]) if case in got[client] else NOTHING for client in CLIENTS]
        lines.append([title, *cells])
    lines.insert(4, ["403, 432 and 433 are told apart by programs", *(apart([got[c][case] for case in ("403", "432", "433")]) for c in CLIENTS)])
    return lines


def faults_of_ours(lines: list[list[str]]) -> list[str]:
    """The lines in which this server is not right."""
    return [line[0] for line in lines if not line[-1].startswith(("✓", NOTHING))]


def unexpected(lines: list[list[str]]) -> list[str]:
    """What the notes on the official clients say is wrong and is not."""
    titles = {title: line for title, *line in lines}
    found = []
    for column, client in enumerate(("py", "js", "mcp")):
        for case in KNOWN[client]:
            rows = [title for title, of, _ in ROWS if of == case]
            if not any(titles[title][column].startswith("✗") for title in rows):
                found.append(f"{CLIENTS[client]}: {case}")
    return found


def table(lines: list[list[str]]) -> str:
    head = ["right is", *(f"{name} {_version(client)}".strip() for client, name in CLIENTS.items())]
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def kept() -> str:
    """The table in the README."""
    text = README.read_text()
    return text.partition(BEGIN)[2].partition(END)[0]


def write(fresh: str) -> None:
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(f"{before}{BEGIN}{fresh}{END}{rest.partition(END)[2]}")


def config(stand_in: str, port: int, state: Path) -> str:
    """toolgate's configuration: an endpoint and a plugin for each case, with the key that names its fault."""
    sections = [
        f'[server]\nlisten = "127.0.0.1:{port}"\nstate_dir = {json.dumps(str(state))}\n[auth]\nprovider = "none"\n',
        '[scopes."web-search:read"]\ndescription = "Search"\n',
    ]
    for case in CASES.values():
        name = f"case-{case['id']}"
        key = f"tvly-fault-{case.get('fault', 'none')}.ours-{case['id']}"
        settings = {"api_key": key, "api_base_url": stand_in}
        sections.append(f'[endpoints.{name}]\npath = "/{case["id"]}/mcp"\nplugins = ["{name}"]\n')
        sections.append(f'[plugins.{name}]\nbuiltin = "tavily"\n[plugins.{name}.tools]\n"*" = {{ scopes = [] }}\n')
        sections.append(f"[plugins.{name}.settings]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
        if "defaults" in case:
            given = "".join(f"{key} = {json.dumps(value)}\n" for key, value in case["defaults"].items())
            sections.append(f"[plugins.{name}.settings.defaults.search]\n{given}")
    return "\n".join(sections)


def _requests(stand_in: str) -> list[dict]:
    with urllib.request.urlopen(f"{stand_in}/stand-in/requests", timeout=10) as response:
        return json.load(response)


def _version(client: str) -> str:
    locked = {
        "py": (HERE.parent / "requirements.txt", r"^tavily-python==(.+)$"),
        "js": (HERE.parent / "package.json", r'"@tavily/core": "(.+)"'),
        "mcp": (HERE.parent / "package.json", r'"tavily-mcp": "(.+)"'),
    }
    if client not in locked:
        return ""
    path, pattern = locked[client]
    found = re.search(pattern, path.read_text(), re.MULTILINE)
    return found[1] if found else ""


def environment() -> dict:
    """The environment without what would configure a client."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("TAVILY_", "DEFAULT_PARAMETERS"))}
