"""A browser with an authenticator of its own, at a server with a name: passkeys do not work at an IP address."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.browser.driver import Chromium
from tests.browser.pages import LOADED, Setup, open_, press, set_up
from tests.browser.step_states import REQUIRED, Someone, begun, new_one, password_typed
from tests.support.processes import free_port
from tests.support.server import Server, start, stop

PASSKEY = "[data-passkey]"


class NamedServer(Server):
    """The same, at ``localhost``."""

    @property
    def base(self) -> str:
        return f"http://localhost:{self.port}"


@contextlib.contextmanager
def named(folder: Path) -> Iterator[Setup]:
    port = free_port()
    running = start(folder, port=port, MANIFEST_PUBLIC_URL=f"http://localhost:{port}")
    try:
        yield set_up(NamedServer(running.process, running.port, running.output))
    finally:
        stop(running)


def authenticator(browser: Chromium) -> str:
    """A new one in the browser, that verifies its user at once; its id."""
    browser._call("WebAuthn.disable")
    browser._call("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    made = browser._call("WebAuthn.addVirtualAuthenticator", options=options)
    return str(made["authenticatorId"])


def present(browser: Chromium, of: str, *, yes: bool) -> None:
    """Whether its person is there to touch it. While they are, each page that asks for a passkey gets one at once."""
    browser._call("WebAuthn.setAutomaticPresenceSimulation", authenticatorId=of, enabled=yes)


def credentials(browser: Chromium, of: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = browser._call("WebAuthn.getCredentials", authenticatorId=of)["credentials"]
    return found


def pressed(browser: Chromium) -> None:
    """The button that its module shows, until the next page."""
    browser.until(f"!document.querySelector('{PASSKEY}').hidden")
    press(browser, PASSKEY)


def made(setup: Setup, browser: Chromium) -> Someone:
    """Someone who has made a passkey at the sign-in; their sign-in is at the recovery codes."""
    one = new_one(setup, **REQUIRED)
    password_typed(setup, browser, one)
    press(browser, "a.primary")
    pressed(browser)
    return one


def _asked(setup: Setup, browser: Chromium) -> None:
    key = authenticator(browser)
    one = made(setup, browser)
    present(browser, key, yes=False)
    press(browser)
    press(browser, ".bar button")
    password_typed(setup, browser, one)
    browser.until(f"!document.querySelector('{PASSKEY}').hidden")


def _enrolling(setup: Setup, browser: Chromium) -> None:
    _why(setup, browser)
    press(browser, "a.primary")


def _unknown(setup: Setup, browser: Chromium) -> None:
    authenticator(browser)
    open_(browser, f"{setup.server.base}/sign-in?client=acme")
    browser.until(f"!document.querySelector('{PASSKEY}').hidden")
    browser.value("window.before = true")
    browser.value("document.querySelector('form[action=\"/sign-in/passkey\"]').requestSubmit()")
    browser.until(f"!window.before && {LOADED}")


def _sign_in(setup: Setup, browser: Chromium) -> None:
    authenticator(browser)
    open_(browser, f"{setup.server.base}/sign-in?client=acme")
    browser.until(f"!document.querySelector('{PASSKEY}').hidden")


def _why(setup: Setup, browser: Chromium) -> None:
    authenticator(browser)
    password_typed(setup, browser, new_one(setup, **REQUIRED))


def _app(setup: Setup, browser: Chromium) -> None:
    authenticator(browser)
    begun(setup, browser)


def _own(setup: Setup, browser: Chromium) -> None:
    """The list of one's passkeys, with the one of the sign-in."""
    authenticator(browser)
    made(setup, browser)
    press(browser)
    open_(browser, f"{setup.server.base}/account/passkeys")


def _adding(setup: Setup, browser: Chromium) -> None:
    _own(setup, browser)
    press(browser, ".actions a")
    browser.until(f"!document.querySelector('{PASSKEY}').hidden")


def _not_added(setup: Setup, browser: Chromium) -> None:
    _adding(setup, browser)
    browser.value("window.before = true")
    browser.value("document.querySelector('form[action=\"/account/passkeys\"]').requestSubmit()")
    browser.until(f"!window.before && {LOADED}")


def _renaming(setup: Setup, browser: Chromium) -> None:
    _own(setup, browser)
    press(browser, "main .panel .row a")


def _proving(setup: Setup, browser: Chromium) -> None:
    _own(setup, browser)
    open_(browser, f"{setup.server.base}/reauthenticate?returnTo=/account/passkeys")
    browser.until(f"!document.querySelector('{PASSKEY}').hidden")


STATES: dict[str, Callable[[Setup, Chromium], None]] = {
    "GET /sign-in passkey": _sign_in,
    "POST /sign-in/passkey": _unknown,
    "GET /sign-in/second-factor passkey": _asked,
    "GET /sign-in/enrol both": _why,
    "GET /sign-in/enrol passkey": _enrolling,
    "GET /sign-in/enrol app": _app,
    "GET /account/passkeys": _own,
    "GET /account/passkeys new": _adding,
    "POST /account/passkeys": _not_added,
    "GET /account/passkeys rename": _renaming,
    "GET /reauthenticate passkey": _proving,
}
