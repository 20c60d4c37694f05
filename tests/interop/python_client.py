"""The official Python SDK as an MCP host would use it, from the first refusal to the refreshed token:

    python python_client.py --protocol VERSION --endpoint URL --issuer URL

Everything of OAuth is the SDK's own doing; this file stores what it is told to store, signs in as a person, and reads
the traffic to see that what should have happened did. Prints one line per claim, and ends with status 1 at the first
that does not hold.
"""

import argparse
import asyncio
import re
import sys
import time
import traceback
from contextlib import contextmanager
from html.parser import HTMLParser
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

READ = "web-search:read"
WRITE = "web-search:write"
STATELESS = "2026-07-28"
REDIRECT_URI = "http://127.0.0.1:9/callback"  # nobody listens: the person hands the parameters over
PAGES = 20
REFUSES = re.compile("deny|cancel|abort|reject|decline", re.IGNORECASE)


class FormReader(HTMLParser):
    """Reads the first form of a page that is sent with POST: where it goes, its inputs and its buttons."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.inputs: list[dict[str, str]] = []
        self.buttons: list[dict[str, str]] = []
        self._inside = self._found = self._in_button = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form" and not self._found:
            self._inside = self._found = attributes.get("method", "get").lower() == "post"
            self.action = attributes.get("action")
        elif self._inside and tag == "input":
            kind = attributes.setdefault("type", "text").lower()
            (self.buttons if kind == "submit" else self.inputs).append(attributes | {"type": kind})
        elif self._inside and tag == "button" and attributes.get("type", "submit").lower() == "submit":
            self.buttons.append(attributes | {"text": ""})
            self._in_button = True

    def handle_data(self, data: str) -> None:
        if self._in_button:
            self.buttons[-1]["text"] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "button":
            self._in_button = False

    @property
    def found(self) -> bool:
        return self._found


class Person:
    """A person with a browser, reduced to what a sign-in needs. The cookies outlive a sign-in."""

    def __init__(self, name: str = "alex") -> None:
        self.name = name
        self.forms = 0
        self._browser = httpx2.AsyncClient(follow_redirects=False, headers={"accept": "text/html"})

    async def sign_in(self, authorization_url: str) -> dict[str, str]:
        """Opens the authorization URL and returns the parameters with which the browser comes back."""
        wanted = set(parse_qs(urlsplit(authorization_url).query).get("scope", [""])[0].split())
        request = self._browser.build_request("GET", authorization_url)
        for _ in range(PAGES):
            if str(request.url).split("?")[0] == REDIRECT_URI:
                return dict(request.url.params)
            response = await self._browser.send(request)
            if 300 <= response.status_code < 400:
                request = self._browser.build_request("GET", urljoin(str(request.url), response.headers["location"]))
                continue
            assert response.status_code == 200, f"{request.url.path}: {response.status_code} {response.text[:600]}"
            request = self._fill_in(response.text, str(request.url), wanted)
        raise AssertionError(f"no way back to {REDIRECT_URI} after {PAGES} pages")

    def _fill_in(self, page: str, url: str, wanted: set[str]) -> httpx2.Request:
        form = FormReader()
        form.feed(page)
        assert form.found, f"no form to fill in at {url}: {page[:600]}"
        fields: dict[str, list[str]] = {}
        for field in form.inputs:
            name, value, kind = field.get("name"), field.get("value", ""), field["type"]
            if not name or "disabled" in field or kind == "button":
                continue
            ticked = value in wanted if kind == "checkbox" and wanted else "checked" in field
            if kind in ("checkbox", "radio") and not ticked:
                continue
            fields.setdefault(name, []).append(value or ("" if kind == "hidden" else self.name))
        agrees = [button for button in form.buttons if not REFUSES.search(" ".join(button.values()))]
        assert agrees, f"no button that agrees at {url}"
        if name := agrees[0].get("name"):
            fields[name] = [agrees[0].get("value", "")]
        self.forms += 1
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        return self._browser.build_request(
            "POST", urljoin(url, form.action or url), data=fields, headers={"origin": origin}
        )


class Store(TokenStorage):
    """The host's side of the SDK's OAuth: it keeps what it is given."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Exchange:
    """One request of the SDK and its answer: what the claims below are checked against."""

    def __init__(self, response: httpx2.Response) -> None:
        request = response.request
        self.method, self.url, self.headers = request.method, request.url, request.headers
        self.status = response.status_code
        self.challenge = response.headers.get("www-authenticate", "")
        self.session = response.headers.get("mcp-session-id")
        is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        self.form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()} if is_form else {}

    def __str__(self) -> str:
        challenge = f" [{self.challenge}]" if self.challenge else ""
        return f"      {self.status} {self.method} {self.url.path} {self.form.get('grant_type', '')}{challenge}"


@contextmanager
def claim(text: str):
    """What the lines below it show; printed once they have."""
    yield
    print(f"  ok  {text}", flush=True)


def scopes(text: str | None) -> set[str]:
    return set((text or "").split())


