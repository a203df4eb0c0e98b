"""Pages of four sites call the server in a real browser: those that can read the responses, by credential."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.browser import tls
from tests.browser.driver import Chromium
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.server import DEMO_PASSWORD, Server, environment, served

pytestmark = [pytest.mark.endurance, pytest.mark.timeout(300)]
AUTH = "/api/client/auth"
SIGN_IN, ME = f"{AUTH}/sign-in", f"{AUTH}/me"
FUNCTIONS = Path(__file__).parents[1] / "processes" / "example_client.mjs"
PAGE = b"<!doctype html><title>A page</title><p>ready"
OPTIONS = ("--ignore-certificate-errors", "--host-resolver-rules=MAP *.example 127.0.0.1")
#: By name: the host of the page. The site consists of the last two labels.
PAGES = {
    "own": "auth.example",
    "same site, listed": "app.auth.example",
    "cross-site, listed": "shop.example",
    "same site, unlisted": "other.auth.example",
    "cross-site, unlisted": "evil.example",
}
LISTED = [name for name in PAGES if name.endswith(", listed")]
#: Requests of a page: method, path, body, and the status if the credential is accepted.
ACTS: dict[str, tuple[str, str, Any, int]] = {
    "GET": ("GET", ME, None, 200),
    "POST": ("POST", f"{AUTH}/sign-out-others", None, 200),
    "PATCH": ("PATCH", ME, {"title": "Changed"}, 200),
    "GraphQL": ("POST", "/api/client/graphql", {"query": "{ me { id } }"}, 200),
    "upload": ("POST", "/api/client/files?name=a.txt", "text", 201),
    "403": ("GET", "/api/client/settings", None, 403),
    "500": ("GET", f"{AUTH}/identities", None, 500),
}
#: A page's fetch: its status, or "unreadable", and its headers.
CALL = """(async (address, options) => {
  try {
    const answer = await fetch(address, options);
    return {status: answer.status, id: answer.headers.get("x-request-id"), wait: answer.headers.get("retry-after")};
  } catch (error) {
    return {status: "unreadable"};
  }
})"""


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: Any) -> None:
        pass


class Site(NamedTuple):
    """The server behind TLS, and pages of other origins. ``http`` calls the server directly."""

    server: Server
    public: str
    port: int  # the port of the pages
    database: Path
    http: httpx2.Client

    def origin(self, page: str) -> str:
        return self.public if page == "own" else f"https://{PAGES[page]}:{self.port}"

    def token(self, email: str) -> str:
        return str(self.signed_in(email)["token"])

    def signed_in(self, email: str) -> dict[str, Any]:
        answer = self.http.post(SIGN_IN, json={"email": email, "password": DEMO_PASSWORD})
        self.http.cookies.clear()
        data: dict[str, Any] = answer.json()["data"]
        return data


@contextlib.contextmanager
def site(folder: Path, **settings: str) -> Iterator[Site]:
    """A client that lists its pages' origins, with Operators ``cookie`` and ``bearer``."""
    ours, theirs = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    public = f"https://auth.example:{ours.getsockname()[1]}"
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    secure = tls.context(folder)
    given: Any = {"demo": False, "MANIFEST_PUBLIC_URL": public, **settings}
    with (
        served(folder, **given) as server,
        tls.in_front(secure, ours, server.port),
        tls.in_front(secure, theirs, pages.server_port),
        httpx2.Client(base_url=server.base) as client,
    ):
        made = Site(server, public, theirs.getsockname()[1], folder / "data" / "manifest-auth.db", client)
        _command(folder, "admin", "create", "root", "--password-stdin")
        admin = client.post("/api/admin/auth/sign-in", json={"username": "root", "password": DEMO_PASSWORD})
        headers = {"Authorization": f"Bearer {admin.json()['data']['token']}"}
        listed = [made.origin(page) for page in LISTED]
        body = {"identifier": "acme", "name": "Acme", "settings": {"allowedOrigins": listed}}
        assert client.post("/api/admin/clients", json=body, headers=headers).status_code == 201
        for name in ("cookie", "bearer"):
            user = {"email": f"{name}@acme.example", "roles": ["Operator"], "password": DEMO_PASSWORD}
            assert client.post("/api/admin/clients/acme/users", json=user, headers=headers).status_code == 201
        yield made
    pages.shutdown()


