"""Pages with which users approve a headset, in each of their states."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from tests.browser.account_states import new_person
from tests.browser.driver import Chromium
from tests.browser.pages import Setup, admin_token, open_, press, send, sign_in

PAIR = "/account/devices/pair"
_APP = "manifest.acme"


def headset(setup: Setup, path: str, **fields: str) -> dict[str, Any]:
    """The response to a headset with the client's own app."""
    body = urllib.parse.urlencode({"client_id": _APP, **fields}).encode()
    with urllib.request.urlopen(setup.server.base + path, body, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def poll(setup: Setup, device_code: str) -> dict[str, Any]:
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    return headset(setup, "/oauth2/token", grant_type=grant, device_code=device_code)


def by_code(setup: Setup, *, is_on: bool = True) -> None:
    """Turn approval by a device's code on or off."""
    path, token = "/api/admin/clients/acme", admin_token(setup.server)
    send(setup.server, path, {"settings": {"pairing": {"code": is_on}}}, token, "PATCH")


def code_shown(setup: Setup, browser: Chromium, *roles: str) -> None:
    """A user with a code on the screen for a headset to scan."""
    sign_in(setup, browser, email=new_person(setup, *(roles or ("Operator", "Viewer"))))
    open_(browser, setup.server.base + PAIR)
    press(browser)


def scanned(setup: Setup, browser: Chromium) -> dict[str, Any]:
    """Claim the code with a headset, and return the response. The page then asks for the number automatically."""
    code_shown(setup, browser)
    typed = str(browser.value("document.querySelector('.typed').textContent"))
    asked = headset(setup, "/oauth2/pairing", pairing_code=typed, device_name="Quest 3 " + "Long" * 8)
    browser.until("Boolean(document.querySelector('#match'))")
    return asked


def _claimed(setup: Setup, browser: Chromium) -> None:
    scanned(setup, browser)


def _number(browser: Chromium, digits: str) -> None:
    browser.type("#match", digits)
    press(browser)


def _done(setup: Setup, browser: Chromium) -> None:
    asked = scanned(setup, browser)
    _number(browser, asked["match"])
    poll(setup, asked["device_code"])
    browser.until("Boolean(document.querySelector('.notice-good'))")


def _listed(setup: Setup, browser: Chromium) -> None:
    _done(setup, browser)
    open_(browser, f"{setup.server.base}/account/devices")


def _approved(setup: Setup, browser: Chromium) -> None:
    _number(browser, scanned(setup, browser)["match"])


def _denied(setup: Setup, browser: Chromium) -> None:
    match = scanned(setup, browser)["match"]
    _number(browser, "00" if match != "00" else "01")


def _waiting(setup: Setup, browser: Chromium) -> None:
    code_shown(setup, browser)
    press(browser, "a.primary")


def _half_a_number(setup: Setup, browser: Chromium) -> None:
    scanned(setup, browser)
    _number(browser, "4")


def _shows(
    setup: Setup, browser: Chromium, path: str = "/device", *, is_on: bool = True, role: str = "Operator"
) -> None:
    """A page below ``/device``, with CODE replaced by a headset's code."""
    by_code(setup)
    code = headset(setup, "/oauth2/device_authorization", device_name="Quest 3")["user_code"]
    by_code(setup, is_on=is_on)
    sign_in(setup, browser, email=new_person(setup, role))
    open_(browser, setup.server.base + path.replace("CODE", code))


def _at(path: str, **options: Any) -> Callable[[Setup, Chromium], None]:
    return lambda setup, browser: _shows(setup, browser, path, **options)


def _unknown(setup: Setup, browser: Chromium) -> None:
    _shows(setup, browser)
    browser.type("#user_code", "BBBB-BBBB")
    press(browser)


def _no_role(setup: Setup, browser: Chromium) -> None:
    _shows(setup, browser, "/device/confirm?user_code=CODE", role="Admin")
    press(browser, "main .primary")


#: Name → steps to reach it.
STATES: dict[str, Callable[[Setup, Chromium], None]] = {
    "GET /account/devices signed in": _listed,
    "GET /account/devices/pair": _at(PAIR),
    "POST /account/devices/pair code": code_shown,
    "GET /account/devices/pair waiting": _waiting,
    "GET /account/devices/pair claimed": _claimed,
    "POST /account/devices/pair": _half_a_number,
    "GET /account/devices/pair approved": _approved,
    "GET /account/devices/pair done": _done,
    "POST /account/devices/pair denied": _denied,
    "GET /device": _at("/device"),
    "GET /device off": _at("/device", is_on=False),
    "GET /device code": _at("/device?user_code=CODE"),
    "POST /device": _unknown,
    "GET /device/confirm": _at("/device/confirm?user_code=CODE"),
    "POST /device/confirm": _no_role,
    "GET /pair": _at("/pair"),
}
