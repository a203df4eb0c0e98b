"""Second factors in the console: a client's policy with its effects in words, and resetting a user's factors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.pages.console.rules_pages import page_with
from tests.support.accounts import new_client, settle
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.second_factors import REQUIRED, Person, enrolled, person
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
RULES = "/console/rules"


async def browser_of(who: Person) -> Visitor:
    return Visitor(who.app, {"session": (await who.sign_in()).cookie("session")})


async def settings_of(app: App, client: str) -> dict[str, Any]:
    found = await app.get(f"/api/admin/clients/{client}", token=await app.admin_token())
    return dict(found.data["settings"])


def changes(page: Page) -> list[str]:
    return [
        " ".join(each.text_content().split()) for each in page.tree.xpath("//section[@aria-labelledby='preview']//li")
    ]


async def preview(visitor: Visitor, **typed: str) -> Page:
    """``typed`` uses the fields of a page, with ``__`` instead of a dot; without fields, the page about second
    factors."""
    fields = {name.replace("__", "."): text for name, text in typed.items()}
    page = await visitor.get(page_with(RULES, *(fields or ["secondFactor"])))
    sent = {name: text for name, text in (page.form(RULES).fields | fields).items() if text != "-"}
    return await visitor.post(RULES, sent)


async def test_how_many_are_asked_to_set_one_up_is_said_before_it_is_saved(app: App) -> None:
    admin = await person(app, "", "Admin")
    for _ in range(2):
        await person(app, admin.client)
    visitor = await browser_of(admin)
    page = await preview(visitor, secondFactor__policy="required")
    assert changes(page)[-3:] == [
        "All users must have a second factor.",
        "3 users must set up a second factor.",
        "Users, except Admins and User Admins, can postpone it for 7 days.",
    ]
    assert (await settings_of(app, admin.client))["secondFactor"]["policy"] == "optional"
    saved = await visitor.submit(page, RULES, {"act": "save"})
    assert saved.status == 303
    now = await settings_of(app, admin.client)
    assert (now["secondFactor"]["policy"], now["password"]["minLength"]) == ("required", 15)
    assert not [one for one in changes(page) if "characters" in one], "another page shows a length: it is not changed"


SUGGESTED = f"{RULES}?page=factors&suggest=admins"


async def test_the_overview_suggests_a_second_factor_for_admins_until_they_must_have_one(app: App) -> None:
    """The link shows the change to save, which keeps the client's other settings."""
    kept = {"policy": "roles", "roles": ["Author"], "graceDays": 3}
    admin = await person(app, "", "Admin", secondFactor=kept)
    visitor = await browser_of(admin)
    link = "Require second factor: Admins can sign in with only a password"
    assert (await visitor.get("/console")).tree.xpath(f"//a[@aria-label='{link}']/@href") == [SUGGESTED]
    page = await visitor.get(SUGGESTED)
    assert changes(page)[0] == "Users with these roles must have a second factor: Admin, Author."
    assert (await visitor.submit(page, RULES, {"act": "save"})).status == 303
    assert (await settings_of(app, admin.client))["secondFactor"] | kept | {"roles": ["Admin", "Author"]} == (
        await settings_of(app, admin.client)
    )["secondFactor"]
    assert link not in (await visitor.get("/console")).reply.text
    assert changes(await visitor.get(SUGGESTED)) == []


async def test_roles_methods_days_and_ways_are_each_said(app: App) -> None:
    admin = await person(app, "", "Admin")
    visitor = await browser_of(admin)
    page = await preview(
        visitor, secondFactor__policy="roles", roleAdmin="on", roleAuthor="on", secondFactor__methods__totp="-",
        secondFactor__graceDays="0", secondFactor__trustedDays="1", passkeySignIn="off", stepUp="management",
    )  # fmt: skip
    assert changes(page) == [
        "Users with these roles must have a second factor: Admin, Author.",
        "1 user must set up a second factor.",
        "Users can set up only passkeys. Existing authenticator apps still work.",
        "Users must set up a required second factor at their next sign-in.",
        "Browsers stay trusted for 1 day.",
        "Users can't sign in with only a passkey. It still works as a second factor.",
        "Managing users, providers, and settings also requires re-authentication.",
    ]
    await visitor.submit(page, RULES, {"act": "save"})
    stored = await settings_of(app, admin.client)
    assert stored["secondFactor"] == {
        "policy": "roles", "roles": ["Admin", "Author"], "methods": ["passkey"], "graceDays": 0, "trustedDays": 1,
    }  # fmt: skip
    assert (stored["passkeySignIn"], stored["stepUp"]) == (False, "management")
    assert "No changes" in (await preview(visitor)).text


