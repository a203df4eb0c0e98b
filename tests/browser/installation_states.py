"""The pages of the installation in each of their states, reached as a system admin would."""

from __future__ import annotations

import contextlib
import itertools
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyotp

from tests.browser.driver import Chromium
from tests.browser.pages import Setup, admin_token, open_, press, send
from tests.support.licences import PUBLIC
from tests.support.server import DEMO_PASSWORD, Server, launch, served, setup_code, stop, wait_for

_numbers = itertools.count(1)
ROOT = "/installation"
Go = Callable[[Setup, Chromium], None]


def sign_in(setup: Setup, browser: Chromium, password: str = DEMO_PASSWORD) -> None:
    open_(browser, f"{setup.server.base}{ROOT}/sign-in")
    browser.type("#username", "admin")
    browser.type("#password", password)
    press(browser)


def at(path: str) -> Go:
    def go(setup: Setup, browser: Chromium) -> None:
        sign_in(setup, browser)
        open_(browser, setup.server.base + ROOT + path)

    return go


def filled(path: str, button: str, **typed: str) -> Go:
    """Submit a form on a page with this text."""

    def go(setup: Setup, browser: Chromium) -> None:
        at(path)(setup, browser)
        for field, text in typed.items():
            browser.type(f"#{field}", text)
        press(browser, button)

    return go


def opened(path: str) -> Go:
    """Expand all sections; of the actions, only the last."""

    def go(setup: Setup, browser: Chromium) -> None:
        at(path)(setup, browser)
        browser.value("document.querySelectorAll('main details').forEach(one => { one.open = true })")

    return go


def _wrong(setup: Setup, browser: Chromium) -> None:
    sign_in(setup, browser, "not-the-password")


def _factor(setup: Setup, browser: Chromium) -> None:
    """A new system admin with a second factor, after entering the password."""
    server, name = setup.server, f"factor-{next(_numbers)}"
    body = {"username": name, "password": DEMO_PASSWORD}
    send(server, "/api/admin/admins", body, admin_token(server))
    token = send(server, "/api/admin/auth/sign-in", body)["data"]["token"]
    proof = {"password": DEMO_PASSWORD}
    secret = send(server, "/api/admin/auth/second-factor", proof, token)["data"]["secret"]
    send(server, "/api/admin/auth/second-factor/confirm", proof | {"otp": pyotp.TOTP(secret).now()}, token)
    open_(browser, f"{server.base}{ROOT}/sign-in")
    browser.type("#username", name)
    browser.type("#password", DEMO_PASSWORD)
    press(browser)


def _wrong_code(setup: Setup, browser: Chromium) -> None:
    _factor(setup, browser)
    browser.type("#otp", "000000")
    press(browser)


def _out(setup: Setup, browser: Chromium) -> None:
    sign_in(setup, browser)
    press(browser, ".bar button")


def _no_key(setup: Setup, browser: Chromium) -> None:
    """Submit the form of a page that is older than the server."""
    opened("/keys")(setup, browser)
    browser.value("document.querySelectorAll('[name=key]').forEach(each => { each.value = '999' })")
    press(browser, "main tbody details[open] .danger")


def _keys_of_apps(setup: Setup, browser: Chromium) -> None:
    """Create an app for a client, so that there are also keys for ID tokens."""
    body = {"name": "Reports", "kind": "web", "redirectUris": ["https://reports.example/callback"]}
    send(setup.server, "/api/admin/clients/acme/apps", body, admin_token(setup.server))
    with urllib.request.urlopen(f"{setup.server.base}/o/acme/jwks", timeout=60):
        opened("/keys")(setup, browser)


