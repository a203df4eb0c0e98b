"""Pages in each of their states, for tests that check every one."""

from __future__ import annotations

import itertools
import json
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.browser.driver import Chromium
from tests.support.server import DEMO_PASSWORD, Server
from tests.support.user_management import INVITE

_numbers = itertools.count(1)
AUTHOR = "author@acme.example"
LOADED = "document.readyState === 'complete' && location.href !== 'about:blank'"


class Setup(NamedTuple):
    server: Server
    token: str

    def invite(self, email: str) -> str:
        """A one-time link for a new user."""
        body = {"query": INVITE, "variables": {"input": {"email": email, "roles": ["Viewer"]}}}
        return str(send(self.server, "/api/client/graphql", body, self.token)["data"]["inviteUser"]["link"])


def send(server: Server, path: str, body: Any, token: str = "", method: str = "POST") -> Any:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(server.base + path, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def set_up(server: Server) -> Setup:
    """Two clients, where acme has a provider besides passwords, and an Admin's token."""
    admin = admin_token(server)
    made = {"name": "okta", "displayName": "Okta", "oidc": {"issuer": "http://127.0.0.1:9", "clientId": "c"}}
    send(server, "/api/admin/clients/acme/providers", made, admin)
    signed_in = send(server, "/api/client/auth/sign-in", {"email": "admin@acme.example", "password": DEMO_PASSWORD})
    return Setup(server, signed_in["data"]["token"])


def forget(browser: Chromium) -> None:
    browser._call("Network.clearBrowserCookies")


def open_(browser: Chromium, address: str) -> None:
    browser.open(address)
    browser.until(LOADED)


def press(browser: Chromium, element: str = "main form .primary") -> None:
    """Click, and wait for the next page."""
    browser.value("window.before = true")
    browser.press(element)
    browser.until(f"!window.before && {LOADED}")


def old_form(browser: Chromium, button: str = "main form .primary") -> None:
    """Submit an expired form."""
    browser.value("document.querySelectorAll('input[name=form]').forEach(each => { each.value = 'old' })")
    press(browser, button)


def heading(browser: Chromium) -> str:
    """The page's heading."""
    return str(browser.value("document.querySelector('h1').textContent.trim()"))


def admin_token(server: Server) -> str:
    """Sign in as the demo's system admin."""
    body = {"username": "admin", "password": DEMO_PASSWORD}
    return str(send(server, "/api/admin/auth/sign-in", body)["data"]["token"])


def sign_in(setup: Setup, browser: Chromium, password: str = DEMO_PASSWORD, email: str = AUTHOR) -> None:
    """Fill in and submit the form on the client's page."""
    open_(browser, f"{setup.server.base}/sign-in?client=acme")
    browser.type("#email", email)
    browser.type("#password", password)
    press(browser)


def _at(path: str) -> Callable[[Setup, Chromium], None]:
    return lambda setup, browser: open_(browser, setup.server.base + path)


def _email_first(setup: Setup, browser: Chromium) -> None:
    open_(browser, f"{setup.server.base}/sign-in")
    browser.type("#email", "someone@nowhere.example")
    press(browser)


def _no_email(setup: Setup, browser: Chromium) -> None:
    open_(browser, f"{setup.server.base}/sign-in")
    press(browser)


def _wrong(setup: Setup, browser: Chromium) -> None:
    sign_in(setup, browser, "not-the-password", "someone@nowhere.example")


def _throttled(setup: Setup, browser: Chromium) -> None:
    while not browser.value("Boolean(document.querySelector('[role=timer]'))"):
        sign_in(setup, browser, "not-the-password", "slowed@nowhere.example")


def _signed_in(path: str) -> Callable[[Setup, Chromium], None]:
    def go(setup: Setup, browser: Chromium) -> None:
        sign_in(setup, browser)
        open_(browser, setup.server.base + path)

    return go


def _invited(setup: Setup, browser: Chromium) -> None:
    open_(browser, f"{setup.server.base}/welcome")
    link = setup.invite(f"new-{next(_numbers)}@acme.example")
    browser.type("#token", link.partition("#")[2])
    press(browser)


def _invited_too_short(setup: Setup, browser: Chromium) -> None:
    _invited(setup, browser)
    browser.type("#password", "short")
    press(browser)


def _wrong_code(setup: Setup, browser: Chromium) -> None:
    open_(browser, f"{setup.server.base}/welcome")
    browser.type("#token", "made-up")
    press(browser)


def _old(path: str, button: str) -> Callable[[Setup, Chromium], None]:
    def go(setup: Setup, browser: Chromium) -> None:
        _signed_in(path)(setup, browser)
        old_form(browser, button)

    return go


def _ends_at(address: str, query: str = "") -> Callable[[Setup, Chromium], None]:
    """Sign in a user of a new client, ending at this address of an application, which isn't opened."""

    def go(setup: Setup, browser: Chromium) -> None:
        token, client = admin_token(setup.server), f"ends-{next(_numbers)}"
        made = {"identifier": client, "name": "Acme", "settings": {"returnAddresses": [address]}}
        send(setup.server, "/api/admin/clients", made, token)
        email = f"ada@{client}.example"
        user = {"email": email, "password": DEMO_PASSWORD, "roles": ["Author"]}
        send(setup.server, f"/api/admin/clients/{client}/users", user, token)
        open_(browser, f"{setup.server.base}/sign-in?client={client}&returnTo={quote(address, safe='')}{query}")
        browser.type("#email", email)
        browser.type("#password", DEMO_PASSWORD)
        browser.hold(address)
        press(browser)

    return go


_CHALLENGE = "&response=code&codeChallenge=" + "A" * 43
_BAD = quote("https://evil.example")
#: Name → steps to reach it. Every page route has at least one.
STATES: dict[str, Callable[[Setup, Chromium], None]] = {
    "GET /sign-in": _at("/sign-in"),
    "GET /sign-in client": _at("/sign-in?client=acme&loginHint=ada@acme.example"),
    "GET /sign-in anew": _at("/sign-in?s=old"),
    "GET /sign-in unknown client": _at("/sign-in?client=nowhere"),
    "GET /sign-in bad address": _at(f"/sign-in?client=acme&returnTo={_BAD}"),
    "GET /sign-in continue": _signed_in("/sign-in"),
    "POST /sign-in": _no_email,
    "GET /sign-in/password": _email_first,
    "POST /sign-in/password": _wrong,
    "POST /sign-in/password throttled": _throttled,
    "GET /forgot": _at("/forgot"),
    "GET /welcome": _at("/welcome"),
    "POST /welcome": _invited,
    "POST /welcome too short": _invited_too_short,
    "POST /welcome wrong": _wrong_code,
    "GET /sign-out": _signed_in("/sign-out"),
    "GET /sign-out out": _at("/sign-out"),
    "POST /sign-out": _old("/sign-out", "main form .primary"),
    "GET /sign-in/done": _ends_at("https://app.acme.example/in"),
    "GET /sign-in/done app": _ends_at("com.acme.app:/in", _CHALLENGE),
    "POST /sign-in/done": _old("/sign-in", "main form .primary"),
    "GET /nowhere": _at("/nowhere"),
    "GET provider down": _at("/api/client/auth/oidc?client=acme&provider=okta"),
}
