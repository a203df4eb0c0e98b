"""A client verifies a Microsoft directory when one of its administrators signs in and a signed claim shows the role."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator

import pytest

from tests.interop.microsoft.directory_prover import CALLBACK, GLOBAL, OPERATORS, READER, ROLES, Prover, prover_of
from tests.interop.microsoft.login import Registration
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, setup_on
from tests.interop.microsoft.people import OUR_SECRET, OURS
from tests.support.directory_claims import directory_counts
from tests.support.envelope import check_headers, check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.single_sign_on import RETURN_TO, check_no_one_got_in, impatient, query_of

pytestmark = [pytest.mark.needs("nsd", "unbound"), pytest.mark.one_store]


async def test_the_browser_is_sent_to_the_directorys_own_authority(prover: Prover) -> None:
    reply = await prover.begin()
    check_headers(reply)
    data = check_success(reply)
    assert (data["client"], data["clientName"]) == (prover.client, prover.client)
    assert (data["directory"], data["application"]) == (prover.directory, OURS)
    authority = f"{prover.setup.microsoft.base}/{prover.directory}/oauth2/v2.0/authorize"
    assert data["location"].partition("?")[0] == authority
    reply.headers["location"] = data["location"]
    query = query_of(reply)
    assert (query["response_type"], query["client_id"], query["redirect_uri"]) == ("code", OURS, CALLBACK)
    assert (query["scope"], query["prompt"], query["code_challenge_method"]) == (
        "openid profile", "select_account", "S256",
    )  # fmt: skip
    assert all(len(query[name]) >= 22 for name in ("state", "nonce", "code_challenge"))
    [line] = reply.headers.get_list("set-cookie")
    assert line.startswith("directory-")
    assert {"Max-Age=600", "Path=/api/client/auth", "HttpOnly", "SameSite=Lax"} <= set(line.split("; "))


@rule("MICROSOFT-DIRECTORY")
@matrix("wid", ROLES)
async def test_each_of_three_roles_proves_it(prover: Prover, wid: str) -> None:
    prover.setup.microsoft.id_claims = {"wids": [READER, wid.upper()]}
    ended = await prover.prove(returnTo=RETURN_TO)
    assert (ended.status, ended.headers["location"]) == (302, RETURN_TO)
    assert prover.browser.cookies == {}  # it doesn't sign anyone in
    claim = await prover.claim()
    oid = prover.setup.microsoft.named("contoso").people["alice"].oid
    assert (claim["state"], claim["proof"], claim["provedBy"]) == ("proved", "sign-in", oid)
    assert await prover.last() == {
        "event": "directory_proved", "actor": f"user:{prover.admin.id}", "subject": f"directory:{prover.directory}",
        "tid": prover.directory, "oid": oid, "role": ROLES[wid],
    }  # fmt: skip
    [redeemed] = [asked for asked in prover.setup.microsoft.asked if asked.endpoint == "token"]
    assert redeemed.path == f"/{prover.directory}/oauth2/v2.0/token"
    assert (redeemed.form["redirect_uri"], redeemed.form["client_secret"]) == (CALLBACK, OUR_SECRET)
    assert prover.setup.microsoft.count("graph") == 0


async def test_a_verified_directory_applies_to_bearer_tokens(prover: Prover) -> None:
    setup = prover.setup
    await setup.entra(prover.client, counts=False)
    token = setup.microsoft.mint("graph")
    await setup.refused(token)
    assert (await prover.prove()).status == 302
    assert (await setup.me(token))["client"]["identifier"] == prover.client


async def test_a_second_client_learns_that_the_directory_is_taken(prover: Prover) -> None:
    setup = prover.setup
    other = await prover_of(setup)
    assert (await prover.prove()).status == 302
    await other.refused("Another client of this installation has this directory", status=409, code="CONFLICT")
    assert (await prover.claim())["state"] == "proved"
    assert prover.client not in (await other.last())["why"]


@rule("MICROSOFT-DIRECTORY")
async def test_one_of_two_concurrent_verifications_wins(prover: Prover) -> None:
    setup = prover.setup
    provers = [prover, *[await prover_of(setup) for _ in range(3)]]
    setup.microsoft.delay = {"token": 0.2}
    replies = await asyncio.gather(*[one.prove() for one in provers])
    assert sorted(reply.status for reply in replies) == [302, 409, 409, 409]
    states = [(await one.claim())["state"] for one in provers]
    assert sorted(states) == ["pending", "pending", "pending", "proved"]


async def test_it_can_be_proved_again_and_after_it_was_vouched_for(prover: Prover) -> None:
    await directory_counts(prover.app, prover.client, prover.directory)
    assert (await prover.claim())["proof"] == "vouched"
    for user in ("alice", "bob"):
        assert (await prover.prove(user)).status == 302
        assert (await prover.claim())["provedBy"] == prover.setup.microsoft.named("contoso").people[user].oid


async def test_a_return_address_is_a_listed_one(prover: Prover) -> None:
    for address in ("https://evil.example/", f"{RETURN_TO}x"):
        check_refusal(await prover.begin(returnTo=address), 400, "VALIDATION_ERROR")
    assert (await prover.prove()).headers["location"] == "/account"


async def test_a_request_from_another_site_begins_nothing(prover: Prover) -> None:
    """It has the cross-site checks of every request with the session cookie."""
    path, headers = f"/api/client/directories/{prover.directory}/prove", {"Origin": "https://evil.example"}
    reply = await prover.app.send("POST", path, {}, cookie=prover.admin.cookie, headers=headers)
    check_refusal(reply, 403, "FORBIDDEN")
    assert "set-cookie" not in reply.headers
    assert check_success(await prover.app.send("POST", path, {}, cookie=prover.admin.cookie))["client"] == prover.client


async def test_without_an_application_it_says_what_is_missing(setup: MicrosoftSetup) -> None:
    prover = await prover_of(setup, secret=None)
    error = check_refusal(await prover.begin(), 409, "CONFLICT")
    assert "MANIFEST_MICROSOFT_APP_ID" in error["message"]
    check_refusal(await (await other_directory(prover)).begin(), 409, "CONFLICT")


async def other_directory(prover: Prover) -> Prover:
    """Make the client claim fabrikam too, without a provider for it."""
    which = prover.setup.microsoft.named("fabrikam").id
    await prover.app.post("/api/client/directories", {"directory": which}, token=prover.admin.token)

    class Other(Prover):
        directory = which

    return Other(prover.setup, prover.client, prover.admin, prover.browser)


async def test_microsoft_is_unavailable(prover: Prover) -> None:
    started = check_success(await prover.begin())
    back = prover.setup.microsoft.visit(started["location"])
    with prover.setup.microsoft.gates.shut("token"), impatient(prover.app):
        check_refusal(await prover.browser.send("GET", back), 502, "PROVIDER_UNAVAILABLE")
    assert (await prover.claim())["state"] == "pending"


async def test_a_provider_that_is_turned_off_lends_no_application(prover: Prover) -> None:
    started = check_success(await prover.begin())
    await prover.setup.providers[-1].act("switch-off")
    check_no_one_got_in(await prover.browser.send("GET", prover.setup.microsoft.visit(started["location"])))
    check_refusal(await prover.begin(), 409, "CONFLICT")


@pytest.fixture
async def hosted(database_url: str) -> AsyncIterator[MicrosoftSetup]:
    """An installation with its operator's own application."""
    app = {"MANIFEST_MICROSOFT_APP_ID": OPERATORS, "MANIFEST_MICROSOFT_APP_SECRET": "operators-secret"}
    async with setup_on(database_url, **app) as setup:
        setup.microsoft.login.registrations[OPERATORS] = Registration("operators-secret", [CALLBACK])
        setup.microsoft.id_claims = {"wids": [GLOBAL], "aud": OPERATORS}
        yield setup
        await setup.clear()


async def test_the_operators_application_serves_all_clients(hosted: MicrosoftSetup) -> None:
    prover = await prover_of(hosted, secret=None)
    assert check_success(await prover.begin())["application"] == OPERATORS
    assert (await prover.prove()).status == 302
    assert (await prover.claim())["proof"] == "sign-in"
    [redeemed] = [asked for asked in hosted.microsoft.asked if asked.endpoint == "token"]
    assert (redeemed.form["client_id"], redeemed.form["client_secret"]) == (OPERATORS, "operators-secret")


async def test_the_verifier_matches_the_challenge(prover: Prover) -> None:
    challenge = (await prover.asked())["code_challenge"]
    started = check_success(await prover.begin())
    await prover.browser.send("GET", prover.setup.microsoft.visit(started["location"]))
    [redeemed] = [asked for asked in prover.setup.microsoft.asked if asked.endpoint == "token"]
    digest = hashlib.sha256(redeemed.form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() in started["location"]
    assert challenge not in started["location"]
