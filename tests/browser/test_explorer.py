"""The GraphQL explorer in a real browser works without internet, and only with its user's permissions."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.browser.driver import ONE_BY_ONE, Chromium
from tests.support.server import DEMO_PASSWORD, Server, served

ANSWER = "document.querySelector('#answer').textContent"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile"), *ONE_BY_ONE) as opened:
        yield opened


@pytest.fixture
def browser(chromium: Chromium, server: Server) -> Chromium:
    """Open the page without a session."""
    chromium._call("Network.clearBrowserCookies")
    chromium.requests.clear()
    chromium.complaints.clear()
    chromium.open(f"{server.base}/explorer")
    chromium.shows("GraphQL explorer")
    return chromium


def sign_in(browser: Chromium, email: str = "admin@acme.example", password: str = DEMO_PASSWORD) -> None:
    browser.type("#email", email)
    browser.type("#password", password)
    browser.press("#login button")


def run(browser: Chromium, query: str, variables: str = "") -> None:
    browser.type("#query", query)
    browser.type("#variables", variables)
    browser.press("#run")


def answers(browser: Chromium, text: str) -> None:
    browser.until(f"{ANSWER}.includes({json.dumps(text)})")


def test_a_user_signs_in_sends_a_query_and_reads_the_schema(server: Server, browser: Chromium) -> None:
    sign_in(browser)
    browser.shows("Signed in as admin@acme.example")
    assert browser.value("document.querySelector('#password').value") == ""
    browser.until("document.querySelectorAll('#schema details').length > 30")
    listed = browser.value("[...document.querySelectorAll('#schema summary code')].map(code => code.textContent)")
    assert listed[:2] == ["Query", "Mutation"]
    assert {"Job", "Template", "User", "AddJobInput", "JobStatus"} <= set(listed)
    assert "__Schema" not in listed

    browser.press("#run")  # the initial query
    answers(browser, '"identifier": "acme"')
    run(browser, "query($n: Int) { users(first: $n) { email } }", '{"n": 2}')
    answers(browser, "users")
    told = json.loads(browser.value(ANSWER))
    assert [len(user) for user in told["data"]["users"]] == [1, 1]

    browser.type("#find", "assignUserToJob")
    browser.shows("assignUserToJob(jobId: Int!, userId: Int!): Job")
    browser.shows("Needs `jobs:execute`.")
    assert browser.value("document.querySelectorAll('#schema details').length") == 1

    asked = [address for address in browser.requests if not address.startswith("about:")]
    assert len(asked) >= 5
    assert [address for address in asked if not address.startswith(f"{server.base}/")] == []
    assert [line for line in browser.complaints if "favicon" not in line] == []


@pytest.mark.endurance
def test_mistakes_are_shown(browser: Chromium) -> None:
    sign_in(browser, password="wrong-" + DEMO_PASSWORD)
    browser.shows("Invalid email or password")
    browser.press("#run")
    answers(browser, "UNAUTHENTICATED")
    sign_in(browser, "viewer@acme.example")
    browser.shows("Signed in as viewer@acme.example")
    run(browser, "mutation { startJob(id: 1) { id } }")
    answers(browser, "FORBIDDEN")
    run(browser, "{ nothing }")
    answers(browser, "Cannot query field")
    run(browser, "{ me { id } }", "{")
    answers(browser, "SyntaxError")


@pytest.mark.endurance
def test_content_from_others_is_shown_as_text(browser: Chromium) -> None:
    sign_in(browser)
    browser.shows("Signed in as")
    markup = "<img src=x onerror=alert(1)>"
    run(
        browser,
        "mutation($name: String!) { addTemplate(input: {name: $name}) { name } }",
        json.dumps({"name": markup}),
    )
    answers(browser, markup)
    assert browser.value("document.images.length") == 0


@pytest.mark.endurance
def test_the_session_cookie_is_used_without_a_sign_in(server: Server, browser: Chromium) -> None:
    body = json.dumps({"email": "viewer@acme.example", "password": DEMO_PASSWORD})
    sent = f"""fetch('/api/client/auth/sign-in', {{method: 'POST', body: {json.dumps(body)},
        headers: {{'Content-Type': 'application/json'}}}}).then(answer => answer.status)"""
    assert browser.value(sent) == 200
    browser.press("#run")
    answers(browser, "viewer@acme.example")
    browser.until("document.querySelectorAll('#schema details').length > 30")


@pytest.mark.endurance
def test_it_fits_a_phone(server: Server, browser: Chromium) -> None:
    browser.phone(320, 640)
    browser.open(f"{server.base}/explorer")
    browser.shows("GraphQL explorer")
    assert browser.value("document.documentElement.scrollWidth") == 320
