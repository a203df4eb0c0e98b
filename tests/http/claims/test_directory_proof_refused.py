"""Failed verifications of a Microsoft directory: other roles, directories, tokens, browsers, or times."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.microsoft.directory_prover import CALLBACK, GLOBAL, OPERATORS, PRIVILEGED, READER, Prover
from tests.interop.microsoft.people import OURS
from tests.support.accounts import act_on
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.people import member, set_roles
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, check_no_one_got_in

pytestmark = [pytest.mark.needs("nsd", "unbound"), pytest.mark.one_store]


async def test_without_roles_it_says_what_to_set(prover: Prover) -> None:
    for claims in ({"wids": None}, {"wids": "x"}, {"wids": {GLOBAL: True}}):
        prover.setup.microsoft.id_claims = claims
        await prover.refused("Set groupMembershipClaims to DirectoryRole or All in the application's manifest")
    assert (await prover.last())["why"] == "wids: missing"


@rule("MICROSOFT-DIRECTORY")
async def test_with_other_roles_it_says_who_must_sign_in(prover: Prover) -> None:
    for wids in ([], [READER], ["b79fbf4d-3ef9-4689-8143-76b194e85509"], [7, None, [GLOBAL]], ["Global Administrator"]):
        prover.setup.microsoft.id_claims = {"wids": wids}
        await prover.refused("must be a Global Administrator, a Privileged Role Administrator, or an Application")
    last = await prover.last()
    assert (last["event"], last["why"]) == ("sign_in_refused", "wids: none of the three roles")


@matrix("tid", ["fafafafa-2222-4222-8222-222222222222", None, "contoso.example"])
async def test_an_administrator_of_another_directory_verifies_nothing(prover: Prover, tid: str | None) -> None:
    prover.setup.microsoft.id_claims = {"wids": [GLOBAL], "tid": tid}
    await prover.refused("a different directory")


async def test_an_id_token_of_another_directory_or_key_verifies_nothing(prover: Prover) -> None:
    microsoft = prover.setup.microsoft
    fabrikam = microsoft.named("fabrikam").id
    for claims in (
        {"iss": f"https://login.microsoftonline.com/{fabrikam}/v2.0", "tid": fabrikam},
        {"aud": OPERATORS},
        {"nonce": "another"},
        {"oid": None},
        {"exp": 1},
    ):
        microsoft.id_claims = {"wids": [GLOBAL], **claims}
        await prover.refused()
    microsoft.id_claims, microsoft.id_key = {"wids": [GLOBAL]}, "fabrikam"
    await prover.refused()


def access_token(prover: Prover, **claims: Any) -> dict[str, Any]:
    """The token endpoint's response, with an access token for the server's own application."""
    usual = {"wids": [PRIVILEGED], **claims}
    return {"access_token": prover.setup.microsoft.mint("api", app=OURS, claims=usual)}


async def test_the_roles_can_stand_in_the_access_token_alone(prover: Prover) -> None:
    microsoft = prover.setup.microsoft
    microsoft.id_claims, microsoft.token = {}, access_token(prover)
    assert (await prover.prove()).status == 302
    assert (await prover.claim())["proof"] == "sign-in"
    assert (await prover.last())["role"] == "Privileged Role Administrator"


async def test_an_access_token_that_is_not_ours_or_not_theirs_says_nothing(prover: Prover) -> None:
    microsoft = prover.setup.microsoft
    microsoft.id_claims = {}
    people = microsoft.named("contoso").people
    forged = microsoft.mint("api", app=OURS, claims={"wids": [GLOBAL]}, key_of="fabrikam")
    for given in (
        {"access_token": microsoft.mint("graph", app=OURS, claims={"wids": [GLOBAL]})},
        {"access_token": forged},
        {"access_token": microsoft.mint("api", "fabrikam", "mallory", app=OURS, claims={"wids": [GLOBAL]})},
        access_token(prover, oid=people["bob"].oid),
        access_token(prover, azp=OPERATORS),
        access_token(prover, exp=1),
        {"access_token": "opaque"},
    ):
        microsoft.token = given
        await prover.refused("groupMembershipClaims")


@rule("MICROSOFT-DIRECTORY")
async def test_consent_alone_verifies_nothing(prover: Prover) -> None:
    """Microsoft's consent page redirects with parameters that anyone can write."""
    for query in (
        f"admin_consent=True&tenant={prover.directory}",
        f"admin_consent=True&tenant={prover.directory}&state=x",
        f"code=x&tenant={prover.directory}&state=",
    ):
        check_no_one_got_in(await prover.browser.send("GET", f"{CALLBACK}?{query}"))
    check_success(await prover.begin())
    state = (await prover.asked())["state"]
    address = f"{CALLBACK}?state={state}&admin_consent=True&tenant={prover.directory}"
    check_no_one_got_in(await prover.browser.send("GET", address))
    assert (await prover.claim())["state"] == "pending"


