"""`/account` shows the user's profile and events since the last visit, and links to all other pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.http.pages.account.account_pages import PAGES, person, signed_in
from tests.support.accounts import new_client, settle
from tests.support.application import PASSWORD, App, running
from tests.support.attempt_limits import PROXY, at
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.second_factors import enrolled
from tests.support.second_factors import person as due_person
from tests.support.team import Team
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
WRONG = "Failed sign-in"


def events(page: Page) -> list[str]:
    """The listed entries, newest first."""
    return [" ".join(p.text_content().split()) for p in page.tree.xpath("//ol[@class='events']//p[@class='event']")]


async def guess(app: App, email: str, client: str, times: int = 1) -> None:
    for _ in range(times):
        await app.sign_in(email, "not-the-password", client=client)


@matrix("path", PAGES)
async def test_every_page_is_in_the_menu_and_marks_itself(app: App, path: str) -> None:
    visitor = await Visitor(app).signed_in()
    page = await visitor.get(f"/account{path}")
    assert page.status == 200
    menu = page.tree.xpath("//nav[@aria-label='Your account']//a")
    assert sorted(a.get("href") for a in menu) == sorted(f"/account{other}" for other in PAGES)
    headings = page.tree.xpath("//nav[@aria-label='Your account']//li[@class='menu-heading']/text()")
    assert headings == ["Personal details", "Sign-in methods", "Second factor", "Sessions and devices"]
    assert [a.get("href") for a in menu if a.get("aria-current")] == [f"/account{path}"]
    assert len(page.tree.xpath("//main")) == 1


@matrix(("email", "is_shown"), [("admin", True), ("user-admin", True), ("viewer", False)])
async def test_the_console_is_shown_to_those_whom_it_opens(app: App, email: str, *, is_shown: bool) -> None:
    page = await (await Visitor(app).signed_in(f"{email}@acme.example")).get("/account/profile")
    assert bool(page.tree.xpath("//nav//a[@href='/console']")) is is_shown


async def test_it_says_who_and_what_one_can_do_in_words(app: App) -> None:
    ada = await person(app, roles=["Author", "Approver"], firstName="Ada", lastName="Byron", title="Head")
    page = await ada.visitor.get("/account")
    assert page.heading == "Your account"
    [name] = page.tree.xpath("//h2[@id='who']")
    assert name.text_content() == "Ada Byron"
    for text in ("Head", ada.email, ada.client, "Author Writes and edits templates.", "Approver Approves"):
        assert text in page.text


async def test_it_lists_what_happened_since_the_sign_in_before(app: App) -> None:
    ada = await person(app)
    assert events(await ada.visitor.get("/account")) == []
    app.clock.advance(3600)
    await signed_in(app, ada.email, ada.client)
    app.clock.advance(3600)
    await guess(app, ada.email, ada.client, 2)
    app.clock.advance(3600)
    now = await signed_in(app, ada.email, ada.client)
    page = await now.get("/account")
    assert events(page) == [f"Attention: {WRONG} 2 times"]
    assert "2 events below might not be yours." in page.text
    first = await ada.visitor.get("/account")  # an older session also sees later events
    assert events(first) == ["Sign-in", f"Attention: {WRONG} 2 times", "Sign-in"]


async def test_the_callers_own_typo_just_before_the_sign_in_is_no_alarm(app: App) -> None:
    """The alert covers events after the session opened; the list still contains the typo."""
    ada = await person(app)
    app.clock.advance(3600)
    await guess(app, ada.email, ada.client, 2)
    app.clock.advance(20)
    page = await (await signed_in(app, ada.email, ada.client)).get("/account")
    assert events(page) == [f"{WRONG} 2 times"]
    assert "Was this you?" not in page.text


async def test_a_wrong_password_from_elsewhere_is_one(tmp_path: Path) -> None:
    async with running(f"sqlite:///{tmp_path / 'store.db'}", **PROXY) as app:
        ada = await person(app)
        app.clock.advance(3600)
        await app.sign_in(ada.email, "not-the-password", client=ada.client, headers=at("198.51.100.7"))
        app.clock.advance(20)
        page = await (await signed_in(app, ada.email, ada.client)).get("/account")
        assert events(page) == [f"Attention: {WRONG}"]
        assert "Was this you?" in page.text


async def test_it_links_to_the_apps_to_which_sign_ins_return(app: App) -> None:
    ada = await person(app)
    assert (await ada.visitor.get("/account")).tree.xpath("//h2[@id='apps']") == []
    addresses = [
        "https://app.acme.example/back?x=1",
        "https://app.acme.example/",
        "com.acme:/x",
        "http://localhost:81/",
    ]
    await settle(app, ada.client, returnAddresses=addresses)
    links = (await (await signed_in(app, ada.email, ada.client)).get("/account")).links()
    assert links["Open app.acme.example"] == "https://app.acme.example/"
    assert links["Open localhost:81"] == "http://localhost:81/"


async def test_with_nothing_new_it_says_so(app: App) -> None:
    ada = await person(app)
    app.clock.advance(60)
    page = await (await signed_in(app, ada.email, ada.client)).get("/account")
    assert "No activity since then." in page.text
    assert events(page) == []
    assert page.tree.xpath("//main//*[contains(@class, 'notice')]") == []


async def test_what_others_did_to_the_account_is_marked(app: App) -> None:
    ada = await person(app)
    app.clock.advance(60)
    now = await signed_in(app, ada.email, ada.client)
    path = f"/api/admin/clients/{ada.client}/users/{ada.id}"
    token = await app.admin_token()
    await app.send("PUT", f"{path}/roles", {"roles": ["Author", "Viewer"]}, token=token)
    await app.send("PATCH", path, {"title": "Boss"}, token=token)
    page = await now.get("/account")
    assert events(page) == ["Profile changed", "Roles changed"]
    assert "Author, Viewer" in page.text
    assert page.text.count("by an administrator") == 2


async def test_who_took_the_second_factors_away_is_named(app: App) -> None:
    """A manager who also sends a password link can get into the account, so the user sees who it was."""
    ada = await person(app)
    manager = (await Team(app, ada.client).member("User Admin")).token
    app.clock.advance(60)
    taken = await app.post(f"/api/client/users/{ada.id}/factors/reset", {"reason": "Lost"}, token=manager)
    assert taken.status == 200
    email = (await app.me(manager)).data["user"]["email"]
    app.clock.advance(60)
    page = await (await signed_in(app, ada.email, ada.client)).get("/account")
    assert events(page) == ["Attention: Second factors removed by an administrator"]
    [hint] = page.tree.xpath("//*[@class='events']/li//*[@class='hint']")
    assert [span.text for span in hint.xpath("span")] == [
        "Lost",
        "by an administrator",
        email,
        "from 192.0.2.1",
    ]


async def test_other_users_events_are_not_listed(app: App) -> None:
    ada = await person(app)
    bob = await person(app, ada.client)
    app.clock.advance(60)
    now = await signed_in(app, ada.email, ada.client)
    await guess(app, bob.email, ada.client)
    await bob.visitor.submit(await bob.visitor.get("/account/profile"), "/account/profile", title="X")
    assert events(await now.get("/account")) == []


async def test_what_needs_attention_comes_first(app: App) -> None:
    client = await new_client(app, password={"maxAgeDays": 1})
    ada = await person(app, client)
    assert "Your password has expired" not in (await ada.visitor.get("/account")).text
    app.clock.advance(2 * 86_400)
    now = await signed_in(app, ada.email, client)
    for path in ("/account", "/account/password"):
        page = await now.get(path)
        assert "Your password has expired" in page.text
        assert f"{client} requires you to choose a new one." in page.text
    await settle(app, client, password={"maxAgeDays": 0})
    assert "Your password has expired" not in (await now.get("/account")).text


async def test_a_long_list_is_cut_and_says_so(app: App) -> None:
    ada = await person(app)
    app.clock.advance(60)
    now = await signed_in(app, ada.email, ada.client)
    for number in range(55):
        name = f"Name {number}"
        await ada.visitor.submit(await ada.visitor.get("/account/profile"), "/account/profile", firstName=name)
        app.clock.advance(1)
    page = await now.get("/account")
    assert events(page) == ["Profile changed 50 times"]
    assert "Only the latest events are listed." in page.text


async def test_the_number_of_sessions_is_told(app: App) -> None:
    ada = await person(app)
    await signed_in(app, ada.email, ada.client)
    assert "Signed in on 2 devices" in (await ada.visitor.get("/account")).text
    assert PASSWORD not in (await ada.visitor.get("/account")).reply.text


async def test_a_used_recovery_code_and_factors_removed_might_be_someone_elses_doing(app: App) -> None:
    ada = await enrolled(app)
    check_success(await ada.answered())
    app.clock.advance(60)
    reply = await ada.sign_in_with(recoveryCode=ada.recovery_codes[0])
    page = await Visitor(app, {"session": reply.cookie("session")}).get("/account")
    assert "Was this you?" in page.text
    assert "Attention: Recovery code used" in events(page)
    assert "9 codes are left" in page.text
    sessions = await Visitor(app, {"session": reply.cookie("session")}).get("/account/sessions")
    assert "Password, Recovery code" in sessions.text
    path = f"/api/admin/clients/{ada.client}/users/{ada.id}/factors/reset"
    check_success(await app.post(path, {"reason": "Lost the phone"}, token=await app.admin_token()))
    app.clock.advance(60)
    page = await Visitor(app, {"session": (await ada.sign_in()).cookie("session")}).get("/account")
    assert "Attention: Second factors removed by an administrator" in events(page)
    assert "Lost the phone" in page.text


async def test_who_manages_is_led_to_the_console(app: App) -> None:
    page = await (await Visitor(app).signed_in("admin@acme.example")).get("/account")
    assert page.tree.xpath("//main//a[@href='/console']")
    page = await (await Visitor(app).signed_in("viewer@acme.example")).get("/account")
    assert not page.tree.xpath("//main//a[@href='/console']")


async def test_a_due_factor_is_offered_of_each_kind_that_is_allowed(secure: App) -> None:
    ada = await due_person(secure, secondFactor={"policy": "required", "graceDays": 5})
    page = await Visitor(secure, {"session": (await ada.sign_in()).cookie("session")}).get("/account")
    assert {"/account/passkeys", "/account/second-factor"} <= set(page.links().values())
