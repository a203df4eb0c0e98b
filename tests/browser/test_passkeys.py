"""Passkeys at sign-in in a browser with an authenticator: by the button, beside the address, as the second step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.driver import Chromium
from tests.browser.looking import NARROW, each_route
from tests.browser.pages import LOADED, Setup, heading, open_, press, set_up
from tests.browser.parts import place_of
from tests.browser.passkey_states import STATES, made
from tests.browser.passkeys import PASSKEY, authenticator, credentials, named, offered, present, pressed
from tests.browser.step_states import password_typed

pytestmark = pytest.mark.usefixtures("afresh")


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with named(tmp_path_factory.mktemp("server")) as server:
        yield set_up(server)


@pytest.mark.parametrize("state", each_route(STATES))
def test_a_page_in_each_state(setup: Setup, browser: Chromium, state: str) -> None:
    assert place_of(setup, STATES).faults(browser, state, "en", (NARROW,)) == []


def test_one_is_made_signs_in_alone_and_answers_the_second_step(setup: Setup, browser: Chromium) -> None:
    key = authenticator(browser)
    one = made(setup, browser)
    assert heading(browser) == "Your recovery codes"
    [credential] = credentials(browser, key)
    assert (credential["rpId"], credential["isResidentCredential"]) == ("localhost", True)
    press(browser)
    assert heading(browser) == "Your account"
    present(browser, key, yes=False)
    press(browser, ".bar button")
    password_typed(setup, browser, one)
    assert heading(browser) == "Use your passkey"
    present(browser, key, yes=True)
    pressed(browser)
    assert heading(browser) == "Your account"
    press(browser, ".bar button")
    present(browser, key, yes=False)  # offers nothing itself
    open_(browser, f"{setup.server.base}/sign-in?client={one.client}")
    offered(browser)
    browser.press(PASSKEY)  # which ends the offer beside the address
    present(browser, key, yes=True)
    browser.until(f"location.pathname === '/account' && {LOADED}")


def test_the_browser_offers_it_beside_the_address(setup: Setup, browser: Chromium) -> None:
    authenticator(browser)
    one = made(setup, browser)
    press(browser)
    press(browser, ".bar button")
    open_(browser, f"{setup.server.base}/sign-in?client={one.client}")
    browser.until(f"location.pathname === '/account' && {LOADED}")
    assert heading(browser) == "Your account"


def test_one_that_is_not_used_is_said_and_nothing_is_posted(setup: Setup, browser: Chromium) -> None:
    key = authenticator(browser)
    browser._call("WebAuthn.setUserVerified", authenticatorId=key, isUserVerified=False)
    open_(browser, f"{setup.server.base}/sign-in?client=acme")
    offered(browser)
    browser.press(PASSKEY)
    browser.shows("No passkey was used. Try again, or use another way.")
    assert browser.value("location.pathname") == "/sign-in"


def test_without_scripts_no_passkey_is_offered(setup: Setup, browser: Chromium) -> None:
    browser.scripts(on=False)
    open_(browser, f"{setup.server.base}/sign-in?client=acme")
    assert browser.value(f"document.querySelector('{PASSKEY}').hidden")
    assert heading(browser) == "Sign in to Acme Corporation"
