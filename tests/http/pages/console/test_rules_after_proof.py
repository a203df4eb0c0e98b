"""A change of the rules that waits for a recent proof: afterwards the form is as it was typed, and is saved."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.http.pages.console.test_factor_rules import RULES, browser_of, changes, preview, settings_of
from tests.support.application import PASSWORD, App
from tests.support.forged_tokens import altered
from tests.support.people import set_roles
from tests.support.second_factors import Person, enrolled, person
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
AGAIN = "/reauthenticate"
GUARDED: dict[str, Any] = {"stepUp": "management"}
HOSTILE = 'Desk <b>"1"</b> & co'


async def asked(app: App) -> tuple[Person, Visitor, str]:
    """An Admin who typed a change, and pressed Save when the last proof was old; the address of the question."""
    admin = await person(app, "", "Admin", **GUARDED)
    visitor = await browser_of(admin)
    page = await preview(
        visitor, contact=HOSTILE, secondFactor__graceDays="3",
        allowedOrigins="https://a.example\nhttps://b.example", passwordSignIn="on",
    )  # fmt: skip
    assert len(changes(page)) == 4
    app.clock.advance(601)
    page = await visitor.submit(page, RULES, {"act": "save"})
    assert page.status == 303
    assert page.location.startswith(f"{AGAIN}?returnTo={RULES}?draft=")
    return admin, visitor, page.location


def draft_in(address: str) -> str:
    return parse_qs(urlsplit(address).query)["returnTo"][0]


async def proved(visitor: Visitor, address: str) -> Page:
    page = await visitor.get(address)
    done = await visitor.submit(page, AGAIN, currentPassword=PASSWORD)
    assert done.location == draft_in(address)
    return await visitor.follow(done)


async def test_the_form_is_as_it_was_typed_and_is_saved_then(app: App) -> None:
    admin, visitor, address = await asked(app)
    page = await proved(visitor, address)
    assert len(changes(page)) == 4
    fields = page.form(RULES, act="preview").fields
    assert fields["contact"] == HOSTILE
    assert fields["allowedOrigins"].split() == ["https://a.example", "https://b.example"]
    assert (await settings_of(app, admin.client))["contact"] == ""
    assert (await visitor.submit(page, RULES, {"act": "save"})).location == RULES
    found = await settings_of(app, admin.client)
    assert (found["contact"], found["secondFactor"]["graceDays"]) == (HOSTILE, 3)


async def test_a_draft_is_nothing_for_another_browser_after_an_hour_or_when_altered(app: App) -> None:
    admin, visitor, address = await asked(app)
    draft = draft_in(address)
    other = await browser_of(admin)
    for who, there in ((other, draft), (visitor, altered(draft, -2)), (visitor, f"{RULES}?draft=A"), (visitor, RULES)):
        page = await who.get(there)
        assert changes(page) == []
        assert page.form(RULES).fields["contact"] == ""
    assert len(changes(await visitor.get(draft))) == 4
    app.clock.advance(3600)
    assert changes(await visitor.get(draft)) == []


async def test_what_is_refused_meanwhile_is_shown_without_a_preview(app: App) -> None:
    """Who is no Admin any more does not make the rules weaker."""
    admin = await person(app, "", "Admin", **GUARDED)
    await person(app, admin.client, "Admin")
    visitor = await browser_of(admin)
    page = await preview(visitor, contact=HOSTILE, secondFactor__trustedDays="90")
    app.clock.advance(601)
    address = (await visitor.submit(page, RULES, {"act": "save"})).location
    await set_roles(app, admin.client, admin.id, "User Admin")
    page = await proved(visitor, address)
    assert changes(page) == []
    assert page.form(RULES).fields["contact"] == HOSTILE


async def test_one_with_an_app_comes_back_too(app: App) -> None:
    admin = await enrolled(app, "Admin", **GUARDED)
    visitor = Visitor(app, {"session": (await admin.answered()).cookie("session")})
    page = await preview(visitor, contact=HOSTILE)
    app.clock.advance(601)
    address = (await visitor.submit(page, RULES, {"act": "save"})).location
    page = await visitor.get(address)
    done = await visitor.submit(page, AGAIN, currentPassword=PASSWORD, otp=admin.code())
    assert changes(await visitor.follow(done)) == [f"Users who need help are shown: {HOSTILE}"]


async def test_a_form_too_long_for_an_address_is_not_carried(app: App) -> None:
    admin = await person(app, "", "Admin", **GUARDED)
    visitor = await browser_of(admin)
    page = await visitor.get(RULES)
    listed = "\n".join(f"https://a.example/{secrets.token_urlsafe(150)}" for _ in range(50))
    app.clock.advance(601)
    page = await visitor.post(RULES, page.form(RULES).fields | {"act": "save", "returnAddresses": listed})
    assert page.location == f"{AGAIN}?returnTo={RULES}"
