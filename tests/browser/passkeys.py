"""A browser with an authenticator, at a server with a host name, because passkeys don't work at an IP address."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.browser.driver import Chromium
from tests.browser.pages import press
from tests.support.processes import free_port
from tests.support.server import Server, start, stop

PASSKEY = "[data-passkey]"


class NamedServer(Server):
    """A server at ``localhost``."""

    @property
    def base(self) -> str:
        return f"http://localhost:{self.port}"


@contextlib.contextmanager
def named(folder: Path, **settings: str) -> Iterator[Server]:
    """Like :func:`served`, at ``localhost``."""
    port = free_port()
    address: dict[str, Any] = {"MANIFEST_PUBLIC_URL": f"http://localhost:{port}", **settings}
    running = start(folder, port=port, **address)
    try:
        yield NamedServer(running.process, running.port, running.output)
    finally:
        stop(running)


def authenticator(browser: Chromium, **different: Any) -> str:
    """Add an authenticator that verifies its user immediately; returns its ID. ``different`` are protocol options."""
    browser._call("WebAuthn.disable")
    browser._call("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True, **different,
    }  # fmt: skip
    made = browser._call("WebAuthn.addVirtualAuthenticator", options=options)
    return str(made["authenticatorId"])


def present(browser: Chromium, of: str, *, yes: bool) -> None:
    """Set whether the user is present. If so, each page that requests a passkey gets one immediately."""
    browser._call("WebAuthn.setAutomaticPresenceSimulation", authenticatorId=of, enabled=yes)


def credentials(browser: Chromium, of: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = browser._call("WebAuthn.getCredentials", authenticatorId=of)["credentials"]
    return found


def offered(browser: Chromium) -> None:
    """Wait for the button that the module shows."""
    browser.until(f"!document.querySelector('{PASSKEY}').hidden")


def pressed_before_present(browser: Chromium, of: str) -> None:
    """Click the button, and let the user be present only then. So the page's offer in the address field gets no
    passkey, but the request of the button does. An authenticator doesn't serve requests that came before."""
    browser.value(
        "(ask => { fetch = (...given) => new Promise(go => { window.go = go }).then(() => ask(...given)) })(fetch)"
    )
    browser.press(PASSKEY)
    browser.until("!!window.go")
    present(browser, of, yes=True)
    browser.value("window.go()")


def pressed(browser: Chromium) -> None:
    """Click the button, and wait for the next page."""
    offered(browser)
    press(browser, PASSKEY)
