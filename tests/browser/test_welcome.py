"""The page that one-time links open, in a real browser."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from manifest_auth.runtime.clock import Clock
from tests.browser.driver import Chromium
from tests.support.matrix import matrix
from tests.support.oidc_op import provider
from tests.support.rules import rule
from tests.support.server import DEMO_PASSWORD, Server, served
from tests.support.user_management import INVITE, NEW, RESET

OVER = "This link or code is no longer valid"
SEND = "form[action='/welcome'] .primary"
IN = "document.querySelector('h1')?.textContent === 'Your account'"
MARKUP = "<img src=x onerror=alert(1)> & Söhne"


class Setup(NamedTuple):
    """The server, and the access tokens of the two users who create links."""

    server: Server
    admin: str
    client_admin: str

    def send(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.server.base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def link(self, document: str, **variables: Any) -> str:
        """A one-time link, in the form that acme's Admin sees."""
        body = {"query": document, "variables": variables}
        [handed] = self.send("POST", "/api/client/graphql", body, self.client_admin)["data"].values()
        return str(handed["link"])

    def invite(self, email: str) -> str:
        return self.link(INVITE, input={"email": email, "roles": ["Viewer"]})

    def signs_in(self, email: str, password: str) -> bool:
        body = {"email": email, "password": password}
        return bool(self.send("POST", "/api/client/auth/sign-in", body)["success"])

    def settle(self, **settings: Any) -> None:
        self.send("PATCH", "/api/admin/clients/acme", {"settings": settings}, self.admin)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with served(tmp_path_factory.mktemp("server")) as server:
        at = Setup(server, "", "")
        admin = {"username": "admin", "password": DEMO_PASSWORD}
        client_admin = {"email": "admin@acme.example", "password": DEMO_PASSWORD}
        yield Setup(
            server,
            at.send("POST", "/api/admin/auth/sign-in", admin)["data"]["token"],
            at.send("POST", "/api/client/auth/sign-in", client_admin)["data"]["token"],
        )


@pytest.fixture(autouse=True)
def afresh(browser: Chromium) -> None:
    browser.requests.clear()
    browser.complaints.clear()


def submit(browser: Chromium, password: str) -> None:
    browser.type("#password", password)
    browser.press(SEND)


def mailbox(browser: Chromium, email: str) -> None:
    """Check that the page shows that account."""
    browser.until(f"document.querySelector('input[name=email]')?.value === {json.dumps(email)}")


def refused(browser: Chromium, sentence: str) -> None:
    """Check that errors are above the form and next to the field, and that the browser has moved the focus there."""
    browser.until(f"document.querySelector('.summary:focus')?.textContent.includes({json.dumps(sentence)})")


@rule("ONE-TIME-LINK")
def test_an_invited_user_sets_a_password_and_is_signed_in(setup: Setup, browser: Chromium) -> None:
    link = setup.invite("ada@page.example")
    token = link.partition("#")[2]
    browser.open(link)
    browser.shows("Welcome to Acme Corporation")
    mailbox(browser, "ada@page.example")
    browser.shows("At least 15 characters")
    submit(browser, "short")
    refused(browser, "Must have at least 15 characters")
    submit(browser, "passwordpassword")
    refused(browser, "Too easy to guess")
    submit(browser, NEW)
    browser.until(IN)
    me = browser.value("fetch('/api/client/auth/me').then(answer => answer.json())")
    assert me["data"]["user"]["email"] == "ada@page.example"
    assert browser.value("location.href") == f"{setup.server.base}/account"
    assert setup.signs_in("ada@page.example", NEW)
    # Only bodies contained the token, and no external resources were loaded. Browsers report a document's URL without
    # its #.
    asked = [address for address in browser.requests if not address.startswith("about:")]
    assert len(asked) >= 4
    assert "/welcome" in str(asked)
    assert all(address.startswith(setup.server.base) for address in asked)
    assert token not in str(asked)
    assert token not in setup.server.output.read_text()
    assert [line for line in browser.complaints if "400" not in line] == []


def test_a_forgotten_password_is_replaced(setup: Setup, browser: Chromium) -> None:
    link = setup.invite("grace@page.example")
    browser.open(link)
    submit_when_ready(browser, NEW)
    user = '{ users(filter: {search: "grace@page"}) { id } }'
    found = setup.send("POST", "/api/client/graphql", {"query": user}, setup.client_admin)["data"]["users"]
    browser.open(setup.link(RESET, id=found[0]["id"]))
    browser.shows("Choose a new password")
    submit_when_ready(browser, "quartz-meadow-58-signal")
    assert setup.signs_in("grace@page.example", "quartz-meadow-58-signal")
    assert not setup.signs_in("grace@page.example", NEW)


def submit_when_ready(browser: Chromium, password: str) -> None:
    browser.until("document.querySelector('#password')?.checkVisibility()")
    submit(browser, password)
    browser.until(IN)


@matrix("fragment", ["#made-up", "#%", "#<script>alert(1)</script>", "#" + "x" * 3000])
def test_an_invalid_link_says_so(setup: Setup, browser: Chromium, fragment: str) -> None:
    browser.open(f"{setup.server.base}/welcome{fragment}")
    refused(browser, "Too long" if len(fragment) > 100 else OVER)
    assert not browser.value("document.querySelector('#password')")


@matrix("fragment", ["", "#"])
def test_without_a_token_the_page_asks_for_the_code(setup: Setup, browser: Chromium, fragment: str) -> None:
    browser.open(f"{setup.server.base}/welcome{fragment}")
    browser.shows("Enter your code")
    browser.type("#token", setup.invite(f"typed{len(fragment)}@page.example").partition("#")[2])
    browser.press(SEND)
    browser.shows("Welcome to Acme Corporation")


