"""Pages that request, create, or list passkeys, in each of their states."""

from __future__ import annotations

from typing import Any

from tests.browser.driver import Chromium
from tests.browser.pages import LOADED, Setup, open_, press
from tests.browser.parts import Go
from tests.browser.passkeys import PASSKEY, authenticator, offered, present, pressed, pressed_before_present
from tests.browser.step_states import REQUIRED, Someone, begun, new_one, password_typed

_ALONE: dict[str, Any] = {"secondFactor": {"policy": "required", "graceDays": 0, "methods": ["passkey"]}}


def made(setup: Setup, browser: Chromium) -> Someone:
    """A user who created a passkey at sign-in, and is now at the recovery codes."""
    one = new_one(setup, **REQUIRED)
    password_typed(setup, browser, one)
    press(browser, "a.primary")
    pressed(browser)
    return one


def _made(setup: Setup, browser: Chromium) -> tuple[str, Someone]:
    """An authenticator, and a user who created a passkey in it, signed out again, and isn't present to touch it."""
    key = authenticator(browser)
    one = made(setup, browser)
    present(browser, key, yes=False)
    press(browser)
    press(browser, ".bar button")
    return key, one


def _asked(setup: Setup, browser: Chromium) -> None:
    _, one = _made(setup, browser)
    password_typed(setup, browser, one)
    offered(browser)


def _recovery(setup: Setup, browser: Chromium) -> None:
    _asked(setup, browser)
    press(browser, ".ways a")


def _why(setup: Setup, browser: Chromium) -> None:
    authenticator(browser)
    password_typed(setup, browser, new_one(setup, **REQUIRED))


def _alone(setup: Setup, browser: Chromium) -> None:
    authenticator(browser)
    password_typed(setup, browser, new_one(setup, **_ALONE))


def _making(setup: Setup, browser: Chromium) -> None:
    _why(setup, browser)
    press(browser, "a.primary")
    offered(browser)


def _app(setup: Setup, browser: Chromium) -> None:
    authenticator(browser)
    begun(setup, browser)


def _sign_in(setup: Setup, browser: Chromium) -> None:
    authenticator(browser)
    open_(browser, f"{setup.server.base}/sign-in?client=acme")
    offered(browser)


def _not_used(setup: Setup, browser: Chromium) -> None:
    """The authenticator can't verify its user."""
    key = authenticator(browser)
    browser._call("WebAuthn.setUserVerified", authenticatorId=key, isUserVerified=False)
    open_(browser, f"{setup.server.base}/sign-in?client=acme")
    offered(browser)
    browser.press(PASSKEY)
    browser.until("document.querySelector('[data-passkey-failed]').textContent")


def _of_another_client(setup: Setup, browser: Chromium) -> None:
    key, _ = _made(setup, browser)
    open_(browser, f"{setup.server.base}/sign-in?client=acme")
    offered(browser)
    browser.value("window.before = true")
    pressed_before_present(browser, key)
    browser.until(f"!window.before && {LOADED}")


def _own(setup: Setup, browser: Chromium) -> None:
    """The list of the user's passkeys, including the one from the sign-in."""
    authenticator(browser)
    made(setup, browser)
    press(browser)
    open_(browser, f"{setup.server.base}/account/passkeys")


def _adding(setup: Setup, browser: Chromium) -> None:
    _own(setup, browser)
    press(browser, ".actions a")
    offered(browser)


def _renaming(setup: Setup, browser: Chromium) -> None:
    _own(setup, browser)
    press(browser, "main .panel .row a")


def _proving(setup: Setup, browser: Chromium) -> None:
    _own(setup, browser)
    open_(browser, f"{setup.server.base}/reauthenticate?returnTo=/account/passkeys")
    offered(browser)


def _none_in_it(go: Go) -> Go:
    """Submit its form without a passkey."""

    def sent(setup: Setup, browser: Chromium) -> None:
        go(setup, browser)
        browser.value("window.before = true")
        browser.value(f"document.querySelector('{PASSKEY}').form.requestSubmit()")
        browser.until(f"!window.before && {LOADED}")

    return sent


#: Name → steps to reach it.
STATES: dict[str, Go] = {
    "GET /sign-in passkey": _sign_in,
    "GET /sign-in passkey not used": _not_used,
    "POST /sign-in/passkey": _none_in_it(_sign_in),
    "POST /sign-in/passkey of another client": _of_another_client,
    "GET /sign-in/second-factor passkey": _asked,
    "GET /sign-in/second-factor recovery in place of a passkey": _recovery,
    "POST /sign-in/second-factor passkey": _none_in_it(_asked),
    "GET /sign-in/enrol both": _why,
    "GET /sign-in/enrol passkey alone": _alone,
    "GET /sign-in/enrol passkey": _making,
    "GET /sign-in/enrol app or passkey": _app,
    "POST /sign-in/enrol passkey": _none_in_it(_making),
    "GET /account/passkeys": _own,
    "GET /account/passkeys new": _adding,
    "POST /account/passkeys": _none_in_it(_adding),
    "GET /account/passkeys rename": _renaming,
    "GET /reauthenticate passkey": _proving,
}
