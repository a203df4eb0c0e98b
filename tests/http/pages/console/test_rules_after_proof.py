"""A change of settings that waits for re-authentication is then saved as entered."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tests.http.pages.console.rules_pages import page_with
from tests.http.pages.console.test_factor_rules import RULES, browser_of, changes, preview, settings_of
from tests.support.application import PASSWORD, App
from tests.support.people import set_roles
from tests.support.second_factors import Person, enrolled, person
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
AGAIN = "/reauthenticate"
GUARDED: dict[str, Any] = {"stepUp": "management"}
HOSTILE = 'Desk <b>"1"</b> & co'


async def asked(app: App) -> tuple[Person, Visitor, Page]:
    """An Admin who enters a change, and saves it when re-authentication is due; returns that page."""
    admin = await person(app, "", "Admin", **GUARDED)
    visitor = await browser_of(admin)
    page = await preview(visitor, contact=HOSTILE, allowedOrigins="https://a.example\nhttps://b.example", language="de")
    assert len(changes(page)) == 4
    app.clock.advance(601)
    page = await visitor.submit(page, RULES, {"act": "save"})
    assert (page.status, page.location.partition("?")[0]) == (303, AGAIN)
    return admin, visitor, await visitor.get(page.location)


async def test_the_form_is_saved_as_it_was_typed(app: App) -> None:
    admin, visitor, question = await asked(app)
    assert (await settings_of(app, admin.client))["contact"] == ""
    done = await visitor.submit(question, AGAIN, currentPassword=PASSWORD)
    assert (await visitor.get(done.location, Sec_Fetch_Site="same-origin")).location == page_with(RULES, "contact")
    found = await settings_of(app, admin.client)
    assert (found["contact"], found["language"]) == (HOSTILE, "de")


async def test_the_way_back_leads_to_the_form_as_it_was_typed(app: App) -> None:
    admin, visitor, question = await asked(app)
    page = await visitor.get(question.links()["Back"])
    fields = page.form(RULES, act="preview").fields
    assert (fields["contact"], page.problems) == (HOSTILE, [])
    assert fields["allowedOrigins"].split() == ["https://a.example", "https://b.example"]
    assert (await settings_of(app, admin.client))["contact"] == ""


async def test_it_waits_an_hour_and_for_its_person_alone(app: App) -> None:
    admin, visitor, question = await asked(app)
    other = await browser_of(await person(app, admin.client, "Admin"))
    address = question.links()["Back"]
    assert (await other.get(address)).location == "/account"
    assert (await visitor.get(address)).status == 200
    app.clock.advance(3600)
    assert (await visitor.get(address)).location == "/account"


async def test_what_is_rejected_in_between_is_shown(app: App) -> None:
    """A former Admin can't weaken the settings."""
    admin = await person(app, "", "Admin", **GUARDED)
    await person(app, admin.client, "Admin")
    visitor = await browser_of(admin)
    page = await preview(visitor, secondFactor__graceDays="5", secondFactor__trustedDays="90")
    app.clock.advance(601)
    question = await visitor.follow(await visitor.submit(page, RULES, {"act": "save"}))
    await set_roles(app, admin.client, admin.id, "User Admin")
    done = await visitor.submit(question, AGAIN, currentPassword=PASSWORD)
    page = await visitor.follow(done)
    assert len(page.problems) == 1
    assert page.form(RULES, act="preview").fields["secondFactor.graceDays"] == "5"
    assert (await settings_of(app, admin.client))["secondFactor"]["graceDays"] == 7


async def test_one_with_an_app_comes_back_too(app: App) -> None:
    admin = await enrolled(app, "Admin", **GUARDED)
    visitor = Visitor(app, {"session": (await admin.answered()).cookie("session")})
    page = await preview(visitor, contact=HOSTILE)
    app.clock.advance(601)
    page = await visitor.follow(await visitor.submit(page, RULES, {"act": "save"}))
    await visitor.follow(await visitor.submit(page, AGAIN, currentPassword=PASSWORD, otp=admin.code()))
    assert (await settings_of(app, admin.client))["contact"] == HOSTILE


async def test_a_long_form_waits_too(app: App) -> None:
    admin = await person(app, "", "Admin", **GUARDED)
    visitor = await browser_of(admin)
    page = await visitor.get(page_with(RULES, "returnAddresses"))
    listed = "\n".join(f"https://a.example/{secrets.token_urlsafe(150)}" for _ in range(50))
    app.clock.advance(601)
    page = await visitor.post(RULES, page.form(RULES).fields | {"act": "save", "returnAddresses": listed})
    page = await visitor.submit(await visitor.follow(page), AGAIN, currentPassword=PASSWORD)
    await visitor.follow(page)
    assert (await settings_of(app, admin.client))["returnAddresses"] == listed.split()
