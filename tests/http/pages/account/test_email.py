"""`/account/email` changes the address, which takes effect when its mailbox confirms it."""

from __future__ import annotations

import pytest

from tests.http.pages.account.account_pages import person
from tests.support.accounts import settle
from tests.support.application import PASSWORD, App
from tests.support.email_changes import confirm, until_idle
from tests.support.mail_server import MailServer
from tests.support.matrix import matrix

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.mail, pytest.mark.still, pytest.mark.one_store]
PATH = "/account/email"


async def test_a_link_is_sent_and_the_address_waits(app: App, mail_server: MailServer) -> None:
    ada = await person(app)
    new = f"new@{ada.client}.example"
    page = await ada.visitor.get(PATH)
    assert ada.email in page.text
    page = await ada.visitor.submit(page, PATH, newEmail=new, currentPassword=PASSWORD)
    assert (page.status, page.location) == (303, PATH)
    page = await ada.visitor.follow(page)
    assert "We sent a link to the new address." in page.text
    assert f"We sent a link to {new}." in page.text
    assert f"We sent a link to {new}." in (await ada.visitor.get("/account")).text
    await until_idle(app)
    [mail] = [mail for mail in mail_server.mails if mail.recipients == [new]]
    assert (await confirm(app, mail.token)).status == 200
    page = await ada.visitor.get(PATH)
    assert new in page.text
    assert "Confirmed" in page.text
    assert ada.email not in page.text


async def test_a_taken_address_looks_the_same(app: App) -> None:
    ada = await person(app)
    bob = await person(app, ada.client)
    page = await ada.visitor.submit(await ada.visitor.get(PATH), PATH, newEmail=bob.email, currentPassword=PASSWORD)
    assert page.status == 303
    assert f"We sent a link to {bob.email}." in (await ada.visitor.follow(page)).text


@matrix(
    ("email", "password", "status", "problems"),
    [
        ("", "", 400, ["Enter a value", "Enter a value"]),
        ("no-address", PASSWORD, 400, ["Enter a valid email address"]),
        ("a" * 300 + "@x.example", PASSWORD, 400, ["Must have at most 254 characters"]),
        ("<b>@x.example", PASSWORD, 400, ["Enter a valid email address"]),
        ("new@x.example", "wrong", 401, ["The current password is incorrect"]),
    ],
)
async def test_errors_are_named_and_what_was_typed_stays(
    app: App, email: str, password: str, status: int, problems: list[str]
) -> None:
    ada = await person(app)
    page = await ada.visitor.submit(await ada.visitor.get(PATH), PATH, newEmail=email, currentPassword=password)
    assert (page.status, page.problems) == (status, problems)
    assert page.form(PATH).fields["newEmail"] == email
    assert page.form(PATH).fields["currentPassword"] == ""
    assert "waits" not in (await ada.visitor.get(PATH)).text


async def test_the_own_address_is_no_other(app: App) -> None:
    ada = await person(app)
    page = await ada.visitor.submit(await ada.visitor.get(PATH), PATH, newEmail=ada.email, currentPassword=PASSWORD)
    assert (page.status, page.problems) == (400, ["This is already your address"])


async def test_without_password_sign_in_it_says_whom_to_ask(app: App) -> None:
    ada = await person(app)
    page = await ada.visitor.get(PATH)
    await settle(app, ada.client, passwordSignIn=False)
    shown = await ada.visitor.get(PATH)
    assert "Your account has no password. Contact your administrator." in shown.text
    assert shown.tree.xpath("//main//form") == []
    refused = await ada.visitor.submit(page, PATH, newEmail="n@x.example", currentPassword=PASSWORD)
    assert (refused.status, refused.problems) == (409, ["Your account has no password. Contact your administrator."])
