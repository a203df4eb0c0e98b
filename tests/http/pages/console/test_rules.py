"""A client's settings: previewed in words before saving, limited by rank, and with the entered values on errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.pages.console.rules_pages import PAGES, page_with
from tests.support.accounts import new_client, new_user, settle
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.people import member
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

PATH = "/console/rules"
USUAL: dict[str, Any] = {
    "password": {"minLength": 15, "characterClasses": 0, "history": 0, "maxAgeDays": 0},
    "sessions": {"idleSeconds": 0, "maxSeconds": 0, "refreshSeconds": 0},
    "allowedOrigins": [], "returnAddresses": [], "contact": "", "language": "en", "passwordSignIn": True,
    "refreshStrict": False,
}  # fmt: skip


@pytest.fixture(autouse=True)
async def usual(app: App) -> None:
    await settle(app, "acme", **USUAL)


async def stored(app: App) -> dict[str, Any]:
    found = await app.get("/api/admin/clients/acme", token=await app.admin_token())
    return dict(found.data["settings"])


def changes(page: Page) -> list[str]:
    return [
        " ".join(each.text_content().split()) for each in page.tree.xpath("//section[@aria-labelledby='preview']//li")
    ]


async def preview(app: App, email: str = "admin@acme.example", **typed: str) -> tuple[Visitor, Page]:
    visitor = await Visitor(app).signed_in(email)
    fields = {name.replace("__", "."): text for name, text in typed.items()}
    page = await visitor.get(page_with(PATH, *fields))
    return visitor, await visitor.post(PATH, page.form(PATH).fields | fields)


@matrix(
    ("typed", "said", "there"),
    [
        (
            {"password__minLength": "20"},
            ["New passwords need at least 20 characters (before: 15). Existing passwords aren't affected."],
            {"password": {"minLength": 20, "characterClasses": 0, "history": 0, "maxAgeDays": 0}},
        ),
        (
            {"sessions__idleSeconds": "30 min"},
            ["Unused browser sessions end after 30 min."],
            {"sessions": {"idleSeconds": 1800, "maxSeconds": 0, "refreshSeconds": 0}},
        ),
        (
            {"contact": "IT desk, 4th level", "allowedOrigins": "https://a.example"},
            ["New origin: https://a.example", "Users who can't sign in see this contact: IT desk, 4th level"],
            {"contact": "IT desk, 4th level", "allowedOrigins": ["https://a.example"]},
        ),
    ],
)
async def test_a_change_is_shown_first_and_then_saved_alone(
    app: App, typed: dict[str, str], said: list[str], there: dict[str, Any]
) -> None:
    before = await stored(app)
    visitor, page = await preview(app, **typed)
    assert (page.status, changes(page)) == (200, said)
    assert await stored(app) == before
    saved = await visitor.submit(page, PATH, {"act": "save"})
    assert (saved.status, saved.location) == (303, page_with(PATH, *typed))
    assert "Settings saved" in (await visitor.follow(saved)).text
    assert await stored(app) == before | there


async def test_each_rule_is_on_one_of_five_pages(app: App) -> None:
    """Another page's fields have no effect there, even in a forged form."""
    visitor, seen = await Visitor(app).signed_in("admin@acme.example"), list[str]()
    for name in PAGES:
        page = await visitor.get(f"{PATH}?page={name}")
        [current] = page.tree.xpath("//nav[@aria-label='Settings']//a[@aria-current]/@href")
        assert current == f"{PATH}?page={name}"
        seen += page.tree.xpath("//main//form//*[@name][not(@type='hidden')]/@name")
    assert len(seen) == len(set(seen)) > 35
    page = await visitor.get(PATH)
    assert page.tree.xpath("//nav[@aria-label='Settings']//a/@href") == [f"{PATH}?page={name}" for name in PAGES]
    sent = {"act": "save", "password.minLength": "18", "contact": "Elsewhere", "refreshStrict": "on"}
    assert (await visitor.post(PATH, page.form(PATH).fields | sent)).status == 303
    now = await stored(app)
    assert (now["password"]["minLength"], now["contact"], now["refreshStrict"]) == (18, "", False)


async def test_nothing_changed_is_said(app: App) -> None:
    _, page = await preview(app)
    assert page.status == 200
    assert "No changes" in page.text
    assert not [form for form in page.forms() if form.fields.get("act") == "save"]


async def test_how_many_it_concerns(app: App) -> None:
    _, email = await new_user(app, password=PASSWORD)
    await app.sign_in(email)
    app.clock.advance(5 * 86_400)
    said = " ".join(changes((await preview(app, sessions__maxSeconds="1 day"))[1]))
    assert "older and" in said
    said = " ".join(changes((await preview(app, password__maxAgeDays="3"))[1]))
    assert "must change it" in said
    assert "A change is due after 3 days: 0 users" not in said
    admin = await member(app, await new_client(app), "Admin")
    old = (await app.sign_in(admin.email)).data["token"]
    for seconds, ends in ((86_399, False), (1, True)):
        app.clock.advance(seconds)
        visitor, page = await preview(app, admin.email, sessions__maxSeconds="1 day")
        assert ("2 open sessions are older and end immediately." in " ".join(changes(page))) is ends
    await visitor.submit(page, PATH, {"act": "save"})
    assert (await app.me(old)).status == 401
    assert (await visitor.get(PATH)).status == 200


