"""Pages of the second factor at sign-in in each of their states."""

from __future__ import annotations

import itertools
import json
import time
import urllib.error
from typing import Any, NamedTuple

import pyotp

from tests.browser.driver import Chromium
from tests.browser.pages import Setup, old_form, open_, press, send
from tests.browser.parts import Go
from tests.support.server import DEMO_PASSWORD

_numbers = itertools.count(1)
REQUIRED: dict[str, Any] = {"secondFactor": {"policy": "required", "graceDays": 0}}
GRACE: dict[str, Any] = {"secondFactor": {"policy": "required", "graceDays": 7}}
_SIGN_IN = "/api/client/auth/sign-in"


class Someone(NamedTuple):
    """A user of a separate client. ``secret`` belongs to the authenticator app, or is empty; ``codes`` are recovery
    codes."""

    client: str
    email: str
    secret: str = ""
    codes: tuple[str, ...] = ()

    def code(self, steps: int = 0) -> str:
        """The app's current code, or the one this many steps of 30 seconds later."""
        return pyotp.TOTP(self.secret).at(int(time.time()) + 30 * steps)


def new_one(setup: Setup, **settings: Any) -> Someone:
    """A user with a password, but no second factor yet."""
    admin = send(setup.server, "/api/admin/auth/sign-in", {"username": "admin", "password": DEMO_PASSWORD})
    token, client = admin["data"]["token"], f"step-{next(_numbers)}"
    send(setup.server, "/api/admin/clients", {"identifier": client, "name": "Acme", "settings": settings}, token)
    one = Someone(client, f"ada@{client}.example")
    body = {"email": one.email, "password": DEMO_PASSWORD, "roles": ["Author"]}
    send(setup.server, f"/api/admin/clients/{client}/users", body, token)
    return one


def enrolled(setup: Setup) -> Someone:
    """A user with an app and an unused current code."""
    one = new_one(setup, **REQUIRED)
    challenge = _challenge(setup, one)
    secret = send(setup.server, f"{_SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"})["data"]["secret"]
    one = one._replace(secret=secret)
    given = {"challenge": challenge, "otp": one.code(-1)}
    made = send(setup.server, f"{_SIGN_IN}/continue", given)["data"]["recoveryCodes"]
    return one._replace(codes=tuple(made))


def _challenge(setup: Setup, one: Someone) -> str:
    """The challenge of a sign-in that must enroll a factor."""
    try:
        send(setup.server, _SIGN_IN, {"email": one.email, "password": DEMO_PASSWORD})
    except urllib.error.HTTPError as refused:
        return str(json.load(refused)["error"]["challenge"])
    raise AssertionError("no factor was asked for")


def password_typed(setup: Setup, browser: Chromium, one: Someone) -> None:
    open_(browser, f"{setup.server.base}/sign-in?client={one.client}")
    browser.type("#email", one.email)
    browser.type("#password", DEMO_PASSWORD)
    press(browser)


def _asked(setup: Setup, browser: Chromium) -> None:
    password_typed(setup, browser, enrolled(setup))


def _recovery(setup: Setup, browser: Chromium) -> None:
    _asked(setup, browser)
    press(browser, ".ways a")


def _enrolling(setup: Setup, browser: Chromium) -> None:
    password_typed(setup, browser, new_one(setup, **REQUIRED))


def begun(setup: Setup, browser: Chromium) -> Someone:
    """The page with the key, for a new user who added it to the app."""
    one = new_one(setup, **REQUIRED)
    password_typed(setup, browser, one)
    press(browser, "form[action='/sign-in/enrol'] .button")
    key = browser.value("document.querySelector('#secret').textContent")
    return one._replace(secret=key.replace(" ", ""))


def _begun(setup: Setup, browser: Chromium) -> None:
    begun(setup, browser)


def codes(setup: Setup, browser: Chromium) -> None:
    """The page with new recovery codes."""
    one = begun(setup, browser)
    browser.type("#otp", one.code())
    press(browser)


def with_factor(path: str, *steps: str, trust: bool = False) -> Go:
    """A page of the account, for a user who has just entered a code; then clicks these elements."""

    def go(setup: Setup, browser: Chromium) -> None:
        one = enrolled(setup)
        password_typed(setup, browser, one)
        if trust:
            browser.press("#trust")
        browser.type("#otp", one.code())
        press(browser)
        open_(browser, setup.server.base + path)
        for step in steps:
            press(browser, step)

    return go


def _due(setup: Setup, browser: Chromium) -> None:
    password_typed(setup, browser, new_one(setup, **GRACE))
    open_(browser, setup.server.base + "/account/second-factor")


def _offered(setup: Setup, browser: Chromium) -> None:
    password_typed(setup, browser, new_one(setup, **GRACE))


def _wrong(go: Go, field: str = "otp") -> Go:
    def typed(setup: Setup, browser: Chromium) -> None:
        go(setup, browser)
        browser.type(f"#{field}", "nonsense")
        press(browser)

    return typed


def _late(go: Go) -> Go:
    """Submit the form after its step and cookie have expired."""

    def sent(setup: Setup, browser: Chromium) -> None:
        go(setup, browser)
        browser.type("#otp", "123456")
        browser._call("Network.deleteCookies", name="step", url=setup.server.base)
        press(browser)

    return sent


def _old(go: Go, button: str = "main form .primary") -> Go:
    def sent(setup: Setup, browser: Chromium) -> None:
        go(setup, browser)
        old_form(browser, button)

    return sent


def _at(path: str) -> Go:
    return lambda setup, browser: open_(browser, setup.server.base + path)


#: Name → steps to reach it.
STATES: dict[str, Go] = {
    "GET /sign-in/second-factor": _asked,
    "GET /sign-in/second-factor recovery": _recovery,
    "GET /sign-in/second-factor over": _at("/sign-in/second-factor"),
    "POST /sign-in/second-factor": _wrong(_asked),
    "POST /sign-in/second-factor recovery": _wrong(_recovery, "recoveryCode"),
    "POST /sign-in/second-factor over": _late(_asked),
    "GET /sign-in/enrol": _enrolling,
    "GET /sign-in/enrol app": _begun,
    "GET /sign-in/enrol over": _at("/sign-in/enrol"),
    "POST /sign-in/enrol": _wrong(_begun),
    "POST /sign-in/enrol over": _late(_begun),
    "GET /sign-in/codes": codes,
    "POST /sign-in/codes": _old(codes),
    "GET /sign-in/done factor": _offered,
    "GET /account/second-factor due": _due,
    "GET /account/second-factor there": with_factor("/account/second-factor"),
    "GET /account/codes": with_factor("/account/codes"),
    "POST /account/codes": with_factor("/account/codes", "main form .primary"),
    "GET /account/devices": with_factor("/account/devices", trust=True),
    "POST /account/devices": _old(with_factor("/account/devices", trust=True), "tbody button"),
    "GET /reauthenticate code": with_factor("/reauthenticate?returnTo=/account/codes"),
    "POST /reauthenticate code": with_factor("/reauthenticate", "main form .primary"),
    "GET /reauthenticate recovery": with_factor("/reauthenticate", ".ways a"),
}
