"""`/account/password` changes the password, given the current one."""

from __future__ import annotations

import pytest

from tests.http.pages.account.account_pages import person, signed_in
from tests.support.accounts import new_client, settle
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.people import oidc_provider
from tests.support.visitor import Visitor

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
PATH = "/account/password"
NEW = "walnut-ferry-98-orchid"


async def test_it_is_changed_and_other_sessions_end(app: App) -> None:
    ada = await person(app)
    other = await signed_in(app, ada.email, ada.client)
    page = await ada.visitor.get(PATH)
    page = await ada.visitor.submit(page, PATH, currentPassword=PASSWORD, newPassword=NEW)
    assert (page.status, page.location) == (303, PATH)
    page = await ada.visitor.follow(page)
    assert "Password changed. All other sessions ended." in page.text
    assert (await other.get("/account")).status == 303
    assert (await app.sign_in(ada.email, PASSWORD, client=ada.client)).status == 401
    assert (await app.sign_in(ada.email, NEW, client=ada.client)).status == 200


async def test_the_rules_are_said_before_anything_is_typed(app: App) -> None:
    client = await new_client(app, password={"minLength": 12, "characterClasses": 3, "history": 5})
    ada = await person(app, client)
    page = await ada.visitor.get(PATH)
    new = page.tree.get_element_by_id("newPassword")
    hint = page.tree.get_element_by_id(new.get("aria-describedby")).text_content()
    for text in ("At least 12 characters.", "With 3 of these", "Not one of your previous passwords"):
        assert text in hint
    assert new.get("autocomplete") == "new-password"
    assert new.get("passwordrules") == "minlength: 12; maxlength: 256;"
    assert page.tree.get_element_by_id("currentPassword").get("autocomplete") == "current-password"
    email = page.tree.get_element_by_id("email")
    assert (email.get("value"), email.get("autocomplete"), email.get("readonly")) == (ada.email, "username", "readonly")


@matrix(
    ("current", "new", "status", "problems"),
    [
        ("", "", 400, {"currentPassword": "Enter a value", "newPassword": "Enter a value"}),
        ("wrong", NEW, 401, {"currentPassword": "The current password is incorrect"}),
        (PASSWORD, "short", 400, {"newPassword": "Must have at least 15 characters"}),
        (PASSWORD, PASSWORD, 400, {"newPassword": "Must be different from the current password"}),
        (PASSWORD, "x" * 257, 400, {"newPassword": "Must have at most 256 characters"}),
        (PASSWORD, "passwordpassword", 400,
         {"newPassword": "Too easy to guess. Don't use a common password, common words, or your name."}),
    ],
)  # fmt: skip
async def test_errors_appear_beside_their_fields(
    app: App, current: str, new: str, status: int, problems: dict[str, str]
) -> None:
    ada = await person(app)
    page = await ada.visitor.submit(await ada.visitor.get(PATH), PATH, currentPassword=current, newPassword=new)
    assert page.status == status
    assert page.problems == list(problems.values())
    for field, problem in problems.items():
        described = page.tree.get_element_by_id(field).get("aria-describedby").split()
        assert problem in " ".join(page.tree.get_element_by_id(one).text_content() for one in described)
    assert page.form(PATH).fields["currentPassword"] == page.form(PATH).fields["newPassword"] == ""
    assert not new or f'"{new}"' not in page.reply.text
    assert (await app.sign_in(ada.email, PASSWORD, client=ada.client)).status == 200


async def test_guesses_at_the_current_one_are_throttled_and_told_on_the_overview(app: App) -> None:
    ada = await person(app)
    app.clock.advance(60)
    now = await signed_in(app, ada.email, ada.client)
    page = await now.get(PATH)
    while (answer := await now.submit(page, PATH, currentPassword="no", newPassword=NEW)).status != 429:
        assert answer.status == 401
    assert answer.problems == ["Too many attempts. Try again later."]
    assert len(answer.tree.xpath("//*[@role='timer']")) == 1
    overview = await now.get("/account")
    assert "Incorrect current password entered while signed in" in overview.text


async def test_someone_without_a_password_is_led_on(app: App) -> None:
    async with oidc_provider(app, createUsers=True) as company:
        browser = await company.sign_in("ada", "ada@company.example")
        visitor = Visitor(app, {"session": browser.cookies["session"]})
        page = await visitor.get(PATH)
        assert "You don't use a password here" in page.text
        assert page.tree.xpath("//main//form") == []
        assert page.links()["Linked accounts"] == "/account/identities"


async def test_where_passwords_are_not_used_there_is_no_form(app: App) -> None:
    ada = await person(app)
    await settle(app, ada.client, passwordSignIn=False)
    assert (await ada.visitor.get(PATH)).tree.xpath("//main//form") == []


async def test_the_well_known_address_leads_there(app: App) -> None:
    ada = await person(app)
    page = await ada.visitor.follow(await ada.visitor.get("/.well-known/change-password"))
    assert (page.status, page.heading) == (200, "Password")


async def test_a_new_password_that_is_rejected_is_no_guess_at_the_current_one(app: App) -> None:
    ada = await person(app)
    for _ in range(12):
        page = await ada.visitor.submit(
            await ada.visitor.get(PATH), PATH, currentPassword=PASSWORD, newPassword="passwordpassword"
        )
        assert page.status == 400
    page = await ada.visitor.submit(await ada.visitor.get(PATH), PATH, currentPassword=PASSWORD, newPassword=NEW)
    assert page.status == 303
