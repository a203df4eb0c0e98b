"""Email domains that a client claims: permissions, errors, displayed data, and what other clients can find out."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterator

import pytest

from tests.support.accounts import new_client, trail
from tests.support.application import App
from tests.support.background_jobs import sweep_clients
from tests.support.domain_claims import HELD, Claimed, asking, claimed, vouch_for
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.processes import free_port
from tests.support.rows import rows
from tests.support.single_sign_on import add_provider
from tests.support.team import Team

OIDC = {"issuer": "https://acme.okta.com", "clientId": "0oa1"}
OWN = "/api/client/domains"
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def nowhere(app: App) -> Iterator[None]:
    """No name server responds."""
    with asking(app, f"127.0.0.1:{free_port()}"):
        yield


@pytest.fixture
async def team(app: App) -> Team:
    return Team(app, await new_client(app))


async def token_of(team: Team, role: str) -> str:
    return (await team.member(role)).token


async def test_the_client_sees_its_claim(app: App, team: Team) -> None:
    domain = f"{team.client}.example"
    made = await app.post(OWN, {"domain": domain}, token=await token_of(team, "Admin"))
    assert made.status == 201
    value = made.data["record"].pop("value")
    assert re.fullmatch(r"manifest-domain-verification=[a-z2-7]{32}", value)
    by = made.data.pop("by")
    assert re.fullmatch(r"user:[0-9]+", by)
    assert made.data == {
        "domain": domain,
        "state": "pending",
        "proof": None,
        "record": {"name": f"_manifest-auth-challenge.{domain}", "type": "TXT"},
        "provedAt": None,
        "checkedAt": None,
        "failingSince": None,
        "lapsesAt": None,
        "contested": False,
    }
    again = await app.get(f"{OWN}/{domain}", token=await token_of(team, "User Admin"))
    assert (again.data["record"]["value"], again.data["by"]) == (value, by)
    check_refusal(await app.post(OWN, {"domain": domain}, token=await token_of(team, "Admin")), 409, "CONFLICT")


async def test_the_operator_has_the_same_routes(app: App, team: Team) -> None:
    claim = await claimed(app, team.client)
    own = (await app.get(f"{OWN}/{claim.domain}", token=await token_of(team, "Admin"))).data
    assert own == await claim.shown()
    assert own["by"].startswith("admin:")
    check_success(await claim.send("DELETE"))
    check_refusal(await app.get(f"{OWN}/{claim.domain}", token=await token_of(team, "Admin")), 404, "NOT_FOUND")
    assert await claim.events() == ["domain_claimed", "domain_released"]


@matrix("role", ["Author", "Approver", "Publisher", "Operator", "Viewer"])
async def test_only_settings_managers_can_claim_domains(app: App, team: Team, role: str) -> None:
    token, claim = await token_of(team, role), await claimed(app, team.client)
    for method, path, body in (
        ("POST", OWN, {"domain": "other.example"}),
        ("GET", OWN, None),
        ("GET", f"{OWN}/{claim.domain}", None),
        ("DELETE", f"{OWN}/{claim.domain}", None),
        ("POST", f"{OWN}/{claim.domain}/check", None),
    ):
        check_refusal(await app.send(method, path, body, token=token), 403, "FORBIDDEN")
    assert (await claim.shown())["checkedAt"] is None


async def test_a_claim_of_another_client_does_not_exist(app: App, team: Team) -> None:
    other = await claimed(app)
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/check")):
        reply = await app.send(method, f"{OWN}/{other.domain}{path}", token=await token_of(team, "Admin"))
        check_refusal(reply, 404, "NOT_FOUND")
    assert await other.state() == "pending"


async def test_users_of_a_client_cannot_approve(app: App, team: Team) -> None:
    claim = await claimed(app, team.client)
    body = {"reason": "because I am the Admin"}
    check_refusal(
        await app.post(f"{OWN}/{claim.domain}/vouch", body, token=await token_of(team, "Admin")), 404, "NOT_FOUND"
    )
    reply = await app.post(
        f"/api/admin/clients/{team.client}/domains/{claim.domain}/vouch", body, token=await token_of(team, "Admin")
    )
    check_refusal(reply, 401, "INVALID_TOKEN")
    new = {"name": "okta", "domains": [claim.domain], "oidc": OIDC, "vouch": True}
    check_refusal(await app.post("/api/client/providers", new, token=await token_of(team, "Admin")), 403, "FORBIDDEN")
    await app.post("/api/client/providers", {**new, "vouch": False}, token=await token_of(team, "Admin"))
    change = await app.send("PATCH", "/api/client/providers/okta", {"vouch": True}, token=await token_of(team, "Admin"))
    check_refusal(change, 403, "FORBIDDEN")
    assert await claim.state() == "pending"


SUFFIXES = ["co.uk", "github.io", "blogspot.com", "azurewebsites.net", "com.br", "compute.amazonaws.com"]
NO_DOMAINS = ["example", "Acme.example", "acme.example.", ".example", "a b.example", "*.acme.example", "-a.example", ""]


@matrix("domain", [*SUFFIXES, *NO_DOMAINS, "ümlaut.example", "1.2.3.4 ", f"{'a' * 64}.b"])
async def test_what_belongs_to_many_or_is_no_domain_is_rejected(app: App, team: Team, domain: str) -> None:
    error = check_refusal(
        await app.post(OWN, {"domain": domain}, token=await token_of(team, "Admin")), 400, "VALIDATION_ERROR"
    )
    assert error["details"][0]["field"] == "domain"
    if domain in SUFFIXES:
        assert "public suffix" in error["details"][0]["message"]
        new = {"name": "okta", "domains": [f"{team.client}.example", domain], "oidc": OIDC}
        reply = await app.post("/api/client/providers", new, token=await token_of(team, "Admin"))
        error = check_refusal(reply, 400, "VALIDATION_ERROR")
        assert error["details"][0]["field"] == "domains[1]"
        assert (await app.get(OWN, token=await token_of(team, "Admin"))).data["items"] == []


async def test_a_name_below_a_public_suffix_can_be_claimed(app: App) -> None:
    client = await new_client(app)
    for domain in (f"{client}.co.uk", f"{client}.github.io", f"mail.{client}.example"):
        assert await (await claimed(app, client, domain)).state() == "pending"


async def test_a_domain_does_not_cover_subdomains_or_parents(app: App) -> None:
    client = await new_client(app)
    await add_provider(app, client, name="okta", domains=[f"mail.{client}.example"], oidc=OIDC)
    for address in (f"a@{client}.example", f"a@eu.mail.{client}.example"):
        found = await app.post("/api/client/auth/discover", {"email": address})
        assert found.data["providers"] == []
    found = await app.post("/api/client/auth/discover", {"email": f"a@mail.{client}.example"})
    assert [way["name"] for way in found.data["providers"]] == ["okta"]


async def test_a_client_claims_a_hundred_domains_and_no_more(app: App, team: Team) -> None:
    token = await token_of(team, "Admin")
    for number in range(100):
        await claimed(app, team.client, f"d{number}.{team.client}.example")
    check_refusal(await app.post(OWN, {"domain": "one-more.example"}, token=token), 409, "CONFLICT")
    new = {"name": "okta", "domains": ["one-more.example"], "oidc": OIDC}
    check_refusal(await app.post("/api/client/providers", new, token=token), 409, "CONFLICT")
    assert (await app.get("/api/client/providers", token=token)).data["items"] == []
    assert (await app.send("DELETE", f"{OWN}/d7.{team.client}.example", token=token)).status == 200
    assert (await app.post("/api/client/providers", new, token=token)).status == 201
    # The list with its pages, search, and state filter.
    seen, after = [], ""
    while after is not None:
        page = (await app.get(f"{OWN}?first=30&after={after}", token=token)).data
        seen += [item["domain"] for item in page["items"]]
        after = page["nextCursor"]
    assert seen == sorted(seen)
    assert len(set(seen)) == len(seen) == 100
    found = (await app.get(f"{OWN}?q=D99&sort=ID_DESC", token=token)).data["items"]
    assert [item["domain"] for item in found] == [f"d99.{team.client}.example"]
    await vouch_for(app, team.client, f"d3.{team.client}.example")
    found = (await app.get(f"{OWN}?state=proved", token=token)).data["items"]
    assert [item["domain"] for item in found] == [f"d3.{team.client}.example"]


async def test_naming_a_domain_in_a_provider_claims_it_and_verifies_nothing(app: App, team: Team) -> None:
    one, two = (f"{name}.{team.client}.example" for name in ("one", "two"))
    new = {"name": "okta", "domains": [one, one], "oidc": OIDC}
    assert (await app.post("/api/client/providers", new, token=await token_of(team, "Admin"))).status == 201
    assert await Claimed(app, team.client, one).state() == "pending"
    value = await Claimed(app, team.client, one).value()
    path = f"/api/admin/clients/{team.client}/providers/okta"
    change = await app.send("PATCH", path, {"domains": [one, two]}, token=await app.admin_token())
    assert change.status == 200  # a save by a system admin doesn't approve anything either
    for domain in (one, two):
        assert await Claimed(app, team.client, domain).state() == "pending"
    assert await Claimed(app, team.client, one).value() == value
    check_success(await app.send("PATCH", path, {"domains": []}, token=await app.admin_token()))
    assert await Claimed(app, team.client, two).state() == "pending"  # a claim belongs to one client
    vouched = await app.send("PATCH", path, {"domains": [one], "vouch": True}, token=await app.admin_token())
    assert vouched.status == 200
    shown = await Claimed(app, team.client, one).shown()
    assert (shown["state"], shown["proof"]) == ("proved", "vouched")
    assert await Claimed(app, team.client, two).state() == "pending"


async def test_an_approval_records_reason_and_actor(app: App) -> None:
    claim = await claimed(app)
    for reason in ("too short", "x" * 501, "          ", "line\nbreak is one"):
        check_refusal(await claim.send("POST", "/vouch", {"reason": reason}), 400, "VALIDATION_ERROR")
    assert await claim.state() == "pending"
    check_success(await claim.send("POST", "/vouch", {"reason": "their contract, page 7"}))
    [vouched] = [e for e in await trail(app, claim.client) if e.event == "domain_vouched"]
    assert vouched.actor.startswith("admin:")
    assert vouched.subject == f"domain:{claim.domain}"
    assert vouched.members["reason"] == "their contract, page 7"


async def test_only_one_of_two_clients_can_be_approved(app: App) -> None:
    first = await claimed(app)
    second = await claimed(app, domain=first.domain)
    body = {"reason": "a test says so"}
    check_success(await first.send("POST", "/vouch", body))
    error = check_refusal(await second.send("POST", "/vouch", body), 409, "CONFLICT")
    assert error["message"] == HELD
    path = f"/api/admin/clients/{second.client}/providers"
    new = {"name": "okta", "domains": [first.domain], "oidc": OIDC, "vouch": True}
    check_refusal(await app.post(path, new, token=await app.admin_token()), 409, "CONFLICT")
    assert (await app.get(path, token=await app.admin_token())).data["items"] == []
    check_success(await first.send("DELETE"))
    check_success(await second.send("POST", "/vouch", body))
    assert await second.state() == "proved"


async def test_of_those_who_are_vouched_for_at_the_same_time_one_is_the_owner(app: App) -> None:
    claims = [await claimed(app)]
    claims += [await claimed(app, domain=claims[0].domain) for _ in range(4)]
    body = {"reason": "a test says so"}
    replies = await asyncio.gather(*(claim.send("POST", "/vouch", body) for claim in claims))
    assert sorted(reply.status for reply in replies) == [200, 409, 409, 409, 409]
    assert sorted([await claim.state() for claim in claims]) == ["pending"] * 4 + ["proved"]


async def test_the_record_is_checked_at_most_once_in_ten_seconds(app: App) -> None:
    claim = await claimed(app)
    assert (await claim.check())["state"] == "pending"
    app.clock.advance(9)
    reply = await claim.send("POST", "/check")
    check_refusal(reply, 429, "RATE_LIMITED")
    assert reply.headers["retry-after"] == "1"
    app.clock.advance(1)
    assert (await claim.send("POST", "/check")).status == 200


async def test_a_deleted_clients_domains_become_available(app: App) -> None:
    first = await claimed(app)
    await vouch_for(app, first.client, first.domain)
    second = await claimed(app, domain=first.domain)
    path = f"/api/admin/clients/{first.client}"
    check_success(await app.send("DELETE", path, token=await app.admin_token()))
    app.clock.advance(31 * 86400)
    await sweep_clients(app)
    assert await rows(app, "domain_owners", domain=first.domain) == []
    await vouch_for(app, second.client, second.domain)
