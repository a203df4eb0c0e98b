"""The browser keeps the state of a sign-in in progress, which nobody can read or change."""

from __future__ import annotations

import pytest

from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

AUTHOR = "author@acme.example"
FRESH = "The sign-in expired or started in a different browser"


async def at_password(visitor: Visitor) -> Page:
    page = await visitor.submit(await visitor.get("/sign-in"), "/sign-in", email=AUTHOR)
    return await visitor.follow(page)


async def state(visitor: Visitor) -> str:
    return (await at_password(visitor)).form("/sign-in/password").fields["s"]


async def begins_anew(visitor: Visitor, s: str) -> None:
    page = await visitor.follow(await visitor.get(f"/sign-in/password?s={s}"))
    assert FRESH in page.text
    assert AUTHOR not in page.text
    page = await visitor.get(f"/sign-in?s={s}")
    assert FRESH in page.text
    for at, path, password in (
        ("/sign-in?client=acme", "/sign-in/password", PASSWORD),
        ("/sign-in?client=acme", "/sign-in/password", ""),
        ("/sign-in?client=acme", "/sign-in/password", "x" * 5000),
        ("/sign-in", "/sign-in", ""),
    ):
        form = (await visitor.get(at)).form(path).fields
        page = await visitor.post(path, form | {"s": s, "email": AUTHOR, "password": password})
        assert page.location == "/sign-in?s=old"
        assert FRESH in (await visitor.follow(page)).text
    assert "session" not in visitor.cookies


async def test_it_tells_nothing_and_differs_each_time(app: App) -> None:
    visitor = Visitor(app)
    found = {await state(visitor) for _ in range(3)}
    assert len(found) == 3
    assert not [s for s in found if "acme" in s or "author" in s]


@matrix("at", [0, 5, 20, -1])
async def test_a_changed_one_begins_again(app: App, at: int) -> None:
    visitor = Visitor(app)
    s = await state(visitor)
    letter = "A" if s[at] != "A" else "B"
    await begins_anew(visitor, s[:at] + letter + (s[at + 1 :] if at >= 0 else ""))


@matrix("s", ["old", "A", "A" * 7000, "ä", "%00", "A.B"])
async def test_an_invalid_one_begins_again(app: App, s: str) -> None:
    page = await Visitor(app).get(f"/sign-in?s={s}")
    assert page.status in (200, 400)
    assert AUTHOR not in page.text


async def test_another_browsers_one_begins_again(app: App) -> None:
    s, other = await state(Visitor(app)), Visitor(app)
    await other.get("/sign-in")
    await begins_anew(other, s)


async def test_it_is_good_for_an_hour(app: App) -> None:
    visitor = Visitor(app)
    s = await state(visitor)
    app.clock.advance(3599)
    assert AUTHOR in (await visitor.get(f"/sign-in/password?s={s}")).reply.text
    app.clock.advance(1)
    await begins_anew(visitor, s)


async def test_it_outlives_the_rotation_of_its_key(app: App) -> None:
    visitor = Visitor(app)
    s = await state(visitor)
    await app.post("/api/admin/keys/rotate", {"purpose": "page-state"}, token=await app.admin_token())
    assert AUTHOR in (await visitor.get(f"/sign-in/password?s={s}")).reply.text


async def test_it_is_no_forms_token_and_a_token_is_none(app: App) -> None:
    visitor = Visitor(app)
    form = (await at_password(visitor)).form("/sign-in/password").fields
    await begins_anew(visitor, form["form"])
    page = await visitor.post("/sign-in/password", form | {"form": form["s"], "password": PASSWORD})
    assert page.status == 403


async def test_the_language_can_be_changed_on_the_way(app: App) -> None:
    visitor = Visitor(app)
    page = await visitor.follow(await visitor.submit(await at_password(visitor), "/language", lang="fr"))
    assert page.tree.get("lang") == "fr"
    page = await visitor.submit(page, "/sign-in/password", password=PASSWORD)
    assert page.location == "/account"
