"""Clients on pages: found, created, renamed, suspended, restored, and deleted by identifier; their first Admin."""

from __future__ import annotations

import itertools
from urllib.parse import urlsplit

import pytest

from tests.http.pages.installation.console import PROOF, TEN_MINUTES, act, asked, prove
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_store

CLIENTS = "/installation/clients"
_numbers = itertools.count(1)


async def made(visitor: Visitor) -> str:
    """Create a client; returns its page's path."""
    number = next(_numbers)
    page = await act(visitor, CLIENTS, name=f"Initech {number}", identifier=f"initech-{number}")
    assert (page.status, page.location) == (303, f"{CLIENTS}/initech-{number}?show=users")
    return f"{CLIENTS}/initech-{number}"


async def names(visitor: Visitor, query: str = "") -> list[str]:
    page = await visitor.get(f"{CLIENTS}{query}")
    assert page.status == 200
    return [str(row.text_content()).strip() for row in page.tree.xpath("//tbody//th")]


async def state_of(app: App, path: str) -> dict[str, object]:
    client = path.rpartition("/")[2]
    data = (await app.get(f"/api/admin/clients/{client}", token=await app.admin_token())).data
    return {"suspended": data["suspendedAt"] is not None, "marked": data["deleteAt"] is not None}


async def test_clients_are_listed_searched_and_sorted(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    assert (await names(visitor))[:2] == ["Acme", "Globex"]
    assert (await names(visitor, "?sort=IDENTIFIER"))[0] == "Acme"
    assert await names(visitor, "?q=ACM") == ["Acme"]
    assert await names(visitor, "?q=acm&state=suspended") == []
    page = await visitor.get(f"{CLIENTS}?q=%25_nothing")
    assert "No matching clients" in page.text
    for query in ("?state=x&sort=y", "?q=" + "x" * 200):
        assert (await visitor.get(CLIENTS + query)).status == 200
    assert (await visitor.get(f"{CLIENTS}?after=x")).status == 400
    assert (await visitor.get(f"{CLIENTS}?q=a&q=b")).status == 400


async def test_a_long_list_has_pages(app: App) -> None:
    token, visitor = await app.admin_token(), await Visitor(app).system_admin()
    for number in range(51):
        body = {"identifier": f"many-{number:02}", "name": f"Many {number:02}"}
        assert (await app.post("/api/admin/clients", body, token=token)).status == 201
    first = await visitor.get(f"{CLIENTS}?q=many")
    links = first.links()
    second = await visitor.get(links["Next page"])
    assert (len(first.tree.xpath("//tbody/tr")), len(second.tree.xpath("//tbody/tr"))) == (50, 1)
    assert "Many 50" in second.text
    assert await names(visitor, second.links()["First page"].removeprefix(CLIENTS)) == await names(visitor, "?q=many")


@matrix("name,identifier", [("Weiß & Söhne, Nr. 5", "weiss-sohne-nr-5"), ("A" * 62 + " Inc", "a" * 62)])
async def test_a_client_is_created_with_its_first_admin(app: App, name: str, identifier: str) -> None:
    """The identifier is derived from the name."""
    visitor = await Visitor(app).system_admin()
    shown = await act(visitor, CLIENTS, name=name, email="boss@weiss.example")
    assert shown.heading == name
    assert (await visitor.get(f"{CLIENTS}/{identifier}")).heading == name
    assert urlsplit(shown.tree.xpath("//code[@id='link']")[0].text).path == "/welcome"
    assert "boss@weiss.example" in shown.text


@matrix("name,email,field", [("Initech", "x", "email"), ("\u4f1a\u793e", "boss@kaisha.example", "identifier")])
async def test_without_its_first_admin_or_an_identifier_no_client_is_created(
    app: App, name: str, email: str, field: str
) -> None:
    visitor = await Visitor(app).system_admin()
    before = await names(visitor)
    page = await act(visitor, CLIENTS, name=name, email=email)
    assert page.status == 400
    assert page.tree.xpath(f"//input[@id='{field}']/@aria-invalid") == ["true"]
    assert (page.form(CLIENTS).fields["name"], page.form(CLIENTS).fields["email"]) == (name, email)
    assert await names(visitor) == before


async def test_a_client_is_made_and_leads_to_the_invitation_of_its_admin(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    path = await made(visitor)
    page = await visitor.get(f"{path}?show=users")
    assert "Client created. Invite its first Admin" in page.text
    assert "No users yet" in page.text
    shown = await visitor.submit(page, path, email=" Boss@Initech.example ", firstName="Bill", lastName="Lumbergh")
    assert shown.status == 200
    link = shown.tree.xpath("//code[@id='link']")[0].text
    assert urlsplit(link).path == "/welcome"
    assert "Bill Lumbergh" in shown.text
    assert link not in (await visitor.get(f"{path}?show=users")).reply.text
    token = link.partition("#")[2]
    accepted = await app.post("/api/client/auth/invitations/accept", {"token": token, "password": PASSWORD})
    assert accepted.data["user"]["roles"] == ["Admin"]


@matrix(
    ("identifier", "name", "field"),
    [("", "X", "identifier"), ("a", "X", "identifier"), ("Acme Corp", "X", "identifier"), ("-x", "X", "identifier"),
     ("xyz", "", "name"), ("xyz", "a\nb", "name"), ("xyz", "x" * 201, "name"), ("xyz", "x" * 301, "name")],
)  # fmt: skip
async def test_a_client_that_cannot_be_is_rejected_with_what_was_typed(
    app: App, identifier: str, name: str, field: str
) -> None:
    visitor = await Visitor(app).system_admin()
    page = await act(visitor, CLIENTS, identifier=identifier, name=name)
    assert (page.status, page.title.startswith("Error: ")) == (400, True)
    assert page.tree.xpath(f"//input[@name='{field}' and @aria-invalid='true']")
    assert page.form(CLIENTS).fields["identifier"] == identifier


async def test_an_identifier_that_is_taken_is_rejected(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    page = await act(visitor, CLIENTS, identifier="acme", name="Another")
    assert page.status == 409
    assert len(page.problems) == 1
    assert page.form(CLIENTS).fields["name"] == "Another"


async def test_it_is_renamed(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    path = await made(visitor)
    done = await act(visitor, path, act="rename", name=" Initrode ")
    assert done.location == path
    assert (await visitor.follow(done)).heading == "Initrode"
    wrong = await act(visitor, path, act="rename", name="")
    assert (wrong.status, len(wrong.problems)) == (400, 1)


async def test_it_is_suspended_and_restored(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    session = (await Visitor(app).signed_in("author@globex.example")).cookies["session"]
    path = f"{CLIENTS}/globex"
    done = await visitor.follow(await act(visitor, path, act="suspend"))
    assert "can't sign in" in done.text
    assert (await app.me(cookie=session)).status == 401
    again = await act(visitor, path, act="suspend")
    assert (again.status, again.problems) == (409, ["The client is already suspended"])
    assert await names(visitor, "?state=suspended") == ["Globex"]
    done = await visitor.follow(await act(visitor, path, act="restore"))
    assert "Its users can sign in again." in done.text
    assert (await app.sign_in("author@globex.example")).status == 200


async def test_it_is_deleted_with_its_identifier_typed_and_revoked(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    path = await made(visitor)
    for typed in ("", "Initech", path.rpartition("/")[2].upper(), "acme"):
        page = await act(visitor, path, act="delete", confirmed=typed)
        assert (page.status, len(page.problems)) == (400, 1)
    assert await state_of(app, path) == {"suspended": False, "marked": False}
    done = await act(visitor, path, act="delete", confirmed=f" {path.rpartition('/')[2]} ")
    assert done.location == path
    assert await state_of(app, path) == {"suspended": True, "marked": True}
    page = await visitor.follow(done)
    assert "Marked for deletion" in page.text
    assert await names(visitor, "?state=deleted") == [page.heading]
    kept = await act(visitor, path, act="restore")
    assert await state_of(app, path) in ({"suspended": False, "marked": False}, {"suspended": True, "marked": False})
    assert kept.status == 303


async def test_after_ten_minutes_a_deletion_asks_for_the_password_and_is_then_done(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    path = await made(visitor)
    typed = {"act": "delete", "confirmed": path.rpartition("/")[2]}
    app.clock.advance(TEN_MINUTES)
    page = await act(visitor, path, **typed)
    for password, status in (("", 400), ("wrong", 401)):
        wrong = await visitor.submit(await asked(visitor, page), PROOF, proofPassword=password)
        assert (wrong.status, wrong.heading, len(wrong.problems)) == (status, "Confirm that it's you", 1)
        assert wrong.form(PROOF).fields["proofPassword"] == ""
    assert await state_of(app, path) == {"suspended": False, "marked": False}
    done = await prove(visitor, page)
    assert done.location == path
    assert await state_of(app, path) == {"suspended": True, "marked": True}
    assert (await act(visitor, path, act="restore")).status == 303
    assert (await act(visitor, path, **typed)).status == 303  # re-authentication is valid for ten minutes


async def test_after_ten_minutes_an_invitation_asks_for_the_password_and_is_then_made(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    path = await made(visitor)
    app.clock.advance(TEN_MINUTES)
    typed = {"act": "invite", "email": "boss@initech.example", "firstName": "Bill"}
    page = await act(visitor, path, f"{path}?show=users", **typed)
    assert "No users yet" in (await visitor.get(f"{path}?show=users")).text
    shown = await prove(visitor, page)
    assert urlsplit(shown.tree.xpath("//code[@id='link']")[0].text).path == "/welcome"
    assert "Bill" in shown.text


async def test_its_users_and_providers_are_shown(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    page = await visitor.get(f"{CLIENTS}/acme?show=users&q=author")
    assert "author@acme.example" in page.text
    assert "viewer@acme.example" not in page.text
    assert "author@globex.example" not in page.text
    assert "No providers" in (await visitor.get(f"{CLIENTS}/acme?show=providers")).text
    oidc = {
        "name": "okta",
        "displayName": "Okta of Acme",
        "oidc": {"issuer": "https://x.okta.example", "clientId": "c"},
    }
    added = await app.post("/api/admin/clients/acme/providers", oidc, token=await app.admin_token())
    assert added.status == 201
    page = await visitor.get(f"{CLIENTS}/acme?show=providers")
    assert "Okta of Acme" in page.text
    assert not page.tree.xpath("//main//form")


@matrix("client", ["nowhere", "999999", "0", "ä", "acme%00"])
async def test_a_client_that_does_not_exist_is_not_found(app: App, client: str) -> None:
    visitor = await Visitor(app).system_admin()
    assert (await visitor.get(f"{CLIENTS}/{client}")).status in (400, 404)


@matrix("what", ["", "x", "invite "])
async def test_an_act_that_does_not_exist_changes_nothing(app: App, what: str) -> None:
    visitor = await Visitor(app).system_admin()
    page = await act(visitor, f"{CLIENTS}/acme", act=what)
    assert page.status == 400
    assert await state_of(app, f"{CLIENTS}/acme") == {"suspended": False, "marked": False}


@matrix("email", ["", "x", "a b@acme.example", "author@acme.example"])
async def test_an_invitation_that_cannot_be_is_rejected(app: App, email: str) -> None:
    visitor = await Visitor(app).system_admin()
    path = f"{CLIENTS}/acme"
    page = await act(visitor, path, f"{path}?show=users", act="invite", email=email, firstName="Ada")
    assert page.status in (400, 409)
    assert len(page.problems) == 1
    assert page.form(path).fields["firstName"] == "Ada"