@rule("MICROSOFT-DIRECTORY")
async def test_an_administrator_who_was_sent_the_address_verifies_nothing(prover: Prover) -> None:
    """Their browser doesn't have our cookie."""
    check_no_one_got_in(await prover.prove(browser=Browser(prover.app)))
    assert (await prover.claim())["state"] == "pending"


async def test_a_cookie_of_another_browser_verifies_nothing(prover: Prover) -> None:
    """Anyone who saw the URL knows the name of the cookie."""
    started = check_success(await prover.begin())
    outsider = Browser(prover.app)
    [name] = [name for name in prover.browser.cookies if name.startswith("directory-")]
    outsider.cookies[name] = "A" * 32
    address = prover.setup.microsoft.visit(started["location"])
    check_no_one_got_in(await outsider.send("GET", address))
    assert (await prover.claim())["state"] == "pending"
    assert (await prover.browser.send("GET", address)).status == 302  # nothing was used up


async def test_a_response_works_once(prover: Prover) -> None:
    started = check_success(await prover.begin())
    back = prover.setup.microsoft.visit(started["location"])
    cookies = dict(prover.browser.cookies)
    assert (await prover.browser.send("GET", back)).status == 302
    prover.browser.cookies = cookies
    check_no_one_got_in(await prover.browser.send("GET", back))


async def test_an_answer_that_comes_too_late(prover: Prover) -> None:
    started = check_success(await prover.begin())
    back = prover.setup.microsoft.visit(started["location"])
    prover.app.clock.advance(600)
    check_no_one_got_in(await prover.browser.send("GET", back))
    assert (await prover.claim())["state"] == "pending"


async def test_declining_verifies_nothing(prover: Prover) -> None:
    prover.setup.microsoft.refuses = "access_denied"
    await prover.refused()


async def test_the_answer_of_another_flow_verifies_nothing(prover: Prover) -> None:
    """A code issued for another redirect URI isn't redeemed, and a sign-in doesn't verify a directory."""
    started = check_success(await prover.begin())
    ours = await prover.asked()
    elsewhere = started["location"].replace("directory%2Fcallback", "ms-dynamics%2Fcallback")
    assert elsewhere != started["location"]
    code = prover.setup.microsoft.visit(elsewhere).partition("code=")[2].partition("&")[0]
    check_no_one_got_in(await prover.browser.send("GET", f"{CALLBACK}?state={ours['state']}&code={code}"))
    assert (await prover.claim())["state"] == "pending"


@matrix("what", ["signed out", "Viewer by now", "deactivated", "suspended", "released"])
async def test_changes_during_the_verification(prover: Prover, what: str) -> None:
    started = check_success(await prover.begin())
    app, me = prover.app, prover.admin
    if what == "signed out":
        await app.post("/api/client/auth/sign-out", token=me.token)
    elif what == "Viewer by now":
        await member(app, prover.client, "Admin")
        await set_roles(app, prover.client, me.id, "Viewer")
    elif what == "deactivated":
        await member(app, prover.client, "Admin")
        await act_on(app, f"{prover.client}/users/{me.id}/deactivate")
    elif what == "suspended":
        await act_on(app, f"{prover.client}/suspend")
    else:
        path = f"/api/client/directories/{prover.directory}"
        check_success(await app.send("DELETE", path, token=me.token))
    check_no_one_got_in(await prover.browser.send("GET", prover.setup.microsoft.visit(started["location"])))
    path = f"/api/admin/clients/{prover.client}/directories/{prover.directory}"
    found = await app.get(path, token=await app.admin_token())
    assert found.status == 404 if what == "released" else found.data["state"] == "pending"
