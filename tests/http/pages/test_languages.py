"""The language of a page, and how a reader selects another one."""

from __future__ import annotations

import pytest

from tests.support.accounts import settle
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.people import member
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_store

NAMES = ["English", "Español", "Português", "Deutsch", "Français", "日本語"]


async def language(visitor: Visitor, path: str = "/sign-out") -> str:
    return str((await visitor.get(path)).tree.get("lang"))


@matrix(
    ("accepted", "expected"),
    [
        ("de", "de"), ("de-AT,de;q=0.9,en;q=0.8", "de"), ("pt-BR", "pt"), ("fr-CA;q=0.3, ja;q=0.7", "ja"),
        ("nl, es;q=0.1", "es"), ("nl", "en"), ("", "en"), ("*", "en"), ("de;q=0", "en"), ("DE", "de"),
        ("en;q=0.5,fr;q=0.5", "en"), ("fr;q=0.5,en;q=0.5", "fr"), ("de;q=x", "en"), ("../../de", "en"),
        ("de;q=nan", "en"),
        (",;,;q=1," * 200, "en"),
    ],
)  # fmt: skip
async def test_the_browsers_wish_counts(app: App, accepted: str, expected: str) -> None:
    assert await language(Visitor(app, language=accepted)) == expected


async def test_a_reader_chooses_and_the_browser_remembers(app: App) -> None:
    visitor = await Visitor(app, language="de").signed_in()
    page = await visitor.get("/account")
    assert list(page.form("/language").buttons) == NAMES
    page = await visitor.submit(page, "/language", lang="ja")
    assert (page.status, page.location) == (303, "/account")
    assert "lang=ja; Max-Age=31536000; Path=/; HttpOnly; SameSite=Lax" in page.reply.headers.get_list("set-cookie")
    assert await language(visitor) == "ja"
    visitor.cookies["lang"] = "xx"
    assert await language(visitor) == "de"


async def test_the_address_can_ask_for_a_language(app: App) -> None:
    assert await language(Visitor(app), "/sign-out?lang=fr") == "fr"
    assert await language(Visitor(app), "/sign-out?lang=xx") == "en"


async def test_without_a_wish_the_users_own_choice_counts_and_then_the_clients(app: App) -> None:
    own = await member(app, "acme", "Viewer")
    await settle(app, "acme", language="fr")
    visitor, anonymous = await Visitor(app, language="nl").signed_in(own.email), Visitor(app, language="nl")
    assert [await language(visitor), await language(visitor, "/sign-in?client=nowhere")] == ["fr", "fr"]
    assert await language(anonymous, "/sign-in?client=acme") == "fr"
    assert await language(anonymous, "/sign-in") == "en"
    assert await language(anonymous, "/api/client/auth/oidc?client=acme&provider=nothing") == "en"
    visitor.language = "de"
    assert await language(visitor) == "de"
    reply = await app.send("PATCH", "/api/client/auth/me", {"language": "ja"}, token=own.token)
    assert reply.status == 200, reply.text
    assert [await language(visitor), await language(visitor, "/sign-in?client=nowhere")] == ["ja", "ja"]
    visitor.cookies["lang"] = "es"
    assert [await language(visitor), await language(visitor, "/sign-out?lang=pt")] == ["es", "pt"]


async def test_a_language_that_there_is_not_is_rejected(app: App) -> None:
    visitor = Visitor(app)
    page = await visitor.submit(await visitor.get("/sign-out"), "/language", lang="tlh")
    assert page.status == 400
    assert "lang" not in visitor.cookies


@matrix(
    "here",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/%2F/evil.example", "javascript:alert(1)", "", "x",
     "/account//x", "/account/../x", "/api/client/auth/me", "/account\r\nX: y", "/account#x", "/accountant",
     "/nowhere"],
)  # fmt: skip
async def test_it_leads_back_to_pages_of_ours_alone(app: App, here: str) -> None:
    visitor = Visitor(app)
    page = await visitor.submit(await visitor.get("/sign-out"), "/language", lang="de", here=here)
    assert (page.status, page.location) == (303, "/")
