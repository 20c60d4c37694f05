"""nginx in front of the server, as `examples/deployment/nginx.conf` says: TLS, another host and port, a path prefix.

The example's own lines are what runs; only its addresses and files are put in.
"""

import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import Failed, process, wait_until

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "deployment" / "nginx.conf"

# What stands in the example, and what it is here. Each must be there.
LISTEN = "listen 443 ssl;"
NAME = "server_name mcp.example.com;"
CERTIFICATE = "ssl_certificate     /etc/letsencrypt/live/mcp.example.com/fullchain.pem;"
KEY = "ssl_certificate_key /etc/letsencrypt/live/mcp.example.com/privkey.pem;"
UPSTREAM = "http://127.0.0.1:10000"
PREFIX = "/tools/"


@dataclass
class Proxy:
    """A running proxy: what clients see, and the certificate that they must trust."""

    public_url: str
    certificate: Path


@contextmanager
def nginx(port: int, upstream: int, prefix: str) -> Iterator[Proxy]:
    """nginx on `port` in front of a server on `upstream`, with the example's path prefix or another one."""
    if (binary := shutil.which("nginx")) is None:
        raise Failed("nginx is not installed; on Debian `apt-get install nginx-light` brings it")
    with tempfile.TemporaryDirectory(prefix="toolgate-proxy-") as folder:
        home = Path(folder)
        certificate, key = certify(home)
        text = EXAMPLE.read_text()
        for example, here in [
            (LISTEN, f"listen 127.0.0.1:{port} ssl;"),
            (NAME, "server_name localhost;"),
            (CERTIFICATE, f"ssl_certificate {certificate};"),
            (KEY, f"ssl_certificate_key {key};"),
            (UPSTREAM, f"http://127.0.0.1:{upstream}"),
            (f"location {PREFIX}", f"location {prefix}"),
        ]:
            if example not in text:
                raise Failed(f"{EXAMPLE} no longer holds {example!r}")
            text = text.replace(example, here)
        folders = "".join(f"{kind}_temp_path {home}/{kind};\n" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        config = home / "nginx.conf"
        config.write_text(
            f"daemon off;\nmaster_process off;\npid {home}/pid;\nerror_log stderr warn;\nevents {{}}\n"
            f"http {{\naccess_log {home}/access.log;\n{folders}\n{text}\n}}\n"
        )
        command = [binary, "-p", folder, "-e", "stderr", "-c", config]
        name = f"nginx-{re.sub('[^a-z]', '', prefix) or 'root'}"
        with process(name, command, stdin=subprocess.DEVNULL) as (child, log):
            public_url = f"https://localhost:{port}{prefix.rstrip('/')}"
            wait_until("nginx", lambda: listens(port), child, log)
            yield Proxy(public_url, certificate)


def listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def certify(home: Path) -> tuple[Path, Path]:
    """A certificate for localhost that vouches for itself."""
    certificate, key = home / "certificate.pem", home / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = ["openssl", "req", "-x509", *kind, "-keyout", key, "-out", certificate, *subject]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"openssl made no certificate: {done.stderr}")
    return certificate, key
