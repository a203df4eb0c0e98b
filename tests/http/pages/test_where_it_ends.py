"""A sign-in on pages ends only at an address that the client lists, or at a page of the server."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.http.pages.hostile_texts import EVIL
from tests.support.accounts import new_client, new_user, settle
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.people import own_client
from tests.support.rules import rule
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

LISTED = ["https://app.acme.example/in", "https://app.acme.example/in?x=1", "com.acme.app:/in"]
OURS = ["/account", "/account/sessions", "/console", "/console/users?q=a.b&first=10", "/device?user_code=WDJB-MJHT"]


@pytest.fixture
async def listing(app: App) -> App:
    await settle(app, "acme", returnAddresses=LISTED)
    return app


async def signed_in(app: App, query: str) -> tuple[Visitor, Page]:
    visitor = Visitor(app)
    page = await visitor.get(f"/sign-in?client=acme&{query}")
    assert page.status == 200, page.text
    page = await visitor.submit(page, "/sign-in/password", email="author@acme.example", password=PASSWORD)
    assert page.status == 303, page.text
    return visitor, page


def test_there_are_sixty() -> None:
    assert len(set(EVIL)) >= 60


@matrix("address", EVIL)
async def test_another_address_is_rejected_immediately(listing: App, address: str) -> None:
    for visitor in (Visitor(listing), await Visitor(listing).signed_in()):
        page = await visitor.get(f"/sign-in?client=acme&returnTo={quote(address, safe='')}")
        assert page.status == 400
        hrefs = [element.get("href") for element in page.tree.xpath("//body//*[@href]")]
        assert hrefs == ["#main", "/"]
        assert "refresh" not in page.reply.text
        assert "location" not in page.reply.headers


@matrix("address", OURS)
async def test_a_page_of_ours_is_where_it_ends(listing: App, address: str) -> None:
    _, page = await signed_in(listing, f"returnTo={quote(address, safe='')}")
    assert page.location == address
    page = await (await Visitor(listing).signed_in()).get(f"/sign-in?client=acme&returnTo={quote(address, safe='')}")
    assert (page.status, page.location) == (302, address)


async def test_without_a_client_pages_of_ours_alone_count(listing: App) -> None:
    assert (await Visitor(listing).get(f"/sign-in?returnTo={quote(LISTED[0], safe='')}")).status == 400
    assert (await Visitor(listing).get("/sign-in?returnTo=/account")).status == 200


@matrix("address", LISTED[:2])
async def test_a_listed_address_is_reached_from_a_page_of_ours(listing: App, address: str) -> None:
    visitor, page = await signed_in(listing, f"returnTo={quote(address, safe='')}")
    assert page.location.startswith("/sign-in/done?s=")
    assert "acme.example" not in page.location
    page = await visitor.get(page.location)
    assert page.status == 200
    [refresh] = page.tree.xpath("//meta[@http-equiv='refresh']/@content")
    assert refresh == f"0; url={address}"
    assert page.links() == {"Continue": address}


@rule("RETURN-ADDRESS")
async def test_without_one_it_ends_at_the_account_and_a_code_has_no_end(listing: App) -> None:
    """An app at a listed address expects what it requests, such as a code."""
    _, page = await signed_in(listing, "")
    assert (page.status, page.location) == (303, "/account")
    page = await Visitor(listing).get(f"/sign-in?client=acme&response=code&codeChallenge={'A' * 43}")
    assert page.status == 400


async def test_an_apps_own_scheme_takes_a_code_and_a_challenge(listing: App) -> None:
    app = f"returnTo={quote(LISTED[2], safe='')}"
    assert (await Visitor(listing).get(f"/sign-in?client=acme&{app}")).status == 400
    assert (await Visitor(listing).get(f"/sign-in?client=acme&{app}&response=code")).status == 400
    assert (await Visitor(listing).get("/sign-in?client=acme&returnTo=/account&response=code")).status == 400


async def test_an_address_that_was_taken_off_the_list_is_not_reached(listing: App) -> None:
    address = quote(LISTED[0], safe="")
    visitor = Visitor(listing)
    page = await visitor.get(f"/sign-in?client=acme&returnTo={address}")
    await settle(listing, "acme", returnAddresses=[])
    page = await visitor.submit(page, "/sign-in/password", email="author@acme.example", password=PASSWORD)
    assert page.location == "/account"
    await settle(listing, "acme", returnAddresses=LISTED)
    visitor, page = await signed_in(listing, f"returnTo={address}")
    await settle(listing, "acme", returnAddresses=[])
    page = await visitor.get(page.location)
    assert (page.status, page.location) == (303, "/account")


async def test_who_is_signed_in_is_asked_or_sent_on(listing: App) -> None:
    visitor = await Visitor(listing).signed_in()
    address = quote(LISTED[0], safe="")
    page = await visitor.get(f"/sign-in?client=acme&returnTo={address}")
    assert (page.status, page.location) == (302, LISTED[0])
    page = await visitor.get("/sign-in?client=acme")
    assert page.title.startswith("Continue as Author Tester")
    assert (await visitor.submit(page, "/sign-in/done")).location == "/account"
    other = await visitor.get(page.links()["Use another account"])
    assert other.heading == "Sign in to Acme"
    assert (await visitor.get("/sign-in?client=globex")).heading == "Sign in to Globex"
    assert (await visitor.get(f"/sign-in?client=acme&returnTo={address}&prompt=login")).status == 200


async def test_the_end_is_for_who_is_signed_in(listing: App) -> None:
    _, page = await signed_in(listing, f"returnTo={quote(LISTED[0], safe='')}")
    assert (await Visitor(listing).get(page.location)).location == "/sign-in"
    stranger = await Visitor(listing).signed_in()
    assert (await stranger.get(page.location)).location == "/account"


@matrix("address", ["", "/account/sessions", LISTED[0]])
async def test_a_new_password_is_offered_on_the_way_where_one_is_due(app: App, address: str) -> None:
    client = await new_client(app, returnAddresses=LISTED[:1], password={"maxAgeDays": 90})
    _, email = await new_user(app, client, password=PASSWORD)
    for days, is_due in ((89, False), (2, True)):
        app.clock.advance(days * 86_400)
        visitor = Visitor(app)
        page = await visitor.get(
            f"/sign-in?client={client}" + (f"&returnTo={quote(address, safe='')}" if address else "")
        )
        page = await visitor.submit(page, "/sign-in/password", email=email, password=PASSWORD)
        if page.location.startswith("/sign-in/done"):
            page = await visitor.follow(page)
        assert (page.status == 200 and page.heading == "Your password has expired") is is_due
    assert not page.tree.xpath("//meta[@http-equiv='refresh']")
    assert page.links() == {"Change your password": "/account/password", "Not now": address or "/account"}
    assert (await visitor.get("/account")).status == 200


async def test_an_address_that_no_admin_confirmed_ends_no_admins_sign_in(app: App) -> None:
    own = await own_client(app)
    await own.changed(own.clerk, returnAddresses=LISTED[:1])
    for user, end in ((own.client_admin, "/account"), (own.clerk, LISTED[0])):
        visitor = await Visitor(app).signed_in(user.email)
        page = await visitor.get(f"/sign-in?client={own.identifier}&returnTo={quote(LISTED[0], safe='')}")
        assert (page.status, page.location) == (302, end)
