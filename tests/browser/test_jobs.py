"""Tasks of new users, each with a number of steps that can't increase unnoticed.

A step is opening a URL, clicking a link or button, filling in a field, or ticking a box. Steps on a provider's pages
don't count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.browser.console_states import signed_in
from tests.browser.driver import Chromium
from tests.browser.installation_states import ROOT, first_run
from tests.browser.pages import forget, open_
from tests.browser.pages import press as press_element
from tests.support.matrix import matrix
from tests.support.oidc_op import provider
from tests.support.server import DEMO_PASSWORD, Server, served

ADMIN = "admin@acme.example"
#: Mark the visible element, or the field with that label.
_MARK = """((kinds, text) => {
  document.querySelectorAll('[data-hand]').forEach(each => each.removeAttribute('data-hand'));
  const name = each => (each.getAttribute('aria-label') || each.textContent).trim();
  const found = [...document.querySelectorAll(kinds)].filter(each => each.offsetParent && name(each) === text);
  const first = found.length ? found[0].control || found[0] : null;
  first?.setAttribute('data-hand', '');
  return Boolean(first);
})(%s, %s)"""


class Hand:
    """A person who performs a task, and the steps so far."""

    def __init__(self, browser: Chromium, server: Server) -> None:
        forget(browser)
        browser.size(1280)
        self.browser, self.server, self.steps = browser, server, 0

    def open(self, path: str) -> None:
        open_(self.browser, self.server.base + path)
        self.steps += 1

    def press(self, name: str) -> None:
        """Click a link or button that leads to another page."""
        self._mark("a, button", name)
        press_element(self.browser, "[data-hand]")
        self.steps += 1

    def copy(self) -> None:
        self.browser.press("main [data-copies]")
        self.steps += 1

    def fill(self, label: str, text: str) -> None:
        self._mark("label", label)
        self.browser.type("[data-hand]", text)
        self.steps += 1

    def _mark(self, kinds: str, name: str) -> None:
        found = self.browser.value(_MARK % (json.dumps(kinds), json.dumps(name)))
        assert found, (name, self.browser.text())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running


def _in_console(hand: Hand) -> None:
    """Open the console's overview as a signed-in Admin."""
    session, _ = signed_in(hand.server, ADMIN)
    hand.browser._call("Network.setCookie", name="session", value=session, url=hand.server.base)
    open_(hand.browser, f"{hand.server.base}/console")


def _sign_in(hand: Hand) -> None:
    hand.open("/")
    hand.fill("Email address", ADMIN)
    hand.fill("Password", DEMO_PASSWORD)
    hand.press("Sign in")
    hand.press("Console")
    hand.browser.shows("Status and recent activity for Acme Corporation.")


def _invite(hand: Hand) -> None:
    _in_console(hand)
    hand.fill("Email addresses", "grace@acme.example\nedsger@acme.example")
    hand.press("Create invitations")
    hand.browser.shows("2 of 2 invited")
    for _ in range(2):
        hand.copy()


def _connect(hand: Hand) -> None:
    _in_console(hand)
    with provider() as op:
        op.user["email"] = "someone@acme.example"
        hand.press("Providers")
        hand.press("Another provider, OpenID Connect")
        hand.copy()
        hand.fill("Issuer", op.issuer)
        hand.fill("Client ID", op.client_id)
        hand.fill("Client secret", op.client_secret or "")
        hand.press("Save and continue")
        hand.press("Save and continue")
        hand.press("Start test sign-in")
        hand.browser.shows("At a real sign-in, this user gets a new account.")
        hand.press("Turn on provider")
        hand.browser.shows("Turn off or delete")


def _require(hand: Hand) -> None:
    _in_console(hand)
    hand.press("Require second factor: Admins can sign in with only a password")
    hand.browser.shows("Users with these roles must have a second factor: Admin.")
    hand.press("Save changes")
    hand.browser.shows("Settings saved.")


def _first_client(hand: Hand, code: str) -> None:
    hand.open(ROOT)
    hand.fill("Setup code", code)
    hand.fill("User name", "ada")
    hand.fill("Password", DEMO_PASSWORD)
    hand.press("Create account")
    assert hand.browser.value("location.pathname + location.search") == ROOT
    hand.browser.shows("You're the first system admin.")
    hand.press("Create your first client")
    hand.fill("Name", "Acme Corporation")
    hand.fill("Email of its first Admin (optional)", "boss@acme.example")
    hand.press("Create client")
    assert hand.browser.value("location.pathname") == f"{ROOT}/clients/acme-corporation"
    hand.copy()


class Job(NamedTuple):
    do: Callable[[Hand], None]
    steps: int


#: They initially took 6, 5, 17, and 5.
JOBS = {
    "sign in": Job(_sign_in, 5),
    "invite two users": Job(_invite, 4),
    "connect a provider": Job(_connect, 10),
    "require a second factor for Admins": Job(_require, 2),
}


@matrix("job", JOBS)
def test_a_job_takes_few_steps(server: Server, browser: Chromium, job: str) -> None:
    hand = Hand(browser, server)
    JOBS[job].do(hand)
    assert hand.steps == JOBS[job].steps


def test_the_first_client_of_an_empty_server_takes_ten_steps(
    browser: Chromium, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It initially took 12."""
    with first_run(tmp_path_factory.mktemp("first")) as run:
        hand = Hand(browser, run.server)
        _first_client(hand, run.code)
        assert hand.steps == 10
