"""Which scenarios of the official conformance suite this server is held to, and why the others wait.

Only what needs no fixture runs: a scenario whose tool, prompt or resource the suite expects its reference server to
offer says nothing about a server that offers others. Every scenario that the suite knows for a revision stands in one
of the two tables; one that stands in neither fails the run, so that an update of the suite is noticed.
"""

import json
import re
import subprocess
from pathlib import Path

# What the suite itself reports when a fixture is missing. A check is excused only with this verdict, and no longer
# once it passes.
UNTESTABLE = "^Not testable: "
NOT_OFFERED = "returned JSON-RPC error -32601"

# revision -> scenario -> {check that needs a fixture: the error it then reports}
REQUIRED: dict[str, dict[str, dict[str, str]]] = {
    "2026-07-28": {
        "server-stateless": {
            "sep-2575-server-rejects-undeclared-capability": UNTESTABLE,  # the tool `test_missing_capability`
            "sep-2575-missing-capability-http-400": UNTESTABLE,  # the same
            "sep-2575-http-server-no-independent-requests-on-stream": UNTESTABLE,  # `test_streaming_elicitation`
            "sep-2575-server-no-log-without-loglevel": UNTESTABLE,  # `test_logging_tool`
            # Warns that no change is told, since it wants `test_trigger_tool_change` to make one; see `listening` in `run`.
        },
        "tools-list": {},
        "dns-rebinding-protection": {},
        "http-header-validation": {},
        "server-sse-multiple-streams": {},
        "input-required-result-unsupported-methods": {},
        "caching": {
            "sep-2549-prompts-list-caching-hints": NOT_OFFERED,  # tools are all that is served so far
            "sep-2549-resources-list-caching-hints": NOT_OFFERED,
            "sep-2549-resources-templates-list-caching-hints": NOT_OFFERED,
        },
    },
    "2025-11-25": {
        "server-initialize": {},
        "server-session-lifecycle": {},
        "ping": {},
        "tools-list": {},
        "dns-rebinding-protection": {},
        "server-sse-multiple-streams": {},
    },
}

# A pattern over scenario names, and what it waits for.
LEFT_OUT = {
    r"tools-call-.*": "fixture tools (`test_simple_text` and its siblings)",
    r"json-schema-2020-12": "the fixture tool `json_schema_2020_12_tool`",
    r"http-custom-header-server-validation": "a fixture tool with `x-mcp-header` arguments",
    r"input-required-result-.*": "fixture tools and a prompt that ask for input",
    r"elicitation-.*": "fixture tools that ask for input",
    r"server-sse-polling": "the fixture tool `test_reconnection`",
    r"resources-.*|sep-2164-resource-not-found": "resources, which are not served yet",
    r"prompts-.*": "prompts, which are not served yet",
    r"completion-complete": "completions, which are not served yet",
    r"logging-set-level": "the logging capability, which is not offered",
    r"tasks-.*": "the tasks extension, which is not offered",
    r"sep-2640-skills-.*": "the skills extension, which is not offered",
}

# For the development authorization server; the suite has no others.
AUTHORIZATION_SCENARIOS = ["authorization-server-metadata-endpoint", "authorization-code-grant"]

SCENARIO_SECONDS = 120


def listed(suite: list[str], kind: str, revision: str) -> list[str]:
    """The names of the suite's scenarios of one kind at one revision."""
    command = [*suite, "list", f"--{kind}", "--spec-version", revision]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SCENARIO_SECONDS)
    return re.findall(r"^\s+- (\S+)", run.stdout, re.MULTILINE)


def undecided(suite: list[str], revision: str) -> list[str]:
    """What is wrong with the tables: scenarios in neither, and listed ones that the suite does not know."""
    known = listed(suite, "server", revision)
    required = REQUIRED[revision]
    found = [f"the suite knows no scenario {name!r} at {revision}" for name in required if name not in known]
    found += [
        f"scenario {name!r} is neither required nor left out at {revision}"
        for name in known
        if name not in required and not any(re.fullmatch(pattern, name) for pattern in LEFT_OUT)
    ]
    return found


def run_scenario(suite: list[str], url: str, revision: str, scenario: str, results: Path) -> tuple[list[str], str]:
    """Runs one scenario; what did not hold, and a line on what did."""
    run = subprocess.run(
        [*suite, "server", "--url", url, "--spec-version", revision, "--scenario", scenario, "-o", str(results)],
        capture_output=True,
        text=True,
        timeout=SCENARIO_SECONDS,
    )
    said = f"status {run.returncode}: {run.stdout[-2000:]}{run.stderr[-2000:]}"
    reports = list(results.glob("*/checks.json"))
    if len(reports) != 1:
        return [f"no report of {scenario}, {said}"], scenario
    excuses = REQUIRED[revision][scenario]
    wrong, line = judge(scenario, reports[0], excuses)
    if run.returncode != 0 and not excuses and not wrong:
        wrong = [f"the suite ended with {said}"]
    return wrong, line


def judge(scenario: str, report: Path, excuses: dict[str, str]) -> tuple[list[str], str]:
    """What a report holds against the server, and a line on what it does not."""
    checks = json.loads(report.read_text())
    wrong, excused, warnings = [], [], []
    for check in checks:
        name, status, message = check["id"], check["status"], check.get("errorMessage") or ""
        excuse = excuses.get(name)
        if status == "FAILURE" and excuse and re.search(excuse, message):
            excused.append(name)
        elif status == "FAILURE":
            wrong.append(f"{name}: {message}")
        elif status == "SUCCESS" and excuse:
            wrong.append(f"{name} passes now; take it off the list of what needs a fixture")
        elif status == "WARNING":
            warnings.append(f"\n      warning  {name}: {message}")
    passed = sum(check["status"] == "SUCCESS" for check in checks)
    if not passed:
        wrong.append(f"no check of {scenario} passed")
    line = f"{scenario}: {passed} checks pass" + (f", {len(excused)} need a fixture" if excused else "")
    return wrong, line + "".join(warnings)