def _command(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "manifest_auth", *arguments]
    subprocess.run(
        command, env=environment(folder), input=f"{DEMO_PASSWORD}\n", text=True, check=True, capture_output=True
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile"), *OPTIONS) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("server")) as found:
        yield found


def visit(browser: Chromium, there: Site, page: str) -> None:
    browser.open_without_policy(there.origin(page) + ("/docs/api" if page == "own" else "/"))
    browser.until(f"location.origin === {json.dumps(there.origin(page))} && document.readyState === 'complete'")


def call(browser: Chromium, there: Site, method: str, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
    """The response that a script on the open page gets from the server."""
    headers = options.pop("headers", {})
    if body is not None:
        kind = "text/plain" if isinstance(body, str) else "application/json"
        options["body"] = body if isinstance(body, str) else json.dumps(body)
        headers = {"Content-Type": kind, **headers}
    given = json.dumps({"method": method, "headers": headers, **options})
    found: dict[str, Any] = browser.value(f"{CALL}({json.dumps(there.public + path)}, {given})")
    return found


def credential(there: Site, kind: str) -> dict[str, Any]:
    if kind == "cookie":
        return {"credentials": "include"}
    return {"credentials": "omit", "headers": {"Authorization": f"Bearer {there.token('bearer@acme.example')}"}}


def sign_in_by_cookie(browser: Chromium, there: Site) -> None:
    visit(browser, there, "own")
    body = {"email": "cookie@acme.example", "password": DEMO_PASSWORD}
    assert call(browser, there, "POST", SIGN_IN, body, credentials="include")["status"] == 200


def title(there: Site, email: str) -> str:
    answer = there.http.get(ME, headers={"Authorization": f"Bearer {there.token(email)}"})
    return str(answer.json()["data"]["user"]["title"])


@contextlib.contextmanager
def broken(there: Site) -> Iterator[None]:
    """Remove a table that one route needs."""
    with contextlib.closing(sqlite3.connect(there.database, isolation_level=None)) as store:
        store.execute("PRAGMA legacy_alter_table=ON")
        store.execute("ALTER TABLE identities RENAME TO away")
        try:
            yield
        finally:
            store.execute("ALTER TABLE away RENAME TO identities")


def expected(page: str, kind: str, status: int) -> int | str:
    """An unlisted page can't read anything. Another site's requests don't send the cookie (``SameSite=Lax``)."""
    if page.endswith("unlisted"):
        return "unreadable"
    return 401 if kind == "cookie" and page.startswith("cross-site") else status


@rule("CORS-LISTED")
@matrix("kind", ["cookie", "bearer"])
@matrix("page", PAGES)
def test_every_request_with_every_credential(browser: Chromium, there: Site, page: str, kind: str) -> None:
    if kind == "cookie":
        sign_in_by_cookie(browser, there)
    visit(browser, there, page)
    before = title(there, f"{kind}@acme.example")
    seen, wanted = {}, {}
    for act, (method, path, body, status) in ACTS.items():
        if act == "PATCH":
            body = {"title": f"From {page} by {kind}"}
        with broken(there) if act == "500" else contextlib.nullcontext():
            found = call(browser, there, method, path, body, **credential(there, kind))
        seen[act], wanted[act] = found["status"], expected(page, kind, status)
        assert (found.get("id") is None) is (found["status"] == "unreadable"), act
    assert seen == wanted
    changes = wanted["PATCH"] == 200
    assert title(there, f"{kind}@acme.example") == (f"From {page} by {kind}" if changes else before)


@rule("CORS-LISTED")
@matrix("page", PAGES)
def test_rejected_requests_without_a_user(browser: Chromium, there: Site, page: str) -> None:
    visit(browser, there, page)
    reads = not page.endswith("unlisted")
    for options in ({"credentials": "omit"}, {"headers": {"Authorization": "Bearer nonsense"}}):
        assert call(browser, there, "GET", ME, **options)["status"] == (401 if reads else "unreadable")
    for _ in range(100):
        body = {"email": f"nobody-{list(PAGES).index(page)}@acme.example", "password": "wrong-wrong-wrong"}
        found = call(browser, there, "POST", SIGN_IN, body, headers={"X-Client-ID": "acme"}, credentials="include")
        if found["status"] != 401:
            break
    assert found["status"] == (429 if reads else "unreadable")
    assert not reads or int(found["wait"]) > 0


def test_the_published_functions_from_another_site(browser: Chromium, tmp_path: Path) -> None:
    """A page of another site signs in, outlives its token, and signs out, with the two unmodified functions."""
    functions = FUNCTIONS.read_text("utf-8").split("// --- example ---")[1]
    with site(tmp_path, MANIFEST_ACCESS_TOKEN_TTL="2") as there:
        visit(browser, there, "cross-site, listed")
        script = f"""(async () => {{
          const original = globalThis.fetch, calls = [];
          const base = {json.dumps(there.public)};
          const fetch = async (url, options) => {{
            const answer = await original(new URL(url, base), options);
            calls.push([new URL(url, base).pathname, answer.status]);
            return answer;
          }};
          const post = (body) => ({{
            method: 'POST', headers: {{'Content-Type': 'application/json'}}, body: JSON.stringify(body)
          }});
          const query = post({{query: 'query {{ users {{ id email }} }}'}});
          const signedIn = await (await fetch('{SIGN_IN}', post({{
            email: 'bearer@acme.example', password: {json.dumps(DEMO_PASSWORD)}
          }}))).json();
          let accessToken = signedIn.data.token;
          const refreshToken = signedIn.data.refreshToken;
          {functions}
          const users = [];
          for (let round = 0; round < 2; round += 1) {{
            await new Promise((done) => setTimeout(done, 2100));
            users.push((await (await apiRequest('/api/client/graphql', query)).json()).data.users.length);
          }}
          const out = await apiRequest('{AUTH}/sign-out', {{method: 'POST'}});
          const after = await original(new URL('{AUTH}/refresh', base), post({{refreshToken}}));
          return {{users, out: out.status, after: after.status, calls}};
        }})()"""
        said = browser.value(script)
    assert (said["users"], said["out"], said["after"]) == ([2, 2], 200, 401)
    graphql, refresh = ["/api/client/graphql", 401], [f"{AUTH}/refresh", 200]
    renewed = [graphql, refresh, ["/api/client/graphql", 200]]
    assert said["calls"] == [[SIGN_IN, 200], *renewed, *renewed, [f"{AUTH}/sign-out", 200]]
    assert re.search(r"async function apiRequest", functions)
