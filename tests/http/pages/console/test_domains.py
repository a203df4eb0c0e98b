"""Claims on domains and directories are created, checked, and released, and show their status."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.domain_claims import Claimed, claimed, proved, release_all, vouch_for
from tests.support.matrix import matrix
from tests.support.name_servers import NameServer, txt
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

PATH = "/console/domains"
DIRECTORY = "aaaabbbb-0000-cccc-1111-dddd2222eeee"


@pytest.fixture(autouse=True)
async def nothing_claimed(app: App) -> None:
    await release_all(app, "acme")


async def admin(app: App) -> Visitor:
    return await Visitor(app).signed_in("admin@acme.example")


async def act(visitor: Visitor, name: str, **fields: str) -> Page:
    token = (await visitor.get(PATH)).form(PATH, act="claim").fields["form"]
    return await visitor.post(PATH, {"form": token, "act": name, **fields})


async def test_nothing_is_claimed_yet(app: App) -> None:
    page = await (await admin(app)).get(PATH)
    assert "No domains yet" in page.text
    assert "No directories yet" in page.text


@pytest.mark.usefixtures("asked", "no_own_checks")
async def test_claimed_looked_at_and_released(app: App, zone: NameServer) -> None:
    visitor = await admin(app)
    page = await visitor.submit(await visitor.get(PATH), PATH, {"act": "claim"}, domain=" Acme-Claims.Example ")
    page = await visitor.follow(page)
    assert "Domain added" in page.text
    claim = Claimed(app, "acme", "acme-claims.example")
    assert [each.text for each in page.tree.xpath("//code")] == [claim.name, await claim.value()]
    assert "Not verified" in page.text
    assert "its users aren't sent to your sign-in page" in page.text
    page = await act(visitor, "check", domain=claim.domain)
    assert page.status == 200
    assert "acme-claims.example isn't verified yet" in page.text
    page = await act(visitor, "check", domain=claim.domain)
    assert page.status == 429
    assert "retry-after" in page.reply.headers
    app.clock.advance(11)
    zone.publish(txt(claim.name, await claim.value()))
    page = await visitor.follow(await act(visitor, "check", domain=claim.domain))
    assert "Domain verified" in page.text
    page = await visitor.follow(await act(visitor, "release", domain=claim.domain))
    assert "Domain released" in page.text
    assert "No domains yet" in page.text


@pytest.mark.usefixtures("asked", "no_own_checks")
async def test_contested_says_so_and_not_by_whom(app: App, zone: NameServer) -> None:
    other = await proved(app, zone)
    mine = await claimed(app, "acme", other.domain)
    zone.publish(txt(other.name, await other.value()), txt(mine.name, await mine.value()))
    visitor = await admin(app)
    page = await act(visitor, "check", domain=mine.domain)
    assert "Another client of this installation has this domain" in page.text
    page = await visitor.get(PATH)
    assert "Contested" in page.text
    assert "or their record is missing for two weeks" in page.text
    assert other.client not in page.text.replace(other.domain, "")
    await other.send("DELETE")


async def test_one_that_is_vouched_for_has_no_record_to_look_at(app: App) -> None:
    await vouch_for(app, "acme", "vouched.example")
    page = await (await admin(app)).get(PATH)
    assert "approved this domain" in page.text
    assert not [form for form in page.forms() if form.fields.get("act") == "check"]


@matrix(
    ("domain", "problem"),
    [
        ("", "Must be a domain in lowercase, for example acme.example"),
        ("no domain", "Must be a domain in lowercase, for example acme.example"),
        ("co.uk", "This is a public suffix, and the names below it belong to others"),
        ("<b>.example", "Must be a domain in lowercase, for example acme.example"),
        ("1.2.3.4", "Must be a domain in lowercase, for example acme.example"),
    ],
)
async def test_an_invalid_domain(app: App, domain: str, problem: str) -> None:
    visitor = await admin(app)
    page = await visitor.submit(await visitor.get(PATH), PATH, {"act": "claim"}, domain=domain)
    assert (page.status, page.problems) == (400, [problem])
    assert page.form(PATH, act="claim").fields["domain"] == domain
    assert page.tree.xpath("//*[@id='domain-error']")


async def test_twice_is_a_conflict(app: App) -> None:
    visitor = await admin(app)
    await act(visitor, "claim", domain="twice.example")
    page = await act(visitor, "claim", domain="twice.example")
    assert (page.status, page.problems) == (409, ["This domain is already claimed"])


@matrix("name", ["check", "release"])
async def test_a_domain_of_another_client_is_not_there(app: App, name: str) -> None:
    other = await claimed(app, await new_client(app))
    page = await act(await admin(app), name, domain=other.domain)
    assert page.status == 404
    assert await other.state() == "pending"


async def test_a_directory_is_claimed_and_released(app: App) -> None:
    visitor = await admin(app)
    page = await visitor.submit(await visitor.get(PATH), PATH, {"act": "claim-directory"}, directory=DIRECTORY.upper())
    page = await visitor.follow(page)
    assert DIRECTORY in page.text
    assert "requests with a Microsoft token must name your client" in page.text
    page = await act(visitor, "claim-directory", directory=DIRECTORY)
    assert (page.status, page.problems) == (409, ["The client already claims this directory"])
    page = await act(visitor, "prove", directory=DIRECTORY)
    assert page.status == 409
    assert page.problems[0].startswith("There is no application to sign in to")
    page = await visitor.follow(await act(visitor, "release-directory", directory=DIRECTORY))
    assert "Directory released" in page.text
    assert (await act(visitor, "release-directory", directory=DIRECTORY)).status == 404


@matrix("directory", ["", "x", "9188040d-6c67-4c5b-b112-36a304b66dad"])
async def test_an_invalid_directory(app: App, directory: str) -> None:
    visitor = await admin(app)
    page = await visitor.submit(await visitor.get(PATH), PATH, {"act": "claim-directory"}, directory=directory)
    assert page.status == 400
    assert page.tree.xpath("//*[@id='directory-error']")
    assert page.form(PATH, act="claim-directory").fields["directory"] == directory


@matrix("name", ["", "vouch", "Claim"])
async def test_an_act_that_there_is_not(app: App, name: str) -> None:
    assert (await act(await admin(app), name, domain="x.example")).status == 400
