"""`/account/sessions` lists the user's sessions, and ends one of them or all others."""

from __future__ import annotations

import json

import pytest

from tests.http.pages.account.account_pages import Person, person, signed_in
from tests.support.accounts import trail
from tests.support.application import PASSWORD, App
from tests.support.forged_tokens import right_token
from tests.support.matrix import matrix
from tests.support.visitor import Page

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
PATH = "/account/sessions"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 "
    "Mobile/15E148 Safari/604.1"
)


def others(page: Page) -> list[str]:
    """Browser, method, and address of each other session."""
    return [" ".join(" ".join(th.itertext()).split()) for th in page.tree.xpath("//tbody//th")]


def ids(page: Page) -> list[str]:
    """The IDs of the sessions with a button, in list order."""
    return [str(value) for value in page.tree.xpath("//tbody//input[@name='id']/@value")]


async def end(ada: Person, page: Page, session_id: str) -> Page:
    """Click a session's button."""
    form = page.tree.xpath(f"//form[@action='{PATH}'][.//input[@name='id'][@value='{session_id}']]")[0]
    fields = {each.get("name"): each.get("value") for each in form.xpath(".//input")}
    return await ada.visitor.shown(await ada.visitor.post(PATH, fields))


async def test_each_is_shown_with_browser_method_address_and_times(app: App) -> None:
    ada = await person(app, user_agent=FIREFOX)
    app.clock.advance(60)
    await signed_in(app, ada.email, ada.client, SAFARI)
    page = await ada.visitor.get(PATH)
    [this] = page.tree.xpath("//h2[@id='this']")
    assert this.text_content() == "Firefox on Windows"
    [listed] = others(page)
    assert listed.startswith("Safari on iPhone Password, from ")
    assert len(page.tree.xpath("//tbody//time[@datetime]")) == 2
    [button] = page.tree.xpath("//tbody//button")
    assert button.get("aria-label").startswith("End: Safari on iPhone, ")


async def test_one_is_ended_and_the_others_stay(app: App) -> None:
    ada = await person(app)
    gone = await signed_in(app, ada.email, ada.client)
    app.clock.advance(1)
    stays = await signed_in(app, ada.email, ada.client)
    page = await ada.visitor.get(PATH)
    ended = await end(ada, page, ids(page)[1])
    assert (ended.status, ended.location) == (303, PATH)
    page = await ada.visitor.follow(ended)
    assert "Session ended." in page.text
    assert len(ids(page)) == 1
    assert (await gone.get("/account")).status == 303
    assert (await stays.get("/account")).status == 200
    assert (await trail(app, ada.client))[-1].event == "session_ended"


async def test_all_others_are_ended_and_this_one_stays(app: App) -> None:
    ada = await person(app)
    visitors = [await signed_in(app, ada.email, ada.client) for _ in range(3)]
    page = await ada.visitor.get(PATH)
    page = await ada.visitor.follow(await end(ada, page, ""))
    assert "All other sessions ended." in page.text
    assert "You have no other sessions" in page.text
    assert page.tree.xpath(f"//main//form[@action='{PATH}']") == []
    assert [(await visitor.get("/account")).status for visitor in visitors] == [303] * 3
    event = (await trail(app, ada.client))[-1]
    assert (event.event, json.loads(event.detail)["sessions"]) == ("signed_out_all", 3)


async def test_ended_twice_is_ended_and_one_of_someone_else_is_not_found(app: App) -> None:
    ada = await person(app)
    bob = await person(app, ada.client)
    await signed_in(app, ada.email, ada.client)
    await signed_in(app, bob.email, ada.client)
    page = await ada.visitor.get(PATH)
    mine, theirs = ids(page)[0], ids(await bob.visitor.get(PATH))[0]

    async def end(session: str) -> Page:
        return await ada.visitor.post(PATH, {"form": await right_token(ada.visitor, PATH), "id": session})

    assert (await end(theirs)).status == 404
    assert len(ids(await bob.visitor.get(PATH))) == 1
    for _ in range(2):
        ended = await end(mine)
        assert (ended.status, ended.location) == (303, PATH)
        assert "Session ended." in (await ada.visitor.follow(ended)).text
    assert [one.event for one in await trail(app, ada.client)].count("session_ended") == 1
    assert (await end("A" * 22)).status == 404
    assert (await end("x" * 101)).status == 400


async def test_ending_their_own_session_signs_out(app: App) -> None:
    ada = await person(app)
    listed = (await app.get("/api/client/auth/sessions", cookie=ada.visitor.cookies["session"])).data["items"]
    await signed_in(app, ada.email, ada.client)
    page = await ada.visitor.get(PATH)
    [token, *_] = page.tree.xpath(f"//form[@action='{PATH}']//input[@name='form']/@value")
    page = await ada.visitor.post(PATH, {"form": token, "id": listed[0]["id"]})
    assert (page.status, page.location) == (303, "/sign-out")
    assert "session" not in ada.visitor.cookies
    assert (await ada.visitor.follow(page)).heading == "You're signed out"


@matrix(
    ("user_agent", "words"),
    [
        (FIREFOX, "Firefox on Windows"),
        (SAFARI, "Safari on iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64; Quest 3) AppleWebKit/537.36 (KHTML, like Gecko) OculusBrowser/35.0 "
         "Chrome/126.0 VR Safari/537.36", "Meta Quest Browser on Meta Quest"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 "
         "Safari/537.36 Edg/130.0.0.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Mobile Safari/537.36",
         "Chrome on Android"),
        ("okhttp/4.12.0", "okhttp"),
        ("Mozilla/5.0", "Unknown browser"),
        ("", "Unknown browser"),
    ],
)  # fmt: skip
async def test_browsers_are_named_in_plain_words(app: App, user_agent: str, words: str) -> None:
    ada = await person(app)
    body = {"email": ada.email, "password": PASSWORD}
    app.clock.advance(1)
    await app.send(
        "POST", "/api/client/auth/sign-in", body, headers=[("User-Agent", user_agent), ("X-Client-ID", ada.client)]
    )
    [listed] = others(await ada.visitor.get(PATH))
    assert listed.startswith(f"{words} Password, from ")
