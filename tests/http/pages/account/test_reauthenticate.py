"""`/reauthenticate` is shown by every page that requires it, and leads back there afterward."""

from __future__ import annotations

import pytest

from tests.http.pages.account.account_pages import Person, person
from tests.support.accounts import settle, trail
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.second_factors import Person as Holder
from tests.support.second_factors import enrolled
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
PATH = "/reauthenticate"
BACK = f"{PATH}?returnTo="
LATER = 601
EMAIL = {"newEmail": "other@acme.example", "currentPassword": PASSWORD}


async def with_app(app: App) -> tuple[Holder, Visitor]:
    """A user with an authenticator app, and the browser that showed its key."""
    ada = await enrolled(app)
    return ada, Visitor(app, {"session": (await ada.answered()).cookie("session")})


async def asked(ada: Visitor, path: str = "/account/codes") -> Page:
    """The page, as reached from another page that requires re-authentication."""
    return await ada.get(BACK + path)


async def test_a_rejected_act_leads_there_and_a_proof_leads_back(app: App) -> None:
    ada = await person(app)
    app.clock.advance(LATER)
    page = await ada.visitor.get("/account/second-factor")
    page = await ada.visitor.submit(page, "/account/second-factor", {"act": "begin"})
    assert (page.status, page.location.startswith(f"{BACK}/account/continue?form=")) == (303, True)
    page = await ada.visitor.follow(page)
    assert page.heading == "Confirm that it's you"
    page = await ada.visitor.submit(page, PATH, currentPassword=PASSWORD)
    # where the held form is completed
    page = await ada.visitor.get(page.location, Sec_Fetch_Site="same-origin")
    assert (page.status, page.location) == (303, "/account/second-factor?way=app")


async def test_with_a_factor_password_and_code_are_asked_for(app: App) -> None:
    ada, browser = await with_app(app)
    app.clock.advance(LATER)
    page = await browser.get("/account/codes")
    page = await browser.submit(page, "/account/codes")
    asked_at = page.location
    page = await browser.follow(page)
    assert {"currentPassword", "otp"} <= page.form(PATH).fields.keys()
    assert page.links()["Recovery code"] == f"{asked_at}&way=recoveryCode"
    page = await browser.submit(page, PATH, currentPassword=PASSWORD, otp=ada.code())
    page = await browser.follow(page)
    assert (page.status, len(page.tree.xpath("//*[@id='codes']//code"))) == (200, 10)


async def test_a_recovery_code_does_too(app: App) -> None:
    ada, browser = await with_app(app)
    app.clock.advance(LATER)
    page = await browser.get(f"{BACK}/account/devices&way=recoveryCode")
    page = await browser.submit(page, PATH, currentPassword=PASSWORD, recoveryCode=ada.recovery_codes[0])
    assert page.location == "/account/devices"


@matrix(
    ("typed", "problem"),
    [
        ({"currentPassword": "wrong"}, "The current password is incorrect"),
        ({"currentPassword": PASSWORD, "otp": "nonsense"}, "This code is incorrect or was already used. Wait for"),
        ({"currentPassword": PASSWORD, "otp": ""}, "Enter a value"),
        ({"currentPassword": "", "otp": "123456"}, "Enter a value"),
    ],
)
async def test_a_wrong_answer_asks_again_and_keeps_nothing_secret(
    app: App, typed: dict[str, str], problem: str
) -> None:
    ada, browser = await with_app(app)
    app.clock.advance(LATER)
    page = await browser.submit(await asked(browser), PATH, None, **({"otp": ada.code()} | typed))
    assert page.status in (400, 401)
    assert page.problems[0].startswith(problem)
    fields = page.form(PATH).fields
    assert (fields["returnTo"], fields["currentPassword"], fields["otp"]) == ("/account/codes", "", "")
    page = await browser.submit(page, PATH, currentPassword=PASSWORD, otp=ada.code())
    assert page.location == "/account/codes"


@matrix("foreign", ["https://evil.example", "//evil.example", "/account/../x", PATH, "/sign-out", ""])
async def test_it_leads_back_to_a_page_of_the_account_or_a_console_alone(app: App, foreign: str) -> None:
    ada = await person(app)
    page = await asked(ada.visitor, foreign)
    assert page.form(PATH).fields["returnTo"] == "/account"
    form = page.form(PATH).fields | {"returnTo": foreign, "currentPassword": PASSWORD}
    assert (await ada.visitor.post(PATH, form)).location == "/account"


async def test_without_a_session_one_signs_in_first(app: App) -> None:
    page = await Visitor(app).get(f"{BACK}/account/codes")
    assert page.location == "/sign-in?returnTo=%2Freauthenticate%3FreturnTo%3D%2Faccount%2Fcodes"


async def test_the_proof_is_in_the_audit_trail(app: App) -> None:
    ada: Person = await person(app)
    page = await ada.visitor.submit(await asked(ada.visitor), PATH, currentPassword="wrong")
    page = await ada.visitor.submit(page, PATH, currentPassword=PASSWORD)
    events = [one.event for one in await trail(app, ada.client) if one.subject == f"user:{ada.id}"]
    assert events[-2:] == ["reauthentication_failed", "reauthenticated"]


async def test_an_export_of_the_trail_leads_there_and_back_to_its_page(app: App) -> None:
    ada = await person(app, roles=["Admin"])
    await settle(app, ada.client, stepUp="management")
    assert (await ada.visitor.get("/console/audit/export?format=csv")).status == 302
    app.clock.advance(LATER)
    page = await ada.visitor.get("/console/audit/export?format=csv")
    assert (page.status, page.location) == (303, f"{BACK}/console/audit")