async def test_without_passwords_it_says_who_is_left_to_providers(app: App) -> None:
    visitor = await Visitor(app).signed_in("admin@acme.example")
    fields = (await visitor.get(PATH)).form(PATH).fields
    del fields["passwordSignIn"]
    page = await visitor.post(PATH, fields)
    assert (page.status, page.problems) == (
        409, ["No Admin could sign in any longer, because no provider that is turned on accepts Admins"],
    )  # fmt: skip
    path, root = "/api/admin/clients/acme/providers", await app.admin_token()
    body = {"name": "of-admins", "oidc": {"issuer": "https://op.example", "clientId": "x"}}
    assert (await app.post(path, body, token=root)).status == 201
    page = await visitor.post(PATH, fields)
    assert (await app.send("DELETE", f"{path}/of-admins", token=root)).status == 200
    assert "Nobody can sign in with a password" in changes(page)[0]
    assert "must use a provider" in changes(page)[0]
    assert (await stored(app))["passwordSignIn"] is True


@matrix(
    ("field", "text", "problem"),
    [
        ("password.minLength", "7", "Must be 8 or more"),
        ("password.minLength", "many", "Enter a number"),
        ("password.history", "25", "Must be 24 or less"),
        ("password.maxAgeDays", "-1", "Enter a number"),
        ("password.characterClasses", "9", "Must be 4 or less"),
        ("sessions.idleSeconds", "soon", "Must be a duration, for example 30 min, 12 h, or 14 days"),
        ("sessions.idleSeconds", "10", "Must be a duration, for example 30 min, 12 h, or 14 days"),
        ("sessions.idleSeconds", "10 s", "Must be 0 or at least 300"),
        ("sessions.maxSeconds", "300 days", "Must be at most 2592000"),
        (
            "allowedOrigins",
            "https://ok.example\nhttps://ok.example/path",
            "Line 2: Must be scheme://host[:port] in lowercase",
        ),
        ("returnAddresses", "https://ok.example/\njavascript:alert(1)", "Line 2: "),
        ("contact", "x" * 201, "Must have at most 200 characters"),
        ("contact", "?", "Enter a contact as plain text, or leave it empty"),
        ("contact", " \u2026 -- ", "Enter a contact as plain text, or leave it empty"),
        ("contact", "a\u202eb", "Remove the invisible character U+202E"),
        ("language", "xx", "Choose an option from the list"),
    ],
)
@matrix("act", ["preview", "save"])
async def test_errors_appear_beside_their_fields(app: App, act: str, field: str, text: str, problem: str) -> None:
    before = await stored(app)
    visitor = await Visitor(app).signed_in("admin@acme.example")
    fields = (await visitor.get(page_with(PATH, field))).form(PATH).fields
    page = await visitor.post(PATH, fields | {field: text, "act": act})
    assert page.status == 400
    [said] = page.problems
    assert said.startswith(problem)
    assert page.tree.xpath(f"//*[@id='{field}-error']")
    if field not in ("password.characterClasses", "language"):
        assert page.form(PATH, act="preview").fields[field].replace("\r", "") == text
    assert await stored(app) == before


async def test_a_user_admin_makes_nothing_weaker(app: App) -> None:
    await settle(app, "acme", password={"minLength": 20})
    visitor = await Visitor(app).signed_in("user-admin@acme.example")
    page = await visitor.get(PATH)
    assert "passwordSignIn" not in page.reply.text
    fields = page.form(PATH).fields
    page = await visitor.post(PATH, fields | {"password.minLength": "15"})
    assert (page.status, page.problems) == (403, ["Only an Admin can make this change"])
    assert page.tree.xpath("//*[@id='password.minLength-error']")
    page = await visitor.post(PATH, fields | {"act": "save", "password.minLength": "8"})
    assert page.status == 403
    assert (await stored(app))["password"]["minLength"] == 20
    assert (await visitor.post(PATH, fields | {"act": "save", "password.minLength": "22"})).status == 303


async def test_addresses_that_wait_are_confirmed_by_a_tick_and_by_nothing_else(app: App) -> None:
    theirs = await Visitor(app).signed_in("user-admin@acme.example")
    apps = page_with(PATH, "allowedOrigins")
    page = await theirs.submit(await theirs.get(apps), PATH, allowedOrigins="https://waits.example")
    assert "https://waits.example doesn't work for Admins until an Admin confirms it." in changes(page)
    await theirs.submit(page, PATH, {"act": "save"})
    assert "confirm" not in (await theirs.get(apps)).form(PATH).fields
    waiting = ["https://waits.example"]
    assert (await stored(app))["unconfirmed"]["allowedOrigins"] == waiting
    visitor, page = await preview(app, contact="Ask us")
    await visitor.submit(page, PATH, {"act": "save"})
    assert (await stored(app))["unconfirmed"]["allowedOrigins"] == waiting
    page = await visitor.get(apps)
    assert "Not confirmed for Admins" in page.text
    page = await visitor.submit(page, PATH, confirm="on")
    assert changes(page) == ["You confirm https://waits.example for Admins."]
    await visitor.submit(page, PATH, {"act": "save"})
    assert (await stored(app))["unconfirmed"]["allowedOrigins"] == []


async def test_lengths_are_read_back_as_they_are_written(app: App) -> None:
    visitor, page = await preview(app, sessions__idleSeconds="1h 30 minutes", sessions__maxSeconds="2 days")
    await visitor.submit(page, PATH, {"act": "save"})
    fields = (await visitor.get(page_with(PATH, "sessions"))).form(PATH).fields
    assert (fields["sessions.idleSeconds"], fields["sessions.maxSeconds"]) == ("1 h 30 min", "2 days")


async def test_blanks_are_no_one_to_ask(app: App) -> None:
    _, page = await preview(app, contact=" \u3000 ", language="de")
    assert page.status == 200, page.text
    assert len(changes(page)) == 1
