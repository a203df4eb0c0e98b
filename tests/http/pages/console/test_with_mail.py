"""If mail is set up, links are emailed to their user, and pages don't show them."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_user
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.visitor import Visitor

pytestmark = [pytest.mark.mail, pytest.mark.one_store]


async def test_the_page_for_a_code_says_that_the_email_has_one(app: App) -> None:
    assert "The email with the link also contains a code." in (await Visitor(app).get("/welcome")).text


async def test_an_invitation(app: App) -> None:
    visitor = await Visitor(app).signed_in("admin@acme.example")
    page = await visitor.submit(await visitor.get("/console/invite"), "/console/invite", people="mailed@acme.example")
    assert page.status == 200
    assert "Invited Email sent" in page.text
    assert "welcome#" not in page.reply.text


@matrix(
    ("act", "said"),
    [
        ("reset", "We're sending a link to choose a new password by email."),
        ("invite", "We're sending a new invitation by email."),
    ],
)
async def test_a_link_for_a_user(app: App, act: str, said: str) -> None:
    visitor = await Visitor(app).signed_in("admin@acme.example")
    number, _ = await new_user(app)
    path = f"/console/users/{number}"
    page = await visitor.submit(await visitor.get(path), path, {"act": act})
    assert page.status == 303
    page = await visitor.follow(page)
    assert said in page.text
    assert "welcome#" not in page.reply.text


async def test_a_new_address_waits(app: App) -> None:
    visitor = await Visitor(app).signed_in("admin@acme.example")
    number, email = await new_user(app)
    path = f"/console/users/{number}"
    page = await visitor.submit(await visitor.get(path), path, {"act": "details"}, email="other@acme.example")
    page = await visitor.follow(page)
    assert "The new address takes effect when the user confirms it." in page.text
    assert "New email, not confirmed" in page.text
    assert email in page.text