async def run(protocol: str, endpoint: str, issuer: str, traffic: list[Exchange]) -> None:
    stateless = protocol == STATELESS
    person, store, authorizations = Person(), Store(), []

    async def observe(response: httpx2.Response) -> None:
        traffic.append(Exchange(response))

    async def redirect(url: str) -> None:
        authorizations.append(httpx2.URL(url))

    async def callback() -> AuthorizationCodeResult:
        answer = await person.sign_in(str(authorizations[-1]))
        assert "error" not in answer, answer
        return AuthorizationCodeResult(code=answer["code"], state=answer.get("state"), iss=answer.get("iss"))

    def tokens_by(grant: str) -> list[Exchange]:
        return [exchange for exchange in traffic if exchange.form.get("grant_type") == grant]

    provider = OAuthClientProvider(
        server_url=endpoint,
        client_metadata=OAuthClientMetadata.model_validate(
            {
                "client_name": "interop python",
                "redirect_uris": [REDIRECT_URI],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
            }
        ),
        storage=store,
        redirect_handler=redirect,
        callback_handler=callback,
    )
    http = httpx2.AsyncClient(auth=provider, event_hooks={"response": [observe]}, timeout=30)
    async with http, Client(
        streamable_http_client(endpoint, http_client=http), mode="auto" if stateless else "legacy", cache=None
    ) as client:

        async def echo(tool: str, text: str) -> None:
            result = await client.call_tool(tool, {"text": text})
            assert not result.is_error, result
            assert text in "".join(getattr(block, "text", "") for block in result.content), result

        # The resource identifier ends in no slash, whatever one gives to a client.
        canonical = endpoint.rstrip("/")
        with claim("the refusal is a 401 that names the metadata and the first scope"):
            refused = traffic[0]
            assert refused.status == 401, refused
            assert refused.challenge.startswith("Bearer "), refused
            assert 'resource_metadata="' in refused.challenge and f'scope="{READ}"' in refused.challenge, refused
            assert "error=" not in refused.challenge, refused
        with claim("discovery leads from the resource to its authorization server"):
            found = [e.url for e in traffic if "/.well-known/" in e.url.path and e.status == 200]
            assert f'resource_metadata="{found[0]}"' in refused.challenge, found
            assert f"{found[1].scheme}://{found[1].netloc.decode()}" == "{0.scheme}://{0.netloc}".format(urlsplit(issuer))
            assert str(provider.context.oauth_metadata.issuer) == issuer, provider.context.oauth_metadata
        with claim("the client registers itself"):
            assert any(e.method == "POST" and e.status == 201 for e in traffic), [str(e) for e in traffic]
            assert store.client and store.client.client_id
        with claim("the sign-in uses PKCE, the resource, and asks for no more than reading"):
            asked = authorizations[0].params
            assert asked["code_challenge_method"] == "S256" and asked["resource"] == canonical, asked
            assert READ in scopes(asked["scope"]) and WRITE not in scopes(asked["scope"]), asked
            exchange = tokens_by("authorization_code")[0]
            assert exchange.status == 200 and exchange.form["code_verifier"], exchange
            assert exchange.form["resource"] == canonical, exchange.form
            assert READ in scopes(store.tokens.scope) and WRITE not in scopes(store.tokens.scope), store.tokens.scope
            assert person.forms > 0, "nobody was asked for consent"
        with claim(f"the client speaks {protocol}"):
            assert client.protocol_version == protocol, client.protocol_version
            assert client.server_info and client.server_info.name
        with claim("no session is made" if stateless else "a session is made"):
            sessions = {e.session for e in traffic if e.session}
            assert len(sessions) == (0 if stateless else 1), sessions
        with claim("the list names both tools and what each requires"):
            listed = {tool.name: (tool.meta or {}).get("securitySchemes") for tool in (await client.list_tools()).tools}
            assert listed == {
                "echo_read": [{"type": "oauth2", "scopes": [READ]}],
                "echo_write": [{"type": "oauth2", "scopes": [WRITE]}],
            }, listed
        with claim("a tool that needs reading answers"):
            await echo("echo_read", "hello")
        with claim("a tool that needs writing makes the client step up and call it again"):
            await echo("echo_write", "written")
            refused, *more = [e for e in traffic if e.status == 403]
            assert not more, [str(e) for e in more]
            assert 'error="insufficient_scope"' in refused.challenge, refused
            assert f'scope="{WRITE}"' in refused.challenge and 'resource_metadata="' in refused.challenge, refused
            assert len(authorizations) == 2, authorizations
            assert WRITE in scopes(authorizations[1].params["scope"]), authorizations[1]
            assert WRITE in scopes(store.tokens.scope), store.tokens.scope
            assert len([e for e in traffic if e.status == 201]) == 1, "registered again"
            await echo("echo_read", "still read")
        with claim("a token past its lifetime is refreshed without a sign-in"):
            before = store.tokens
            assert before.refresh_token, "no refresh token was issued"
            assert not tokens_by("refresh_token")
            provider.context.token_expiry_time = time.time() - 1
            await echo("echo_write", "refreshed")
            refresh, *more = tokens_by("refresh_token")
            assert not more and refresh.status == 200, refresh
            assert refresh.form["refresh_token"] == before.refresh_token
            assert store.tokens.access_token != before.access_token
            assert store.tokens.refresh_token != before.refresh_token, "the refresh token was not rotated"
            assert len(authorizations) == 2, authorizations
        if not stateless:
            with claim("the session survived it all"):
                assert {e.session for e in traffic if e.session} == sessions
    if not stateless:
        with claim("the session ends when the client does"):
            ended = [e for e in traffic if e.method == "DELETE"]
            assert len(ended) == 1 and 200 <= ended[0].status < 300, [str(e) for e in ended]


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("protocol", "endpoint", "issuer"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    traffic: list[Exchange] = []
    try:
        asyncio.run(run(options.protocol, options.endpoint, options.issuer, traffic))
    except BaseException:
        traceback.print_exc()
        print("      the last exchanges:", *traffic[-20:], sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
