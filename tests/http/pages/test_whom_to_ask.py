"""Whom to ask, on pages for people who cannot come in: only after a proof."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.accounts import act_on, new_user, settle
from tests.support.application import PASSWORD, App, running
from tests.support.licences import on_premise
from tests.support.matrix import matrix
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

CONTACT = "IT desk, extension 12 <desk@acme.example>"


@pytest.fixture
async def contact(app: App) -> None:
    await settle(app, "acme", contact=CONTACT, language="fr")


async def refused(app: App, start: str, email: str, password: str = PASSWORD) -> Page:
    visitor = Visitor(app, language="nl")
    page = await visitor.get(start)
    if start == "/sign-in":
        page = await visitor.follow(await visitor.submit(page, "/sign-in", email=email))
    return await visitor.submit(page, "/sign-in/password", email=email, password=password)


@matrix("start", ["/sign-in?client=acme", "/sign-in"])
async def test_an_account_that_is_switched_off(app: App, contact: None, start: str) -> None:
    user_id, email = await new_user(app, "acme", password=PASSWORD)
    await act_on(app, f"acme/users/{user_id}/deactivate")
    page = await refused(app, start, email)
    assert (page.status, page.tree.get("lang")) == (403, "fr")
    assert CONTACT in page.text
    assert page.title.endswith("· Acme")
    page = await refused(app, start, email, "wrong-password")
    assert page.status == 401
    assert CONTACT not in page.text


async def test_a_suspended_client_says_it_after_the_password_alone(app: App, contact: None) -> None:
    _, email = await new_user(app, "acme", password=PASSWORD)
    await act_on(app, "acme/suspend")
    page = await refused(app, "/sign-in?client=acme", email)
    await act_on(app, "acme/restore")
    assert page.status == 403
    assert CONTACT in page.text


async def test_without_a_licence_it_is_said_to_those_who_are_signed_in(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with running(url) as app:
        await settle(app, "acme", contact=CONTACT)
        visitor = await Visitor(app).signed_in()
        assert (await visitor.get("/account")).status == 200
    async with on_premise(url) as app:
        page = await Visitor(app, visitor.cookies).get("/account")
        assert (page.status, page.heading) == (403, "This installation has no licence yet")
        assert CONTACT in page.text
        for cookies in ({}, {"session": "made-up"}):
            page = await Visitor(app, dict(cookies)).get("/sign-in?client=acme")
            assert page.status == 403
            assert CONTACT not in page.text
