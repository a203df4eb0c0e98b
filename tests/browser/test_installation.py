"""The pages of the installation in a browser: in each state, on a narrow screen; first run without scripts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

import pytest

from tests.browser import axe
from tests.browser.driver import Chromium
from tests.browser.looking import faults
from tests.browser.pages import Setup, open_, press, set_up
from tests.support.routes import PAGES
from tests.support.server import DEMO_PASSWORD, Server, launch, served, stop, wait_for

_CODE = re.compile(r"^    ((?:[A-Z]{4}-){3}[A-Z]{4})$", re.MULTILINE)
ROOT = "/installation"
NARROW = ("light", 320)
OTHERS = [look for look in itertools.product(("light", "dark"), (320, 1280, 1920)) if look != NARROW]
LOOKS = [NARROW, *(pytest.param(*look, marks=pytest.mark.endurance) for look in OTHERS)]
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
    """A form of a page is sent, with what was typed."""

    def go(setup: Setup, browser: Chromium) -> None:
        at(path)(setup, browser)
        for field, text in typed.items():
            browser.type(f"#{field}", text)
        press(browser, button)

    return go


def opened(path: str) -> Go:
    """All that folds is open."""

    def go(setup: Setup, browser: Chromium) -> None:
        at(path)(setup, browser)
        browser.value("document.querySelectorAll('main details').forEach(one => { one.open = true })")

    return go


def _wrong(setup: Setup, browser: Chromium) -> None:
    sign_in(setup, browser, "not-the-password")


def _out(setup: Setup, browser: Chromium) -> None:
    sign_in(setup, browser)
    press(browser, ".bar button")


_ACCOUNT = "form:has([name=act][value={}]) .primary"
#: Name → how a person gets there. Each route that shows something has one at least.
STATES: dict[str, Go] = {
    "GET /installation/sign-in": lambda setup, browser: open_(browser, f"{setup.server.base}{ROOT}"),
    "GET /installation/sign-in out": _out,
    "POST /installation/sign-in": _wrong,
    "GET /installation": at(""),
    "GET /installation/clients": at("/clients"),
    "GET /installation/clients nothing": at("/clients?q=nothing-is-found"),
    "POST /installation/clients": filled("/clients", "#make ~ form .primary", identifier="No good", name="x"),
    "GET /installation/clients/{client}": at("/clients/acme"),
    "GET /installation/clients/{client} users": at("/clients/acme?show=users"),
    "GET /installation/clients/{client} providers": at("/clients/acme?show=providers"),
    "GET /installation/clients/{client} no providers": at("/clients/globex?show=providers"),
    "GET /installation/clients/{client}/rules": at("/clients/acme/rules"),
    "POST /installation/clients/{client}/rules": filled("/clients/acme/rules", "main form .primary", contact="IT desk"),
    "POST /installation/clients/{client}": filled("/clients/acme", "form:has(#typed) .danger", typed="globex"),
    "GET /installation/clients/{client} nowhere": at("/clients/nowhere"),
    "GET /installation/admins": opened("/admins"),
    "POST /installation/admins": filled("/admins", "#make ~ form .primary", username=" "),
    "GET /installation/licence": at("/licence"),
    "GET /installation/keys": opened("/keys"),
    "POST /installation/keys": filled("/keys", "form:has(#purpose) .button"),
    "GET /installation/throttles": at("/throttles"),
    "POST /installation/throttles": filled("/throttles", "#clear ~ form .primary", address="nowhere"),
    "GET /installation/health": at("/health"),
    "GET /installation/backups": at("/backups"),
    "GET /installation/audit": opened("/audit"),
    "GET /installation/audit nothing": at("/audit?from=2001-01-01&to=2001-01-01"),
    "GET /installation/audit wrong": at("/audit?client=nowhere"),
    "GET /installation/settings": at("/settings"),
    "POST /installation/settings": filled("/settings", "main form .primary", adminAddresses="10.0.0.0/8"),
    "GET /installation/account": at("/account"),
    "POST /installation/account": filled("/account", _ACCOUNT.format("password"), currentPassword="x", newPassword="x"),
    "POST /installation/account begun": filled("/account", _ACCOUNT.format("add"), factorPassword=DEMO_PASSWORD),
}
#: Routes that show nothing of their own, or are shown by other tests here.
_ELSEWHERE = {
    "POST /installation/sign-out", "POST /installation/sign-in/code", "POST /installation/licence",
    "GET /installation/setup", "POST /installation/setup",
}  # fmt: skip


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with served(tmp_path_factory.mktemp("server")) as running:
        made = set_up(running)
        yield made


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = launch(tmp_path_factory.mktemp("fresh"), demo=False)
    try:
        yield wait_for(running)
    finally:
        stop(running)


def test_every_page_has_a_state() -> None:
    routes = {f"{route.method} {route.path}" for route in PAGES if route.path.startswith(ROOT)}
    assert routes - {" ".join(name.split()[:2]) for name in STATES} - _ELSEWHERE == set()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize("state", STATES)
def test_a_page_in_each_state(setup: Setup, browser: Chromium, state: str, scheme: str, width: int) -> None:
    found = faults(setup, browser, STATES[state], "en", scheme, width)
    assert found == []
    assert browser.value("document.querySelectorAll('h1').length") == 1
    assert "Something went wrong" not in browser.text()


def test_first_run_is_done_without_scripts_and_looked_at(fresh: Server, browser: Chromium) -> None:
    setup = Setup(fresh, "")
    [code] = _CODE.findall(fresh.output.read_text())

    def wrong(setup: Setup, browser: Chromium) -> None:
        open_(browser, f"{fresh.base}{ROOT}")
        browser.type("#code", "ABCD")
        press(browser)

    assert (
        faults(setup, browser, lambda setup, browser: open_(browser, f"{fresh.base}{ROOT}"), "en", "light", 320) == []
    )
    assert faults(setup, browser, wrong, "en", "dark", 1280) == []
    browser.scripts(on=False)
    try:
        browser.type("#code", code)
        browser.type("#username", "ada")
        browser.type("#password", DEMO_PASSWORD)
        press(browser)
        browser.shows("You are the first system admin")
        browser.scripts(on=True)
        assert axe.findings(browser) == []
        browser.scripts(on=False)
        press(browser, ".bar button")
        browser.shows("You are signed out.")
        browser.type("#username", "ada")
        browser.type("#password", DEMO_PASSWORD)
        press(browser)
        browser.shows("Is everything well, and who did what.")
    finally:
        browser.scripts(on=True)
