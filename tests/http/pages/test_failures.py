"""Pages that do not exist or fail: a browser gets a page, a program gets the envelope."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.envelope import check_refusal
from tests.support.faults import store_has_a_bug, store_is_gone
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


@pytest.mark.parametrize(
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
        check(Page(reply), 404, "This page does not exist")
    else:
        check_refusal(reply, 404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/api/nowhere", "/api/client/nowhere", "/api/admin/nowhere", "/oauth2/nowhere"])
async def test_below_the_api_everything_is_json(app: App, path: str) -> None:
    check_refusal(await app.get(path, headers={"Accept": BROWSER}), 404, "NOT_FOUND")


async def test_a_method_that_a_page_does_not_have(app: App) -> None:
    page = await Visitor(app).send("PUT", "/sign-out")
    check(page, 405, "This page cannot be opened like that")
    assert page.reply.headers["allow"] == "GET, HEAD, POST"


async def test_a_bug_is_a_page_that_tells_nothing(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = await Visitor(app).signed_in()
    form = (await visitor.get("/sign-out")).form("/sign-out")
    store_has_a_bug(monkeypatch, app, ZeroDivisionError("SELECT secret FROM users"), "write", "write_quickly")
    page = await visitor.post("/sign-out", form.fields)
    check(page, 500, "Something went wrong on our side")
    assert "secret" not in page.reply.text


async def test_a_store_that_is_gone_is_a_page_with_the_time_to_wait(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = await Visitor(app).signed_in()
    form = (await visitor.get("/sign-out")).form("/sign-out")
    store_is_gone(monkeypatch, app, "gone")
    page = await visitor.post("/sign-out", form.fields)
    assert page.status == 503
    assert page.reply.headers["retry-after"] == "1"
    assert page.problems == ["The server is busy. Nothing was changed; try again in a moment."]
    assert "(in 1 second)" in page.text
    app.clock.advance(3600)  # the session's use is due to be noted
    page = await visitor.get("/account")
    check(page, 503, "The server is busy")


async def test_pages_are_in_the_readers_language_when_they_fail_too(app: App) -> None:
    page = await Visitor(app, language="ja").get("/nowhere")
    assert (page.status, page.tree.get("lang")) == (404, "ja")