_ACCOUNT = "form:has([name=act][value={}]) .primary"
#: Name → steps to reach it. A page that no list names has a state at its address (`all_parts.py`).
STATES: dict[str, Go] = {
    "GET /installation/sign-in": lambda setup, browser: open_(browser, f"{setup.server.base}{ROOT}"),
    "GET /installation/sign-in out": _out,
    "POST /installation/sign-in": _wrong,
    "POST /installation/sign-in code": _factor,
    "POST /installation/sign-in/code": _wrong_code,
    "GET /installation/clients": at("/clients"),
    "GET /installation/clients nothing": at("/clients?q=nothing-is-found"),
    "POST /installation/clients": filled("/clients", "#make ~ form .primary", identifier="No good", name="x"),
    "GET /installation/clients/{client}": at("/clients/acme"),
    "GET /installation/clients/{client} users": at("/clients/acme?show=users"),
    "GET /installation/clients/{client} providers": at("/clients/acme?show=providers"),
    "GET /installation/clients/{client} no providers": at("/clients/globex?show=providers"),
    "GET /installation/clients/{client}/rules": at("/clients/acme/rules"),
    "POST /installation/clients/{client}/rules": filled(
        "/clients/acme/rules?page=apps", "main form .primary", contact="IT desk"
    ),
    "POST /installation/clients/{client}": filled("/clients/acme", "form:has([value=delete]) .danger"),
    "POST /installation/clients/{client} suspend": filled("/clients/acme", "form:has([value=suspend]) .danger"),
    "GET /installation/clients/{client} nowhere": at("/clients/nowhere"),
    "GET /installation/admins": opened("/admins"),
    "POST /installation/admins": filled("/admins", "#make ~ form .primary", username=" "),
    "GET /installation/licence": at("/licence"),
    "GET /installation/keys": opened("/keys"),
    "GET /installation/keys rotated": filled("/keys", "form:has(#purpose) .button"),
    "GET /installation/keys of apps": _keys_of_apps,
    "POST /installation/keys": _no_key,
    "POST /installation/throttles": filled("/throttles", "#clear ~ form .primary", address="nowhere"),
    "GET /installation/audit": opened("/audit"),
    "GET /installation/audit nothing": at("/audit?from=2001-01-01&to=2001-01-01"),
    "GET /installation/audit wrong": at("/audit?client=nowhere"),
    "POST /installation/settings": filled("/settings", "main form .primary", adminAddresses="10.0.0.0/8"),
    "POST /installation/account": filled("/account", _ACCOUNT.format("password"), currentPassword="x", newPassword="x"),
    "POST /installation/account begun": filled("/account", _ACCOUNT.format("add")),
}


class FirstRun(NamedTuple):
    """A server without any system admin."""

    server: Server
    others: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The code that the server's operator prints."""
        return setup_code(self.server)


@contextlib.contextmanager
def first_run(folder: Path) -> Iterator[FirstRun]:
    running = launch(folder, demo=False)
    try:
        yield FirstRun(wait_for(running))
    finally:
        stop(running)


def _setup(run: FirstRun, browser: Chromium) -> None:
    open_(browser, f"{run.server.base}{ROOT}")


def _wrong_setup(run: FirstRun, browser: Chromium) -> None:
    _setup(run, browser)
    browser.type("#code", "ABCD")
    press(browser)


FIRST: dict[str, Callable[[FirstRun, Chromium], None]] = {
    "GET /installation/setup": _setup,
    "POST /installation/setup": _wrong_setup,
}


class Premises(NamedTuple):
    """An on-premise server without a license."""

    server: Server
    others: tuple[str, ...] = ()


@contextlib.contextmanager
def unlicensed(folder: Path) -> Iterator[Premises]:
    with served(folder, MANIFEST_DEPLOYMENT="on-premise", MANIFEST_LICENSE_PUBLIC_KEY=PUBLIC) as server:
        yield Premises(server)


def _licence(premises: Premises, browser: Chromium) -> None:
    at("/licence")(Setup(premises.server, ""), browser)


def _no_licence(premises: Premises, browser: Chromium) -> None:
    _licence(premises, browser)
    browser.type("#licenseKey", "MANIFEST1.x")
    press(browser)


UNLICENSED: dict[str, Callable[[Premises, Chromium], None]] = {
    "GET /console without a licence": lambda premises, browser: open_(browser, f"{premises.server.base}/console"),
    "GET /installation/licence needed": _licence,
    "POST /installation/licence": _no_licence,
}
