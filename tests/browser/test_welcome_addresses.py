"""The page that confirms a new email address or restores the old one, in a real browser."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.browser.driver import Chromium
from tests.support.mail_server import MailServer, Received
from tests.support.server import DEMO_PASSWORD, Server, served

OVER = "This link or code is no longer valid"
YES = "form[action='/welcome'] .primary"


class Setup(NamedTuple):
    """A server that sends emails, and the mail server that receives them."""

    server: Server
    mail_server: MailServer

    def send(self, path: str, body: Any, token: str = "") -> Any:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        request = urllib.request.Request(self.server.base + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def sign_in(self, email: str) -> str:
        return str(self.send("/api/client/auth/sign-in", {"email": email, "password": DEMO_PASSWORD})["token"])

    def ask(self, email: str, new: str) -> None:
        """Request another address, as the user."""
        body = {"newEmail": new, "currentPassword": DEMO_PASSWORD}
        self.send("/api/client/auth/email", body, self.sign_in(email))

    def mailed_to(self, email: str, text: str) -> Received:
        """The email to that address with this text in its subject."""
        deadline = time.monotonic() + 30
        while True:
            for received in list(self.mail_server.mails):
                if received.recipients == [email] and text in received.message["Subject"]:
                    return received
            assert time.monotonic() < deadline, "no such email came"
            time.sleep(0.02)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with MailServer() as mail_server, served(tmp_path_factory.mktemp("server"), **mail_server.settings) as server:
        yield Setup(server, mail_server)


def test_a_new_address_is_confirmed_and_the_old_one_restored(setup: Setup, browser: Chromium) -> None:
    old, new = "author@acme.example", "arthur@acme.example"
    setup.ask(old, new)
    link = setup.mailed_to(new, "confirm").link
    browser.open(link)
    browser.shows("Confirm your new address")
    browser.shows(f"{new} becomes the email address of your account at Acme Corporation")
    assert setup.sign_in(old)  # opening a link changes nothing, even for mail scanners
    browser.press(YES)
    browser.shows("Your address is confirmed")
    assert browser.value("location.pathname") == "/welcome"
    assert setup.sign_in(new)
    browser.open(link)
    browser.shows(OVER)

    link = setup.mailed_to(old, "was changed").link
    browser.open(link)
    browser.shows("Restore your previous address")
    browser.shows("This signs out all devices")
    assert not browser.value("document.querySelector('#password')")
    browser.press(YES)
    browser.shows("Your address is restored")
    browser.shows(f"We sent a link to choose a new password to {old}")
    browser.open(setup.mailed_to(old, "new password").link)
    browser.shows("Choose a new password")
    asked = [address for address in browser.requests if not address.startswith("about:")]
    assert all(address.startswith(setup.server.base) for address in asked)
    tokens = [received.token for received in setup.mail_server.mails if "welcome#" in received.text]
    assert len(tokens) == 3
    for token in tokens:
        assert token not in str(asked)
        assert token not in setup.server.output.read_text()
    assert [line for line in browser.complaints if "401" not in line] == []


@pytest.mark.endurance
def test_an_address_that_was_just_taken_is_reported(setup: Setup, browser: Chromium) -> None:
    new = "soon-taken@acme.example"
    setup.ask("viewer@acme.example", new)
    browser.open(setup.mailed_to(new, "confirm").link)
    browser.shows("Confirm your new address")
    token = setup.sign_in("admin@acme.example")
    document = "mutation($input: AddUserInput!) { addUser(input: $input) { id } }"
    made = {"query": document, "variables": {"input": {"email": new, "roles": ["Viewer"]}}}
    assert setup.send("/api/client/graphql", made, token)["addUser"]["id"]
    browser.press(YES)
    browser.shows("There is a problem")
    browser.shows("A user with this email address already exists")


@pytest.mark.endurance
def test_it_fits_a_phone(setup: Setup, browser: Chromium) -> None:
    new = "a-very-long-address-without-a-single-space-in-it@acme.example"
    setup.ask("operator@acme.example", new)
    browser.phone(320, 640)
    try:
        browser.open(setup.mailed_to(new, "confirm").link)
        browser.shows("Confirm your new address")
        assert browser.value("document.documentElement.scrollWidth") == 320
        assert browser.value("document.querySelector('main .primary').getBoundingClientRect().height") >= 48
    finally:
        browser._call("Emulation.clearDeviceMetricsOverride")
