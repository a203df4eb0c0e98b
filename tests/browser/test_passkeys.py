"""Passkeys at sign-in in a browser with an authenticator: by the button, in the address field, or as second step."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.browser.driver import Chromium
from tests.browser.pages import LOADED, Setup, heading, open_, press, set_up
from tests.browser.passkey_states import made
from tests.browser.passkeys import (
    PASSKEY,
    authenticator,
    credentials,
    named,
    offered,
    present,
    pressed,
    pressed_before_present,
)
from tests.browser.step_states import password_typed

pytestmark = pytest.mark.usefixtures("afresh")


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with named(tmp_path_factory.mktemp("server")) as server:
        yield set_up(server)


def test_a_passkey_is_created_and_signs_in_alone_and_as_second_factor(setup: Setup, browser: Chromium) -> None:
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
    present(browser, key, yes=False)  # doesn't offer one automatically
    open_(browser, f"{setup.server.base}/sign-in?client={one.client}")
    offered(browser)
    pressed_before_present(browser, key)  # which ends the offer in the address field
    browser.until(f"location.pathname === '/account' && {LOADED}")


def test_the_browser_offers_it_in_the_address_field(setup: Setup, browser: Chromium) -> None:
    authenticator(browser)
    one = made(setup, browser)
    press(browser)
    press(browser, ".bar button")
    open_(browser, f"{setup.server.base}/sign-in?client={one.client}")
    browser.until(f"location.pathname === '/account' && {LOADED}")
    assert heading(browser) == "Your account"


@pytest.mark.endurance
def test_a_canceled_passkey_shows_a_message_and_posts_nothing(setup: Setup, browser: Chromium) -> None:
    key = authenticator(browser)
    browser._call("WebAuthn.setUserVerified", authenticatorId=key, isUserVerified=False)
    open_(browser, f"{setup.server.base}/sign-in?client=acme")
    offered(browser)
    browser.press(PASSKEY)
    browser.shows("No passkey was used. Try again, or use a different method.")
    assert browser.value("location.pathname") == "/sign-in"


def test_without_scripts_no_passkey_is_offered(setup: Setup, browser: Chromium) -> None:
    browser.scripts(on=False)
    open_(browser, f"{setup.server.base}/sign-in?client=acme")
    assert browser.value(f"document.querySelector('{PASSKEY}').hidden")
    assert heading(browser) == "Sign in to Acme Corporation"


@pytest.mark.endurance
def test_the_browser_forgets_one_that_the_account_does_not_list(setup: Setup, browser: Chromium) -> None:
    """The list of passkeys reports the valid ones, after each change and on every visit."""
    key = authenticator(browser)
    made(setup, browser)
    press(browser)
    _replaced(browser, key)
    open_(browser, f"{setup.server.base}/account/passkeys")
    _left(browser, key, [])


@pytest.mark.endurance
def test_the_browser_keeps_one_that_the_account_lists(setup: Setup, browser: Chromium) -> None:
    key = authenticator(browser)
    made(setup, browser)
    press(browser)
    open_(browser, f"{setup.server.base}/account/passkeys")
    call = (
        "PublicKeyCredential.signalAllAcceptedCredentials(JSON.parse(document.querySelector('[data-passkeys-accepted]')"
    )
    browser.value(f"{call}.dataset.passkeysAccepted)).then(() => {{ window.told = true }})")
    browser.until("window.told")
    assert len(credentials(browser, key)) == 1


@pytest.mark.endurance
def test_the_browser_forgets_one_that_no_account_has(setup: Setup, browser: Chromium) -> None:
    key = authenticator(browser)
    made(setup, browser)
    press(browser)
    present(browser, key, yes=False)
    press(browser, ".bar button")
    _replaced(browser, key)
    open_(browser, f"{setup.server.base}/sign-in")
    offered(browser)
    browser.value("window.before = true")
    pressed_before_present(browser, key)
    browser.until(f"!window.before && {LOADED}")
    _left(browser, key, [])


def _replaced(browser: Chromium, key: str) -> None:
    """Replace the authenticator's passkey with another one of the same person."""
    [own] = credentials(browser, key)
    made = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    other = {"credentialId": base64.b64encode(bytes(16)).decode(), "privateKey": base64.b64encode(made).decode()}
    browser._call("WebAuthn.removeCredential", authenticatorId=key, credentialId=own["credentialId"])
    browser._call("WebAuthn.addCredential", authenticatorId=key, credential={**own, **other})
    assert len(credentials(browser, key)) == 1


def _left(browser: Chromium, key: str, wanted: list[str]) -> None:
    """Wait until the authenticator has only these passkeys."""
    deadline = time.monotonic() + 20
    while [one["credentialId"] for one in credentials(browser, key)] != wanted:
        assert time.monotonic() < deadline, "the browser was not told"
        time.sleep(0.05)
