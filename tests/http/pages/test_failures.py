"""If a page doesn't exist or fails, a browser gets a page and a program gets the envelope."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.support.accounts import settle
from tests.support.application import App
from tests.support.envelope import check_refusal
from tests.support.faults import store_has_a_bug, store_is_gone
from tests.support.logged import logged
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.rules import rule
from tests.support.single_sign_on import add_oidc
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def check(page: Page, status: int, heading: str) -> None:
    assert (page.status, page.heading) == (status, heading)
    assert page.reply.headers["content-type"] == "text/html; charset=utf-8"
    assert page.reply.headers["referrer-policy"] == "same-origin"
    assert page.reply.headers["x-request-id"] in page.text
    assert len(page.links()) >= 1
    assert "Traceback" not in page.reply.text


@matrix(
    ("accept", "is_page"),
    [
        (BROWSER, True), ("text/html", True), ("TEXT/HTML", True), ("text/*", True),
        ("text/html;q=0.2, */*;q=0.1", True),
        ("*/*", False), ("", False), ("application/json", False), ("application/json, text/html;q=0.9", False),
        ("text/html, application/json", False), ("text/html;q=0", False), ("image/png", False),
        ("text/html;q=x", False),
    ],
)  # fmt: skip
async def test_an_unknown_address_is_a_page_for_those_who_want_one(app: App, accept: str, is_page: bool) -> None:
    reply = await app.get("/nowhere", headers={"Accept": accept})
    if is_page:
        check(Page(reply), 404, "Page not found")
    else:
        check_refusal(reply, 404, "NOT_FOUND")


@matrix("path", ["/api/nowhere", "/api/client/nowhere", "/api/admin/nowhere"])
async def test_below_the_api_everything_is_json(app: App, path: str) -> None:
    check_refusal(await app.get(path, headers={"Accept": BROWSER}), 404, "NOT_FOUND")


async def test_a_method_that_a_page_does_not_have(app: App) -> None:
    page = await Visitor(app).send("PUT", "/sign-out")
    check(page, 405, "This page can't be opened this way")
    assert page.reply.headers["allow"] == "GET, HEAD, POST"


@rule("ERROR-PAGES")
async def test_a_bug_is_a_page_that_tells_nothing(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = await Visitor(app).signed_in()
    form = (await visitor.get("/sign-out")).form("/sign-out")
    store_has_a_bug(monkeypatch, app, ZeroDivisionError("SELECT secret FROM users"), "write", "write_quickly")
    page = await visitor.post("/sign-out", form.fields)
    check(page, 500, "Something went wrong")
    assert "secret" not in page.reply.text


async def test_a_store_that_is_gone_is_a_page_with_the_time_to_wait(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = await Visitor(app).signed_in()
    form = (await visitor.get("/sign-out")).form("/sign-out")
    store_is_gone(monkeypatch, app, "gone")
    page = await visitor.post("/sign-out", form.fields)
    assert page.status == 503
    assert page.reply.headers["retry-after"] == "1"
    assert page.problems == ["The server is busy. Your changes weren't saved. Try again in a moment."]
    assert "(in 1 second)" in page.text
    app.clock.advance(3600)  # the session's use is due to be recorded
    page = await visitor.get("/account")
    check(page, 503, "The server is busy")


async def test_pages_are_in_the_readers_language_when_they_fail_too(app: App) -> None:
    page = await Visitor(app, language="ja").get("/nowhere")
    assert (page.status, page.tree.get("lang")) == (404, "ja")


CHALLENGE = "A" * 43
APP_ADDRESS = quote("com.acme.app:/in", safe="")
#: An invalid start URL, the invalid parameter, and its message.
WRONG = [
    ("returnTo=https://call-0900-5555.example/", "returnTo", "Not one of the listed redirect URIs"),
    (f"response=code&codeChallenge={CHALLENGE}", "returnTo", "Required with response=code"),
    ("returnTo=/account&returnTo=/call-0900-5555", "returnTo", "The parameter was sent more than once"),
    ("response=call-0900-5555", "response", "Must be one of: cookie, code"),
    (
        f"returnTo=/account&response=code&codeChallenge={CHALLENGE}",
        "response",
        "A page of this server can't take a code",
    ),
    (f"returnTo={APP_ADDRESS}", "response", "An app's own redirect URI requires response=code"),
    (
        f"returnTo={APP_ADDRESS}&response=code",
        "codeChallenge",
        "Required, because an app's own redirect URI requires PKCE (S256)",
    ),
    (f"loginHint={'call-0900-5555' * 20}", "loginHint", "Must have at most 254 characters"),
]


@pytest.fixture
async def provider_started(app: App, op: Op) -> str:
    """Start at a provider of ``acme``, which lists an app's address for both kinds of start."""
    await settle(app, "acme", returnAddresses=["com.acme.app:/in"])
    made = await add_oidc(app, op, returnAddresses=[])
    return f"/api/client/auth/oidc?client=acme&provider={made['name']}"


def reasons(lines: bytes) -> list[str]:
    return [line["reason"] for line in map(json.loads, lines.splitlines()) if line["event"] == "refused"]


@rule("ERROR-PAGES")
@matrix(("query", "parameter", "what"), WRONG)
async def test_a_wrong_parameter_of_a_sign_in_is_named(
    app: App, provider_started: str, query: str, parameter: str, what: str
) -> None:
    """The page, the response to a program, and the log name it, but don't repeat the caller's text."""
    for path in ("/sign-in?client=acme", provider_started):
        with logged(app) as lines:
            page = await Visitor(app).get(f"{path}&{query}")
        check(page, 400, "This link is incomplete")
        [named] = page.tree.xpath("//main//ul[@lang='en']/li")
        assert named.text_content() == f"{parameter}: {what}"
        assert reasons(lines.getvalue()) == [f"{parameter}: {what}"]
        assert "0900" not in page.reply.text
    details = check_refusal(await app.get(f"{provider_started}&{query}"), 400, "VALIDATION_ERROR")["details"]
    assert details == [{"field": parameter, "message": what}]


@rule("ERROR-PAGES")
async def test_a_parameter_that_the_caller_made_up_is_not_repeated(app: App) -> None:
    with logged(app) as lines:
        page = await Visitor(app).get("/sign-in?client=acme&Call+0900+5555=1&Call+0900+5555=2")
    check(page, 400, "This link is incomplete")
    assert "0900" not in page.reply.text
    assert reasons(lines.getvalue()) == ["Call 0900 5555: The parameter was sent more than once"]
