"""All parts of the pages, each with its states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.browser import (
    account_states,
    console_states,
    device_states,
    installation_states,
    pages,
    passkey_states,
    provider_states,
    step_states,
)
from tests.browser.covering import shown_routes
from tests.browser.driver import Chromium
from tests.browser.looking import route_of
from tests.browser.pages import press
from tests.browser.parts import Part, of_setup, of_world
from tests.browser.passkeys import named

Go = Callable[[Any, Chromium], None]
_LISTS: tuple[Mapping[str, Go], ...] = (
    pages.STATES,
    step_states.STATES,
    passkey_states.STATES,
    account_states.STATES,
    device_states.STATES,
    console_states.STATES,
    provider_states.STATES,
    installation_states.FIRST,
    installation_states.UNLICENSED,
    installation_states.STATES,
)
_NAMED = {route_of(state) for states in _LISTS for state in states}
#: Fill every text field of the form that posts to an address with a character that none of them allows.
_WRONG_TEXTS = (
    "document.querySelectorAll('form[action=\"{}\"] :is(input:not([type=hidden]), textarea)')"
    ".forEach(each => {{ each.value = 'a\\u200bb'; }})"
)


def _with_others(states: Mapping[str, Go], prefix: str, at: Callable[[str], Go]) -> dict[str, Go]:
    """Return the states, and one for each route below ``prefix`` that no list names.

    That state is the page at its address, or its form with invalid texts. ``at`` signs in and opens an address below
    ``prefix``.
    """
    own = dict(states)
    for route in shown_routes():
        name, path = f"{route.method} {route.path}", route.path
        if path.startswith(prefix) and "{" not in path and name not in _NAMED:
            page = at(path.removeprefix(prefix))
            own[name] = page if route.method == "GET" else _sent_wrong(path, page)
    return own


def _sent_wrong(path: str, page: Go) -> Go:
    def go(setup: Any, browser: Chromium) -> None:
        page(setup, browser)
        browser.value(_WRONG_TEXTS.format(path))
        press(browser, f'form[action="{path}"] .primary')

    return go


_ACCOUNT = _with_others(account_states.STATES, "/account", lambda path: account_states.at(f"/account{path}"))
_CONSOLE = _with_others(console_states.STATES, "/console", console_states.at)
_INSTALLATION = _with_others(installation_states.STATES, "/installation", installation_states.at)
PARTS: dict[str, Part] = {
    "sign-in": of_setup(pages.STATES),
    "second factor": of_setup(step_states.STATES),
    "passkeys": of_setup(passkey_states.STATES, named),
    "account": of_setup(_ACCOUNT, settings=account_states.WITH_MAIL),
    "devices": of_setup(device_states.STATES),
    "console": of_world(_CONSOLE, console_states.running),
    "providers": of_world(provider_states.STATES, provider_states.running),
    "first run": of_world(installation_states.FIRST, installation_states.first_run),
    "no licence": of_world(installation_states.UNLICENSED, installation_states.unlicensed),
    "installation": of_setup(_INSTALLATION),
}
