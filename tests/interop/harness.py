"""What runs foreign programs against the real binary: named checks with a score, packages brought to what their lock
files say, servers started with their output in a log and ended as Ctrl-C would end them.

Knows no client and no configuration; those are the runners'.
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
import urllib.request
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 30
STOP_SECONDS = 15

# Where the servers' output goes; a runner sets it with `keep_logs`.
_logs = Path()


def keep_logs(folder: Path) -> None:
    global _logs
    _logs = folder
    folder.mkdir(parents=True, exist_ok=True)


class Failed(Exception):
    """A check that did not hold; the message is what a person needs to see."""


class Checks:
    """Runs checks by name and keeps the score."""

    def __init__(self, only: str) -> None:
        self.only = only.lower()
        self.passed: list[str] = []
        self.failed: list[str] = []

    def wants(self, name: str) -> bool:
        return self.only in name.lower()

    def run(self, name: str, check: Callable[[], None]) -> None:
        if self.wants(name):
            self.run_always(name, check)

    def run_always(self, name: str, check: Callable[[], None]) -> None:
        print(f"---- {name}", flush=True)
        started = time.monotonic()
        try:
            check()
        except (Failed, OSError, subprocess.SubprocessError) as problem:
            print(f"      {problem}", flush=True)
            self.failed.append(name)
        except Exception:
            traceback.print_exc()
            self.failed.append(name)
        else:
            self.passed.append(name)
        verdict = "FAIL" if name in self.failed else "PASS"
        print(f"{verdict} {name} ({time.monotonic() - started:.1f} s)", flush=True)

    def score(self) -> int:
        """Prints the score; gives the exit status."""
        print(f"\n{len(self.passed)} passed, {len(self.failed)} failed", flush=True)
        for name in self.failed:
            print(f"  FAIL {name}")
        if not self.passed and not self.failed:
            print(f"no check is called {self.only!r}")
            return 1
        return 1 if self.failed else 0


def bypass_proxies() -> None:
    """What listens on this machine is reached without a proxy."""
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))


def install_debian(packages: dict[str, str]) -> None:
    """Brings commands that are missing, each from a package of Debian, where that can be done."""
    missing = [package for command, package in packages.items() if shutil.which(command) is None]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Failed(f"not installed: {', '.join(missing)} (Debian's names)")
    print(f"installing {', '.join(missing)}", flush=True)
    call(["apt-get", "update", "-qq"])
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def install_npm(folder: Path) -> Path:
    """Brings `node_modules` in `folder` to what the lock file says; gives its `node`."""
    if shutil.which("npm") is None:
        raise Failed("npm is not installed; it brings the JavaScript packages and their Node")
    when_changed(
        [folder / "package.json", folder / "package-lock.json"],
        folder / "node_modules" / ".installed",
        lambda: call(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder),
    )
    node = folder / "node_modules" / ".bin" / "node"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < 22:
        raise Failed(f"the npm package `node` brought {version}; 22 or newer is needed")
    print(f"node {version}, python {sys.version.split()[0]}", flush=True)
    return node


def install_pip(requirements: Path, home: Path) -> Path:
    """Brings a virtual environment in `home` to what `requirements` says; gives its `python`."""
    python = home / "bin" / "python"

    def install() -> None:
        venv.create(home, with_pip=True, clear=True)
        call([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements])

    when_changed([requirements], home / ".installed", install)
    return python


def when_changed(sources: list[Path], stamp: Path, action: Callable[[], None]) -> None:
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    started = time.monotonic()
    print(f"installing what {sources[-1].name} names", flush=True)
    action()
    stamp.write_text(digest)
    print(f"installed ({time.monotonic() - started:.1f} s)", flush=True)


def call(command: list, cwd: Path | None = None) -> None:
    status = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL).returncode
    if status != 0:
        raise Failed(f"`{' '.join(map(str, command))}` ended with status {status}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def tail(log: Path, lines: int = 40) -> str:
    text = log.read_text(errors="replace").splitlines()
    return "\n".join(f"      | {line}" for line in text[-lines:])


@contextmanager
def process(name: str, command: list, drains: bool = False, **options) -> Iterator[tuple[subprocess.Popen, Path]]:
    """A server for as long as the block runs: started with its output in a log, ended as Ctrl-C would end it.

    One that `drains` takes the signal as a wish and ends with status 0.
    """
    log = _logs / f"{name}.log"
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **options)
        try:
            yield child, log
            if child.poll() is not None:
                raise Failed(f"{name} ended on its own with status {child.returncode}\n{tail(log)}")
        finally:
            if child.poll() is None:
                end(name, child, log, drains)


def end(name: str, child: subprocess.Popen, log: Path, drains: bool) -> None:
    child.send_signal(signal.SIGINT)
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        raise Failed(f"{name} did not end within {STOP_SECONDS} s of SIGINT\n{tail(log)}") from None
    if drains and child.returncode != 0:
        raise Failed(f"{name} ended with status {child.returncode} on SIGINT\n{tail(log)}")


def wait_until(what: str, ready: Callable[[], bool], child: subprocess.Popen, log: Path, seconds: int = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if child.poll() is not None:
            raise Failed(f"{what} ended at its start with status {child.returncode}\n{tail(log)}")
        if time.monotonic() > deadline:
            raise Failed(f"{what} was not ready within {seconds} s\n{tail(log)}")
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False
