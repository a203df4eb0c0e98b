"""Every sign-in on pages leads to the second step: a one-time link, an invitation, and "Continue as"."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.http.pages.test_codes_for_apps import APP_ADDRESS, CHALLENGE
from tests.support.accounts import settle
from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal
from tests.support.second_factors import CODES, DONE, ENROL, FACTOR, code, person, person_enrolled
from tests.support.system_admins import Phone
from tests.support.team import new_team
from tests.support.user_management import NEW, invited, started_reset
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

REQUIRED: dict[str, Any] = {"secondFactor": {"policy": "required", "graceDays": 0}}
#: The team's Admin doesn't need one.
VIEWERS: dict[str, Any] = {"secondFactor": {"policy": "roles", "roles": ["Viewer"], "graceDays": 0}}


async def chosen(visitor: Visitor, token: str) -> Page:
    """Choose a password through a one-time link; returns the next page."""
    page = await visitor.submit(await visitor.get("/welcome"), "/welcome", token=token)
    return await visitor.follow(await visitor.submit(page, "/welcome", password=NEW))


async def test_a_reset_changes_nothing_before_the_code(app: App) -> None:
    team = await new_team(app)
    await settle(app, team.client, **VIEWERS)
    ada = await person_enrolled(await person(app, team.client))
    token = await started_reset(team, ada.id)
    visitor = Visitor(app)
    page = await chosen(visitor, token)
    assert page.heading == "Enter your code"
    assert "session" not in visitor.cookies
    check_refusal(await app.sign_in(ada.email, NEW, client=team.client), 401, "INVALID_CREDENTIALS")
    page = await visitor.submit(page, FACTOR, otp=code(ada))
    assert page.location == "/account"
    assert (await app.me(cookie=visitor.cookies["session"])).data["user"]["email"] == ada.email


async def test_an_invited_person_sets_a_factor_up_on_the_way(app: App) -> None:
    team = await new_team(app)
    await settle(app, team.client, **VIEWERS)
    _, token = await invited(team, f"ada@{team.client}.example")
    visitor = Visitor(app)
    page = await chosen(visitor, token)
    assert page.heading == "Set up a second factor"
    page = await visitor.follow(await visitor.submit(page, ENROL))
    phone = Phone(app, page.tree.get_element_by_id("secret").text_content().replace(" ", ""))
    page = await visitor.submit(page, ENROL, otp=phone.code())
    assert page.location == CODES
    page = await visitor.submit(await visitor.get(CODES), CODES)
    assert page.location == "/account"
    assert (await visitor.get("/account")).status == 200


async def test_who_is_signed_in_with_less_signs_in_again_before_an_app_gets_a_code(app: App) -> None:
    ada = await person(app, returnAddresses=[APP_ADDRESS])
    visitor = Visitor(app)
    page = await visitor.get(f"/sign-in?client={ada.client}")
    await visitor.submit(page, "/sign-in/password", email=ada.email, password=PASSWORD)
    await settle(app, ada.client, returnAddresses=[APP_ADDRESS], **REQUIRED)
    query = f"&response=code&returnTo={quote(APP_ADDRESS, safe='')}&codeChallenge={CHALLENGE}"
    page = await visitor.get(f"/sign-in?client={ada.client}{query}")
    page = await visitor.follow(await visitor.submit(page, DONE))
    page = await visitor.submit(page, "/sign-in/password", email=ada.email, password=PASSWORD)
    assert page.location.startswith(f"{ENROL}?s=")
    page = await visitor.follow(page)
    assert page.heading == "Set up a second factor"
    page = await visitor.follow(await visitor.submit(page, ENROL))
    phone = Phone(app, page.tree.get_element_by_id("secret").text_content().replace(" ", ""))
    page = await visitor.submit(page, ENROL, otp=phone.code())
    page = await visitor.submit(await visitor.get(page.location), CODES)
    [address] = (await visitor.get(page.location)).links().values()
    assert address.startswith(f"{APP_ADDRESS}?code=")