async def test_trust_that_ends_is_counted(app: App) -> None:
    ada = await enrolled(app, "Admin")
    visitor = Visitor(app, {"session": (await ada.answered(trust=True)).cookie("session")})
    page = await preview(visitor, secondFactor__trustedDays="0")
    again = "1 trusted browser must use the second factor again."
    assert changes(page) == ["Browsers are no longer trusted.", again]
    for seconds, count in ((0, []), (86_400, [again])):
        app.clock.advance(seconds)
        page = await preview(visitor, secondFactor__trustedDays="1")
        assert changes(page) == ["Browsers stay trusted for 1 day.", *count]


@matrix(
    ("typed", "field", "problem"),
    [
        ({"secondFactor__policy": "all"}, "secondFactor.policy", "Choose an option from the list"),
        ({"secondFactor__policy": "roles"}, "secondFactor.roles", ""),
        (
            {"secondFactor__methods__totp": "-", "secondFactor__methods__passkey": "-"},
            "secondFactor.methods",
            "Choose at least one",
        ),
        ({"secondFactor__graceDays": "31"}, "secondFactor.graceDays", "Must be 30 or less"),
        ({"secondFactor__trustedDays": "many"}, "secondFactor.trustedDays", "Enter a number"),
        ({"passkeySignIn": "maybe"}, "passkeySignIn", ""),
        ({"stepUp": "never"}, "stepUp", "Choose an option from the list"),
    ],
)
async def test_errors_appear_beside_their_fields(app: App, typed: dict[str, str], field: str, problem: str) -> None:
    admin = await person(app, "", "Admin")
    page = await preview(await browser_of(admin), **typed)
    assert page.status == 400
    assert page.problems[0].startswith(problem)
    assert page.tree.xpath(f"//*[@id='{field}-error']")


async def test_a_user_admin_makes_it_stricter_and_not_weaker(app: App) -> None:
    manager = await person(app, "", "User Admin")
    visitor = await browser_of(manager)
    page = await visitor.get(page_with(RULES, "passkeySignIn"))
    assert "Sign-in with only a passkey" in page.text
    assert "passkeySignIn" not in page.form(RULES).fields
    page = await preview(visitor, secondFactor__policy="off")
    assert page.status == 403
    assert page.tree.xpath("//*[@id='secondFactor.policy-error']")
    assert (await preview(visitor, secondFactor__policy="required")).status == 200


async def test_the_page_of_a_user_resets_their_factors_with_a_reason(app: App) -> None:
    ada = await enrolled(app)
    admin = await person(app, ada.client, "Admin")
    visitor, path = await browser_of(admin), f"/console/users/{ada.id}"
    page = await visitor.get(path)
    assert "Second factorAuthenticator app" in page.text
    page = await visitor.submit(page, path, {"act": "reset-factors"})
    assert (page.status, page.problems) == (400, ["Enter a value"])
    page = await visitor.submit(page, path, {"act": "reset-factors"}, reason="Lost her phone")
    assert page.status == 303
    page = await visitor.follow(page)
    assert "Second factors removed. All sessions ended." in page.text
    assert "Second factorNone" in page.text
    assert not [form for form in page.forms() if form.fields.get("act") == "reset-factors"]
    assert (await ada.sign_in()).status == 200
    [event] = await ada.events("second_factor_reset")
    assert event["reason"] == "Lost her phone"


async def test_a_reset_asks_for_a_recent_proof_first(app: App) -> None:
    ada = await enrolled(app)
    admin = await person(app, ada.client, "Admin")
    visitor, path = await browser_of(admin), f"/console/users/{ada.id}"
    app.clock.advance(601)
    page = await visitor.submit(await visitor.get(path), path, {"act": "reset-factors"}, reason="Lost her phone")
    assert page.location.startswith("/reauthenticate?returnTo=/account/continue?form=")
    assert await ada.events("second_factor_reset") == []


async def test_what_rank_forbids_is_not_offered(app: App) -> None:
    ada = await enrolled(app, "Admin")
    manager = await person(app, ada.client, "User Admin")
    page = await (await browser_of(manager)).get(f"/console/users/{ada.id}")
    assert "Reset second factors" not in page.text
    visitor = Visitor(app, {"session": (await ada.answered()).cookie("session")})
    page = await visitor.get(f"/console/users/{ada.id}")
    assert "Reset second factors" not in page.text
    assert "This is your own account" in page.text


async def test_lists_say_who_has_one(app: App) -> None:
    ada = await enrolled(app)
    admin = await person(app, ada.client, "Admin")
    page = await (await browser_of(admin)).get("/console/users?sort=ID")
    column = [" ".join(cell.text_content().split()) for cell in page.tree.xpath("//td[@data-label='Second factor']")]
    assert column == ["Yes", "None"]


async def test_one_who_must_have_a_factor_and_has_none_is_seen(app: App) -> None:
    client = await new_client(app)
    admin, ada = await person(app, client, "Admin"), await person(app, client)
    visitor = await browser_of(admin)
    await settle(app, client, **REQUIRED)
    page = await visitor.get(f"/console/users/{ada.id}")
    assert "Your settings require one." in page.text
