"""The provider pages in each of their states pass the accessibility checks in a browser.

Nothing for axe to find, nothing that scrolls sideways, a silent console, and no request to anyone but the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.browser import axe
from tests.browser.driver import Chromium
from tests.browser.pages import forget, open_, press, send, sign_in
from tests.support.oidc_op import Op, provider
from tests.support.provider_wizard import LIST, NEW, metadata_of
from tests.support.routes import PAGES
from tests.support.saml_idp import Idp
from tests.support.server import DEMO_PASSWORD, Server, served

ADMIN = "admin@acme.example"
OKTA, SAML = f"{LIST}/okta", f"{LIST}/corporate"


class World(NamedTuple):
    server: Server
    op: Op
    browser: Chromium

    def at(self, path: str) -> None:
        open_(self.browser, f"{self.server.base}{path}")

    def press(self, button: str) -> None:
        press(self.browser, button)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Acme has providers, globex has none."""
    folder = tmp_path_factory.mktemp("server")
    with served(folder) as server, provider() as op, Chromium(tmp_path_factory.mktemp("profile")) as browser:
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
        yield World(server, op, browser)


def _at(path: str) -> Callable[[World], None]:
    return lambda world: world.at(path)


def _pressed(path: str, button: str) -> Callable[[World], None]:
    def go(world: World) -> None:
        world.at(path)
        world.press(button)

    return go


def _refused_values(world: World) -> None:
    world.at(f"{NEW}?preset=oidc&name=more&step=theirs")
    world.browser.value("document.querySelector('main details').open = true")
    world.press("main form .primary")


def _refused_rules(world: World) -> None:
    world.at(f"{OKTA}?step=rules")
    world.browser.value("document.querySelector('main details').open = true")
    world.browser.type("[id='returnAddresses']", "no address")
    world.press("main form .primary")


def _wrong(world: World) -> None:
    secret, world.op.client_secret = world.op.client_secret, "another"
    try:
        _pressed(f"{OKTA}?step=test", "main form .primary")(world)
    finally:
        world.op.client_secret = secret


def _fails(world: World) -> None:
    world.op.token_error = "invalid_client"
    try:
        _pressed(f"{OKTA}?step=try", "main a.button[href$='/try']")(world)
    finally:
        world.op.token_error = None


def _empty(world: World) -> None:
    forget(world.browser)
    open_(world.browser, f"{world.server.base}/sign-in?client=globex")
    world.browser.type("#email", "admin@globex.example")
    world.browser.type("#password", DEMO_PASSWORD)
    world.press("main form .primary")
    world.at(LIST)


#: Name → how a manager gets there. Every route that shows something has one at least.
STATES: dict[str, Callable[[World], None]] = {
    f"GET {LIST}": _at(LIST),
    f"GET {NEW}": _at(NEW),
    f"GET {NEW} our values": _at(f"{NEW}?preset=saml"),
    f"GET {NEW} their values": _at(f"{NEW}?preset=okta-oidc&step=theirs"),
    f"GET {NEW} metadata": _at(f"{NEW}?preset=saml&step=theirs"),
    f"POST {NEW}": _refused_values,
    f"GET {LIST}/{{name}}": _at(OKTA),
    f"GET {LIST}/{{name}} our values": _at(f"{SAML}?step=ours"),
    f"GET {LIST}/{{name}} their values": _at(f"{SAML}?step=theirs"),
    f"GET {LIST}/{{name}} rules": _at(f"{OKTA}?step=rules"),
    f"POST {LIST}/{{name}}/rules": _refused_rules,
    f"GET {LIST}/{{name}} test": _at(f"{OKTA}?step=test"),
    f"POST {LIST}/{{name}}/test": _pressed(f"{OKTA}?step=test", "main form .primary"),
    f"POST {LIST}/{{name}}/test wrong": _wrong,
    f"GET {LIST}/{{name}} try": _at(f"{OKTA}?step=try"),
    f"GET {LIST}/{{name}}/try": _pressed(f"{OKTA}?step=try", "main a.button[href$='/try']"),
    f"GET {LIST}/{{name}}/try fails": _fails,
    f"GET {LIST}/{{name}} live": _at(f"{OKTA}?step=live"),
    f"GET {LIST}/{{name}} is live": _at(f"{SAML}?step=live"),
    f"GET {LIST}/{{name}}/delete": _at(f"{OKTA}/delete"),
    f"POST {LIST}/{{name}}/delete": _pressed(f"{OKTA}/delete", "main form .danger"),
    f"GET {LIST} empty": _empty,
}
#: Routes that show another one's page.
_ELSEWHERE = {f"POST {LIST}/{{name}}/{act}" for act in ("switch-on", "switch-off", "rotate-key", "theirs")}


def look(world: World, state: str, scheme: str, width: int) -> list[str]:
    """What is wrong with a page."""
    browser, base = world.browser, world.server.base
    forget(browser)
    browser._call("Emulation.setDeviceMetricsOverride", width=width, height=720, deviceScaleFactor=1, mobile=False)
    browser.scheme(scheme)
    sign_in(world, browser, email=ADMIN)  # type: ignore[arg-type]  # of a setup it takes the server alone
    browser.requests.clear()
    STATES[state](world)
    browser.complaints.clear()  # the browser says itself that an answer was 400
    found = axe.findings(browser)
    if browser.value("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append("scrolls sideways")
    small = (
        "[...document.querySelectorAll('main a.button, main button, .wizard a')]"
        ".filter(each => each.checkVisibility() && each.getBoundingClientRect().height < 48)"
        ".map(each => each.outerHTML)"
    )
    found += [f"smaller than 48 pixels: {each}" for each in browser.value(small)]
    ours = (base, world.op.base, "about:", "data:")
    return [*found, *(each for each in browser.requests if not each.startswith(ours)), *browser.complaints]


def test_every_page_has_a_state() -> None:
    routes = {f"{route.method} {route.path}" for route in PAGES if route.path.startswith(LIST)}
    assert routes - {" ".join(name.split()[:2]) for name in STATES} - _ELSEWHERE == set()


@pytest.mark.parametrize("state", STATES)
def test_a_page_in_each_state(world: World, state: str) -> None:
    assert look(world, state, "light", 320) == []


@pytest.mark.endurance
@pytest.mark.parametrize(("scheme", "width"), [("dark", 1280), ("light", 1920), ("dark", 320)])
def test_every_page_in_each_scheme_and_width(world: World, scheme: str, width: int) -> None:
    found = {state: look(world, state, scheme, width) for state in STATES}
    assert {state: wrong for state, wrong in found.items() if wrong} == {}
