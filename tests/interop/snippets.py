"""What the front page has to copy, taken from the page that the server serves and run as people run it.

A snippet is run as it stands, by a shell; only what `npx` would fetch comes from the lock file instead of the registry.
"""

import os
import subprocess
import urllib.request
from html.parser import HTMLParser
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"

# `npx -y [-p PACKAGE] COMMAND …`: the command as the lock file has it.
NPX = """#!/bin/sh
while :; do
  case $1 in
    -y) shift ;;
    -p) shift 2 ;;
    *) break ;;
  esac
done
command=$1
shift
case $command in
  @modelcontextprotocol/inspector@latest) command=mcp-inspector ;;
  mcp-remote@latest) command=mcp-remote ;;
esac
exec "{node}" "{modules}/.bin/$command" "$@"
"""


class Wrong(Exception):
    """A snippet that is not there, or that does not do what it is there for."""


class _Reader(HTMLParser):
    """Reads the text of every `code` that has an id."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._id: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "code" and (name := dict(attrs).get("id")):
            self._id = name
            self.found[name] = ""

    def handle_data(self, data: str) -> None:
        if self._id:
            self.found[self._id] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "code":
            self._id = None


class Page:
    """The snippets of one server's front page, and a desk to run them at: a folder with the server's configuration."""

    def __init__(self, url: str, folder: Path, binary: Path, node: Path, python: Path) -> None:
        request = urllib.request.Request(url, headers={"Accept": "text/html"})
        with urllib.request.urlopen(request, timeout=10) as response:
            reader = _Reader()
            reader.feed(response.read().decode())
        self.snippets = reader.found
        self.folder = folder
        tools = folder / "bin"
        tools.mkdir(exist_ok=True)
        # Not links: Python finds its packages beside where it was started.
        started = {"node": node, "python": python, "toolgate": binary}
        programs = {name: f'#!/bin/sh\nexec "{path}" "$@"\n' for name, path in started.items()}
        programs["npx"] = NPX.format(node=node, modules=MODULES)
        for name, text in programs.items():
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        if not (folder / "node_modules").exists():
            (folder / "node_modules").symlink_to(MODULES)
        # Whoever wants to open a browser is told that it is open.
        path = os.pathsep.join([str(tools), os.environ.get("PATH", "")])
        self.environment = {"PATH": path, "HOME": str(folder), "BROWSER": "true", "NO_PROXY": "127.0.0.1,localhost"}

    def text(self, name: str) -> str:
        if name not in self.snippets:
            raise Wrong(f"the page has no snippet {name}; it has {', '.join(self.snippets)}")
        return self.snippets[name]

    def file(self, name: str, path: str) -> None:
        """Puts a snippet into the file that it is for."""
        (self.folder / path).write_text(self.text(name))

    def script(self, *names: str) -> str:
        """Snippets one after another."""
        return "\n".join(self.text(name) for name in names)

    def run(self, *names: str, holds: str, seconds: float = 60) -> None:
        """Runs snippets in one shell; what they print must hold a text."""
        shell = ["sh", "-e", "-c", self.script(*names)]
        ran = subprocess.run(
            shell, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=seconds,
        )  # fmt: skip
        if ran.returncode != 0 or holds not in ran.stdout:
            raise Wrong(f"{names[-1]} ended with status {ran.returncode}:\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}")
