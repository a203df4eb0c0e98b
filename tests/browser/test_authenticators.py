"""Every kind of authenticator in a browser: those that can create a passkey, and rejected responses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.driver import Chromium
from tests.browser.pages import LOADED, Setup, heading, open_, press, set_up
from tests.browser.passkey_states import made
from tests.browser.passkeys import PASSKEY, authenticator, credentials, named, offered, present, pressed_before_present
from tests.browser.step_states import REQUIRED, new_one, password_typed
from tests.support.matrix import matrix

pytestmark = pytest.mark.usefixtures("afresh")
REFUSED = "This passkey doesn't work here."


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with named(tmp_path_factory.mktemp("server")) as server:
        yield set_up(server)


@pytest.mark.endurance
@matrix("bit", ["isBogusSignature", "isBadUV", "isBadUP"])
def test_a_forged_response_is_rejected_and_a_valid_one_signs_in(setup: Setup, browser: Chromium, bit: str) -> None:
    key = authenticator(browser)
    one = made(setup, browser)
    press(browser)
    present(browser, key, yes=False)
    press(browser, ".bar button")
    browser._call("WebAuthn.setResponseOverrideBits", authenticatorId=key, **{bit: True})
    open_(browser, f"{setup.server.base}/sign-in?client={one.client}")
    _shown(browser, key)
    present(browser, key, yes=False)  # otherwise, each page that is shown requests it again
    browser.until(f"location.pathname === '/sign-in/passkey' && {LOADED}")
    browser.until(f"document.querySelector('main')?.textContent.includes({json.dumps(REFUSED)})")
    browser._call("WebAuthn.setResponseOverrideBits", authenticatorId=key)
    open_(browser, f"{setup.server.base}/sign-in?client={one.client}")
    _shown(browser, key)
    assert heading(browser) == "Your account"


def _shown(browser: Chromium, key: str) -> None:
    offered(browser)
    browser.value("window.before = true")
    pressed_before_present(browser, key)
    browser.until(f"!window.before && {LOADED}")


@matrix(
    ("different", "badge"),
    [
        ({"transport": "usb"}, "On one device"),
        ({"defaultBackupEligibility": True, "defaultBackupState": True}, "Synced"),
        ({"defaultBackupEligibility": True}, "On one device"),
    ],
    ids=["usb", "synced", "could be synced"],
)
def test_a_passkey_of_each_kind_is_created_and_listed(
    setup: Setup, browser: Chromium, different: dict[str, Any], badge: str
) -> None:
    key = authenticator(browser, **different)
    made(setup, browser)
    assert heading(browser) == "Your recovery codes"
    assert len(credentials(browser, key)) == 1
    press(browser)
    open_(browser, f"{setup.server.base}/account/passkeys")
    browser.until(f"document.querySelector('main .badge')?.textContent === {json.dumps(badge)}")


@pytest.mark.endurance
@matrix("lacks", ["hasResidentKey", "hasUserVerification"])
def test_authenticators_without_storage_or_user_verification_create_no_passkey(
    setup: Setup, browser: Chromium, lacks: str
) -> None:
    given: dict[str, Any] = {lacks: False, **({"isUserVerified": False} if lacks == "hasUserVerification" else {})}
    key = authenticator(browser, transport="usb", **given)
    password_typed(setup, browser, new_one(setup, **REQUIRED))
    press(browser, "a.primary")
    offered(browser)
    browser.press(PASSKEY)
    browser.until("document.querySelector('[data-passkey-failed]').textContent")
    assert credentials(browser, key) == []
