"""The provider pages in each of their states, reached as an Admin would."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.browser.driver import Chromium
from tests.browser.pages import forget, old_form, open_, press, send, sign_in
from tests.http.pages.console.provider_wizard import LIST, NEW, metadata_of
from tests.support.oidc_op import Op, provider
from tests.support.saml_idp import Idp
from tests.support.server import DEMO_PASSWORD, Server, served

ADMIN = "admin@acme.example"
TEST = "main form[action$='/test'] button"
OKTA, SAML = f"{LIST}/okta", f"{LIST}/corporate"


Go = Callable[[Any, Chromium], None]


class World(NamedTuple):
    server: Server
    op: Op

    @property
    def others(self) -> tuple[str, ...]:
        return (self.op.base,)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[World]:
    """Acme has providers, but globex has none."""
    with served(folder) as server, provider() as op:
        token = send(server, "/api/client/auth/sign-in", {"email": ADMIN, "password": DEMO_PASSWORD})["data"]["token"]
        op.claims |= {"groups": ["staff"], "amr": ["pwd"]}
        okta = {
            "name": "okta", "displayName": "Okta", "createUsers": True, "domains": ["not-proved.example"],
            "groupRoles": [{"group": "staff", "roles": ["Author"]}], "enabled": False,
            "oidc": {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret},
        }  # fmt: skip
        saml = {"metadata": metadata_of(Idp(issuer="https://idp.example/saml"))}
        send(server, "/api/client/providers", okta, token)
        send(server, "/api/client/providers", {"name": "corporate", "defaultRoles": ["Viewer"], "saml": saml}, token)
        gone = {"issuer": "http://127.0.0.1:9", "clientId": "c"}
        send(server, "/api/client/providers", {"name": "gone", "enabled": False, "oidc": gone}, token)
        yield World(server, op)


def _open(world: World, browser: Chromium, path: str) -> None:
    open_(browser, f"{world.server.base}{path}")


def _at(path: str) -> Go:
    return lambda world, browser: _open(world, browser, path)


def _pressed(path: str, button: str) -> Go:
    def go(world: World, browser: Chromium) -> None:
        _open(world, browser, path)
        press(browser, button)

    return go


def _refused_values(world: World, browser: Chromium) -> None:
    _open(world, browser, f"{NEW}?preset=oidc&name=more")
    browser.value("document.querySelector('main details').open = true")
    press(browser, "main form .primary")


def _refused_change(world: World, browser: Chromium) -> None:
    _open(world, browser, f"{OKTA}?step=theirs")
    browser.value("document.getElementsByName('oidc.issuer')[0].value = 'no address'")
    press(browser, "main form .primary")


def _old(path: str, button: str) -> Go:
    def go(world: World, browser: Chromium) -> None:
        _open(world, browser, path)
        old_form(browser, button)

    return go


def _refused_rules(world: World, browser: Chromium) -> None:
    _open(world, browser, f"{OKTA}?step=rules")
    browser.value("document.querySelector('main details').open = true")
    browser.type("[id='returnAddresses']", "no address")
    press(browser, "main form .primary")


def _wrong(world: World, browser: Chromium) -> None:
    secret, world.op.client_secret = world.op.client_secret, "another"
    try:
        _pressed(f"{OKTA}?step=live", TEST)(world, browser)
    finally:
        world.op.client_secret = secret


def _fails(world: World, browser: Chromium) -> None:
    world.op.token_error = "invalid_client"
    try:
        _pressed(f"{OKTA}?step=live", "main a.button[href$='/try']")(world, browser)
    finally:
        world.op.token_error = None


def _empty(world: World, browser: Chromium) -> None:
    forget(browser)
    open_(browser, f"{world.server.base}/sign-in?client=globex")
    browser.type("#email", "admin@globex.example")
    browser.type("#password", DEMO_PASSWORD)
    press(browser, "main form .primary")
    _open(world, browser, LIST)


#: Name → a manager's steps to reach it. Every page route has at least one.
_PAGES: dict[str, Go] = {
    f"GET {LIST}": _at(LIST),
    f"GET {NEW}": _at(NEW),
    f"GET {NEW} their values": _at(f"{NEW}?preset=okta-oidc"),
    f"GET {NEW} metadata": _at(f"{NEW}?preset=saml"),
    f"POST {NEW}": _refused_values,
    f"GET {LIST}/{{name}}": _at(OKTA),
    f"GET {LIST}/{{name}} their values": _at(f"{SAML}?step=theirs"),
    f"GET {LIST}/{{name}} rules": _at(f"{OKTA}?step=rules"),
    f"POST {LIST}/{{name}}/rules": _refused_rules,
    f"POST {LIST}/{{name}}/test": _pressed(f"{OKTA}?step=live", TEST),
    f"POST {LIST}/{{name}}/test wrong": _wrong,
    f"GET {LIST}/{{name}} tried": _pressed(f"{OKTA}?step=live", "main a.button[href$='/try']"),
    f"GET {LIST}/{{name}} tried in vain": _fails,
    f"GET {LIST}/{{name}} live": _at(f"{OKTA}?step=live"),
    f"GET {LIST}/{{name}} is live": _at(f"{SAML}?step=live"),
    f"GET {LIST}/{{name}}/try": _pressed(f"{LIST}/gone?step=live", "main a.button[href$='/try']"),
    f"POST {LIST}/{{name}}/delete": _pressed(OKTA, "main form .danger"),
    f"GET {LIST} empty": _empty,
    f"POST {LIST}/{{name}}/theirs": _refused_change,
    f"POST {LIST}/{{name}}/switch-on": _old(LIST, f"form[action='{OKTA}/switch-on'] button"),
    f"POST {LIST}/{{name}}/switch-off": _old(LIST, f"form[action='{SAML}/switch-off'] button"),
    f"POST {LIST}/{{name}}/rotate-key": _old(f"{SAML}?step=theirs", "form[action$='/rotate-key'] button"),
}


def _admins(go: Go) -> Go:
    def signed_in(world: World, browser: Chromium) -> None:
        sign_in(world, browser, email=ADMIN)  # type: ignore[arg-type]  # of a setup it takes the server alone
        go(world, browser)

    return signed_in


STATES = {name: _admins(go) for name, go in _PAGES.items()}
