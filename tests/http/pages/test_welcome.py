"""``/welcome`` with an entered code: choose a password, use a provider, or confirm or revert an address."""

from __future__ import annotations

import pytest

from tests.support.accounts import settle
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, add_oidc
from tests.support.team import Team, new_team
from tests.support.user_management import NEW, invited, started_reset
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

OVER = "This link or code is no longer valid. Request a new one."


@pytest.fixture
async def team(app: App) -> Team:
    return await new_team(app)


async def looked(visitor: Visitor, token: str) -> Page:
    return await visitor.submit(await visitor.get("/welcome"), "/welcome", token=token)


async def who(visitor: Visitor) -> str:
    return str((await visitor.app.me(cookie=visitor.cookies["session"])).data["user"]["email"])


@rule("ONE-TIME-LINK")
async def test_an_invited_person_chooses_a_password_and_is_in(team: Team) -> None:
    _, token = await invited(team, f"ada@{team.client}.example")
    visitor = Visitor(team.app)
    page = await looked(visitor, token)
    assert page.heading == f"Welcome to {team.client}"
    [email] = page.tree.xpath("//input[@name='email']")
    assert (email.get("value"), email.get("readonly")) == (f"ada@{team.client}.example", "readonly")
    [field] = page.tree.xpath("//input[@name='password']")
    assert (field.get("autocomplete"), field.get("passwordrules")) == ("new-password", "minlength: 15; maxlength: 256;")
    assert "At least 15 characters." in page.tree.get_element_by_id("password-hint").text_content()
    for password, problem in (
        ("", "Enter a value"),
        ("short", "Must have at least 15 characters"),
        ("passwordpassword", "Too easy to guess. Don't use a common password, common words, or your name."),
        ("x" * 257, None),
    ):
        page = await visitor.submit(page, "/welcome", password=password)
        assert page.status == 400
        assert problem is None or page.problems == [problem]
        assert not password or password not in page.reply.text
    page = await visitor.submit(page, "/welcome", password=NEW)
    assert (page.status, page.location) == (303, "/account")
    assert await who(visitor) == f"ada@{team.client}.example"
    page = await looked(Visitor(team.app), token)
    assert (page.status, page.problems) == (401, [OVER])


@matrix(("language", "words"), [("en", "the part of the link after the # sign"), ("de", "nach dem Zeichen #")])
async def test_without_mail_it_says_where_the_code_stands(app: App, language: str, words: str) -> None:
    page = await Visitor(app, language=language).get("/welcome")
    [advice] = page.tree.xpath("//p[@class='lead']")
    assert words in advice.text
    assert "e-mail" not in advice.text.lower()


async def test_the_rules_are_said_in_the_readers_language(team: Team) -> None:
    _, token = await invited(team)
    visitor = Visitor(team.app, language="de")
    page = await visitor.submit(await looked(visitor, token), "/welcome", password="kurz")
    assert page.problems == ["Muss mindestens 15 Zeichen haben"]
    assert page.title.startswith("Fehler: ")


async def test_a_reset_signs_in_here_and_out_everywhere_else(team: Team) -> None:
    user_id, token = await invited(team, f"bob@{team.client}.example")
    visitor = Visitor(team.app)
    await visitor.submit(await looked(visitor, token), "/welcome", password=NEW)
    before = visitor.cookies["session"]
    page = await looked(visitor, await started_reset(team, user_id))
    assert page.heading == "Choose a new password"
    page = await visitor.submit(page, "/welcome", password="another-granite-otter-47")
    assert page.location == "/account"
    assert visitor.cookies["session"] != before
    assert (await team.app.me(cookie=before)).status == 401


@matrix("token", ["", "x", "A" * 32, "A" * 101, "<script>", "ä"])
async def test_a_code_that_is_none_is_asked_for_again(team: Team, token: str) -> None:
    page = await looked(Visitor(team.app), token)
    assert page.status in (400, 401)
    assert page.heading == "Enter your code"
    assert len(page.problems) == 1
    assert page.form("/welcome").fields["token"] == token


async def test_the_token_goes_into_no_address(team: Team) -> None:
    _, token = await invited(team)
    visitor = Visitor(team.app)
    page = await looked(visitor, token)
    addresses = [element.get(key) or "" for element in page.tree.iter() for key in ("href", "src", "action")
                 if isinstance(element.tag, str)]  # fmt: skip
    assert not [address for address in addresses if token in address]
    page = await visitor.submit(page, "/welcome", password=NEW)
    assert token not in page.location


async def test_an_invited_person_can_go_on_at_a_provider(team: Team, op: Op) -> None:
    await add_oidc(team.app, op, team.client, name="okta", displayName="Our Okta", createUsers=False)
    _, token = await invited(team, "ada@acme.example")
    visitor = Visitor(team.app)
    page = await looked(visitor, token)
    address = page.links()["Continue with Our Okta"]
    assert token not in address
    browser = Browser(team.app, visitor.cookies)
    started = await browser.send("GET", address)
    ended = await browser.send("GET", op.visit(started.headers["location"]))
    assert ended.status == 302, ended.text
    assert await who(visitor) == "ada@acme.example"


async def test_where_no_passwords_are_used_it_says_so(team: Team) -> None:
    _, token = await invited(team)
    await settle(team.app, team.client, passwordSignIn=False, contact="IT desk, extension 12")
    page = await looked(Visitor(team.app), token)
    assert "Passwords are turned off" in page.text
    assert "IT desk, extension 12" in page.text
    assert page.tree.xpath("//input[@name='password']") == []


async def test_a_server_without_mail_says_whom_to_ask(app: App) -> None:
    page = await Visitor(app).get("/forgot")
    assert "This server doesn't send emails." in page.text
    assert page.tree.xpath("//form[@action='/forgot']") == []