@pytest.mark.endurance
def test_a_link_that_was_just_used_says_so(setup: Setup, browser: Chromium) -> None:
    link = setup.invite("late@page.example")
    browser.open(link)
    mailbox(browser, "late@page.example")
    body = {"token": link.partition("#")[2], "password": NEW}
    assert setup.send("POST", "/api/client/auth/invitations/accept", body)["success"]
    submit(browser, NEW + "-9")
    refused(browser, OVER)
    assert setup.signs_in("late@page.example", NEW)


@pytest.mark.endurance
def test_another_link_in_the_same_tab_replaces_the_first(setup: Setup, browser: Chromium) -> None:
    browser.open(setup.invite("one@page.example"))
    mailbox(browser, "one@page.example")
    browser.value(f"location.hash = {json.dumps(setup.invite('other@page.example').partition('#')[2])}")
    mailbox(browser, "other@page.example")


@pytest.mark.endurance
def test_it_fits_a_phone(setup: Setup, browser: Chromium) -> None:
    browser.phone(320, 640)
    try:
        browser.open(setup.invite("a-very-long-address-without-a-single-space-in-it@page.example"))
        browser.until("document.querySelector('#password')?.checkVisibility()")
        assert browser.value("document.documentElement.scrollWidth") == 320
        assert browser.value("parseFloat(getComputedStyle(document.querySelector('#password')).fontSize)") >= 16
        for element in ("#password", SEND):
            assert browser.value(f"document.querySelector({json.dumps(element)}).getBoundingClientRect().height") >= 48
    finally:
        browser._call("Emulation.clearDeviceMetricsOverride")


@pytest.mark.endurance
def test_names_from_others_are_shown_as_text(setup: Setup, browser: Chromium) -> None:
    setup.send("PATCH", "/api/admin/clients/acme", {"name": MARKUP}, setup.admin)
    try:
        browser.open(setup.invite("markup@page.example"))
        browser.shows(f"Welcome to {MARKUP}")
        assert browser.value("document.querySelectorAll('[onerror]').length") == 0
    finally:
        setup.send("PATCH", "/api/admin/clients/acme", {"name": "Acme Corporation"}, setup.admin)


@pytest.mark.endurance
def test_the_clients_own_rule_is_shown_and_what_comes_next(setup: Setup, browser: Chromium) -> None:
    setup.settle(password={"minLength": 20, "characterClasses": 4}, returnAddresses=["https://app.acme.example/in"])
    try:
        browser.open(setup.invite("rule@page.example"))
        browser.shows("At least 20 characters")
        browser.shows("With 4 of these:")
        submit(browser, "granite-otter-lantern")
        refused(browser, "Use at least 4 of these")
        submit(browser, "Granite-otter-47-lantern")
        browser.until("location.pathname == '/account'")
    finally:
        setup.settle(password={"minLength": 15, "characterClasses": 0}, returnAddresses=[])


@pytest.mark.endurance
def test_without_passwords_the_provider_is_the_sign_in_method(setup: Setup, browser: Chromium) -> None:
    with provider(Clock()) as op:
        oidc = {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret}
        made = {"name": "company", "displayName": "The <b>Company</b>", "oidc": oidc}
        assert setup.send("POST", "/api/admin/clients/acme/providers", made, setup.admin)["success"]
        link = setup.invite("sso@page.example")
        token = link.partition("#")[2]
        browser.open(link)
        browser.shows("Continue with The <b>Company</b>")
        assert browser.value("document.querySelector('#password').checkVisibility()")
        setup.settle(passwordSignIn=False)
        try:
            browser.open(link)
            browser.shows("Passwords are turned off")
            assert not browser.value("document.querySelector('#password')")
            browser.press(".ways a")
            browser.until("location.pathname == '/account'")  # through the provider
            browser.shows("sso@page.example")
            assert [address for address in browser.requests if address.startswith(op.issuer)]
            assert token not in str(browser.requests)
            assert token not in setup.server.output.read_text()
        finally:
            setup.settle(passwordSignIn=True)
            setup.send("DELETE", "/api/admin/clients/acme/providers/company", None, setup.admin)


@pytest.mark.endurance
def test_a_missing_provider_is_reported(setup: Setup, browser: Chromium) -> None:
    oidc = {"issuer": "http://127.0.0.1:9/op", "clientId": "c", "clientSecret": "s"}
    made = {"name": "gone", "displayName": "Gone", "oidc": oidc}
    assert setup.send("POST", "/api/admin/clients/acme/providers", made, setup.admin)["success"]
    try:
        browser.open(setup.invite("no-way@page.example"))
        browser.shows("Continue with Gone")
        browser.press(".ways a")
        browser.shows("Your organization's sign-in service isn't responding")
        browser.shows("Try again")
    finally:
        setup.send("DELETE", "/api/admin/clients/acme/providers/gone", None, setup.admin)


@pytest.mark.endurance
def test_what_is_typed_can_be_shown_and_password_managers_understand_the_form(setup: Setup, browser: Chromium) -> None:
    browser.open(setup.invite("show@page.example"))
    browser.until("document.querySelector('#password')?.checkVisibility()")
    kind = "document.querySelector('#password').type"
    assert browser.value(kind) == "password"
    browser.until("document.querySelector('[data-shows]').checkVisibility()")
    browser.press("[data-shows]")
    assert browser.value(kind) == "text"
    browser.press("[data-shows]")
    assert browser.value(kind) == "password"
    fields = "[...document.querySelectorAll('main [autocomplete]')].map(field => [field.autocomplete, field.value])"
    assert browser.value(fields) == [["username", "show@page.example"], ["new-password", ""]]
