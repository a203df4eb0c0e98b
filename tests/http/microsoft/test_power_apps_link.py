"""A Power Apps caller and a user with a password become one user only after the link between them is verified.

An equal email address never links them.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, Provider
from tests.support.accounts import act_on, new_client, trail
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import Member, last_reason, member, set_roles, users_of
from tests.support.rules import rule
from tests.support.single_sign_on import RETURN_TO, Browser
from tests.support.user_management import NEW, reset

pytestmark = pytest.mark.one_store

ALICE = "alice@contoso.example"
IDENTITIES = "/api/client/auth/identities"
KINDS = matrix("kind", ["graph", "api", "api-v1"])


async def alice_of(setup: MicrosoftSetup, *roles: str) -> tuple[str, Member]:
    """A client, and its user Alice, with a password."""
    client = await new_client(setup.app)
    return client, await member(setup.app, client, *(roles or ("Author",)), email=ALICE)


def trusting(**entra: Any) -> dict[str, Any]:
    return {"entra": {"trustEmail": True, **entra}, "domains": ["contoso.example"]}


@rule("MICROSOFT-EMAIL")
@KINDS
async def test_an_address_alone_links_no_one(setup: MicrosoftSetup, kind: str) -> None:
    client, alice = await alice_of(setup)
    provider = await setup.entra_of_ours(client)
    says = {"email": ALICE, "email_verified": True, "verified_primary_email": [ALICE], "emails": [ALICE]}
    await setup.refused(setup.microsoft.mint(kind, claims=says), code="SSO_FAILED")
    assert "does not confirm it" in await last_reason(setup.app, client)
    # Neither owning the domain nor approval is enough alone.
    await provider.change(domains=["contoso.example"])
    await setup.refused(setup.microsoft.mint(kind, claims=says), code="SSO_FAILED")
    await provider.change(domains=[], entra={"trustEmail": True})
    await setup.refused(setup.microsoft.mint(kind, claims={**says, "xms_edov": True}), code="SSO_FAILED")
    await provider.change(domains=["other.example"])
    await setup.refused(setup.microsoft.mint(kind, claims={**says, "xms_edov": True}), code="SSO_FAILED")
    assert list(await users_of(setup.app, client)) == [alice.email]


@rule("MICROSOFT-EMAIL")
@KINDS
async def test_a_directory_that_is_trusted_for_its_domain(setup: MicrosoftSetup, kind: str) -> None:
    client, alice = await alice_of(setup, "Author")
    await setup.entra_of_ours(client, **trusting())
    me = await setup.me(setup.microsoft.mint(kind))
    assert me["user"]["id"] == alice.id
    assert me["roles"] == ["Author", "Operator"]  # assigned manually, and from the provider
    assert (await setup.app.me(alice.token)).status == 401  # the earlier owner of the account is signed out
    own = (await setup.app.me(await by_link(setup, client, alice.id))).data
    assert (own["user"], own["roles"]) == (me["user"], me["roles"])
    [event] = [event for event in await trail(setup.app, client) if event.event == "identity_linked"]
    assert (event.subject, event.members["how"]) == (f"user:{alice.id}", "domain")
    assert len(await users_of(setup.app, client)) == 1


@rule("MICROSOFT-EMAIL")
@matrix("verified", [True, 1, "1", "true"], ids=repr)
async def test_entra_says_that_the_domains_owner_is_verified(setup: MicrosoftSetup, verified: Any) -> None:
    client, alice = await alice_of(setup)
    await setup.entra_of_ours(client, domains=["contoso.example"])
    token = setup.microsoft.mint("api", claims={"email": ALICE, "xms_edov": verified})
    assert (await setup.me(token))["user"]["id"] == alice.id


@matrix("verified", [None, False, 0, "0", "false", "", "yes", [True], {}], ids=repr)
async def test_or_does_not(setup: MicrosoftSetup, verified: Any) -> None:
    client, _ = await alice_of(setup)
    await setup.entra_of_ours(client, domains=["contoso.example"])
    token = setup.microsoft.mint("api", claims={"email": ALICE, "xms_edov": verified})
    await setup.refused(token, code="SSO_FAILED")


@rule("MICROSOFT-EMAIL")
async def test_it_says_so_of_the_claim_email_and_of_no_other(setup: MicrosoftSetup) -> None:
    client, _ = await alice_of(setup)
    await setup.entra_of_ours(client, domains=["contoso.example"])
    for claims in ({}, {"email": "mallory@evil.example"}, {"email": [ALICE]}):
        told = {**claims, "xms_edov": True, "preferred_username": ALICE, "upn": ALICE, "unique_name": ALICE}
        await setup.refused(setup.microsoft.mint("api-v1", user="bob", claims=told), code="SSO_FAILED")
    # Graph's address comes first, but it isn't verified.
    setup.microsoft.profile = {"mail": ALICE}
    told = {"email": "bob@contoso.example", "xms_edov": True}
    await setup.refused(setup.microsoft.mint("graph", user="bob", claims=told), code="SSO_FAILED")


async def test_consent_at_the_same_directory_counts_for_the_callers_tokens(setup: MicrosoftSetup) -> None:
    """A user signed in by password links Dynamics; the same person in a Power App is then the same user."""
    client, alice = await alice_of(setup, "Author")
    dynamics = await setup.dynamics(client, defaultRoles=[])
    await setup.entra_of_ours(client)
    await setup.refused(setup.microsoft.mint("graph"), code="SSO_FAILED")
    browser = Browser(setup.app, {"session": alice.cookie})
    begun = await browser.send("POST", IDENTITIES, body={"provider": dynamics.name, "returnTo": RETURN_TO})
    ended = await browser.send("GET", setup.microsoft.visit(check_success(begun)["location"], "alice"))
    assert (ended.status, ended.headers["location"]) == (302, RETURN_TO)
    me = await setup.me(setup.microsoft.mint("graph"))
    assert me["user"]["id"] == alice.id
    assert me["roles"] == ["Author", "Operator"]
    assert len(await users_of(setup.app, client)) == 1
    linked = [event.members["how"] for event in await trail(setup.app, client) if event.event == "identity_linked"]
    assert linked == ["consent", "directory"]


async def test_an_invitation_that_was_accepted_there_counts_as_well(setup: MicrosoftSetup) -> None:
    client, alice = await alice_of(setup, "Author")
    dynamics = await setup.dynamics(client)
    await setup.entra_of_ours(client)
    admin = await setup.app.admin_token()
    path = f"/api/admin/clients/{client}/users/{alice.id}/invitation"
    invitation = check_success(await setup.app.post(path, token=admin), 201)["token"]
    _, reply = await dynamics.sign_in("alice", invitation=invitation)
    assert reply.status == 302, reply.text
    assert (await setup.me(setup.microsoft.mint("api")))["user"]["id"] == alice.id


async def test_what_a_user_admins_provider_says_of_an_admin_does_not_count_elsewhere(setup: MicrosoftSetup) -> None:
    """The link existed before a User Admin changed the provider; it gives no more access here than there."""
    client, alice = await alice_of(setup)
    user_admin, admin = await member(setup.app, client, "User Admin"), await member(setup.app, client, "Admin")
    dynamics = await setup.dynamics(client)
    path = f"/api/client/providers/{dynamics.name}"
    users = f"/api/client/users/{alice.id}"
    invitation = check_success(await setup.app.post(f"{users}/invitation", token=user_admin.token), 201)["token"]
    _, reply = await dynamics.sign_in("bob", invitation=invitation)
    assert reply.status == 302, reply.text
    [row] = check_success(await setup.app.get(f"{users}/identities", token=admin.token))["items"]
    check_success(await setup.app.post(f"{users}/identities/{row['id']}/confirm", token=admin.token))
    await set_roles(setup.app, client, alice.id, "Admin")
    changed = await setup.app.send("PATCH", path, {"defaultRoles": ["Operator"]}, token=user_admin.token)
    assert check_success(changed)["reachesAdmins"] is False
    await setup.entra_of_ours(client)
    await setup.refused(setup.microsoft.mint("api", user="bob"), code="SSO_FAILED")
    assert "Admin" in await last_reason(setup.app, client)
    check_success(await setup.app.send("PATCH", path, {}, token=admin.token))
    assert (await setup.me(setup.microsoft.mint("api", user="bob")))["user"]["id"] == alice.id


async def test_a_caller_who_came_first_is_who_signs_in_with_dynamics_later(setup: MicrosoftSetup) -> None:
    client = await new_client(setup.app)
    await setup.entra(client)
    dynamics = await setup.dynamics(client)
    me = await setup.me(setup.microsoft.mint("graph"))
    browser, _ = await dynamics.sign_in("alice")
    seen = check_success(await browser.me())
    assert seen["user"]["id"] == me["user"]["id"]
    assert seen["roles"] == ["Operator", "Viewer"]
    assert (await setup.me(setup.microsoft.mint("graph")))["roles"] == seen["roles"]


async def test_no_one_of_another_directory_is_found_by_the_same_number(setup: MicrosoftSetup) -> None:
    """``oid`` is unique only within a directory, so another directory can use it for another person."""
    client = await new_client(setup.app)
    await setup.entra(client)
    fabrikam = setup.microsoft.named("fabrikam")
    await setup.entra(client, entra={"directory": fabrikam.id})
    me = await setup.me(setup.microsoft.mint("graph"))
    oid = setup.microsoft.named("contoso").people["alice"].oid
    mallory = fabrikam.people["mallory"]
    fabrikam.people["mallory"] = mallory._replace(oid=oid, mail="mallory@fabrikam.example")
    try:
        other = await setup.me(setup.microsoft.mint("graph", "fabrikam", "mallory"))
    finally:
        fabrikam.people["mallory"] = mallory
    assert other["user"]["id"] != me["user"]["id"]


async def test_one_set_of_roles(setup: MicrosoftSetup) -> None:
    client, alice = await alice_of(setup)
    await setup.entra_of_ours(client, **trusting())
    tokens = [setup.microsoft.mint("graph"), setup.microsoft.mint("api")]
    for token in tokens:
        await setup.me(token)
    tokens.append(await by_link(setup, client, alice.id))
    await set_roles(setup.app, client, alice.id, "Publisher")
    for token in tokens:
        assert (await setup.me(token))["roles"] == ["Publisher"]


async def test_an_account_whose_user_is_deactivated_is_not_linked_around(setup: MicrosoftSetup) -> None:
    client, alice = await alice_of(setup)
    await setup.entra_of_ours(client, **trusting())
    await act_on(setup.app, f"{client}/users/{alice.id}/deactivate")
    await setup.refused(setup.microsoft.mint("graph"), 403, "ACCOUNT_DISABLED")


async def by_link(setup: MicrosoftSetup, client: str, user_id: int) -> str:
    """An access token of a user who chose a password through a one-time link."""
    path = f"/api/admin/clients/{client}/users/{user_id}/password-reset"
    link = (await setup.app.post(path, token=await setup.app.admin_token())).data["link"]
    return str((await reset(setup.app, link.partition("#")[2])).data["token"])


async def unlink_by_admin(setup: MicrosoftSetup, provider: Provider, user_id: int) -> None:
    base = f"/api/admin/clients/{provider.client}/users/{user_id}/identities"
    token = await setup.app.admin_token()
    [identity] = (await setup.app.get(base, token=token)).data["items"]
    check_success(await setup.app.send("DELETE", f"{base}/{identity['id']}", token=token))


async def test_a_link_that_is_cut_ends_with_the_next_request(setup: MicrosoftSetup) -> None:
    """An administrator or the user unlinks it; both also end cached access."""
    client, alice = await alice_of(setup)
    provider = await setup.entra_of_ours(client, **trusting())
    token = setup.microsoft.mint("api")
    await setup.me(token)
    await provider.change(domains=[])
    await setup.me(token)  # linked permanently
    await unlink_by_admin(setup, provider, alice.id)
    await setup.refused(token, code="SSO_FAILED")
    await provider.change(domains=["contoso.example"], defaultRoles=[])
    await setup.me(token)
    [own] = check_success(await setup.app.get(IDENTITIES, token=token))["items"]
    await provider.change(domains=[])
    await setup.me(token)
    password = await by_link(setup, client, alice.id)
    check_refusal(
        await setup.app.send("DELETE", f"{IDENTITIES}/{own['id']}", token=password), 403, "REAUTHENTICATION_REQUIRED"
    )
    check_success(await setup.app.post("/api/client/auth/reauthenticate", {"password": NEW}, token=password))
    check_success(await setup.app.send("DELETE", f"{IDENTITIES}/{own['id']}", token=password))
    await setup.refused(token, code="SSO_FAILED")
    assert (await setup.app.me(password)).status == 200


async def test_an_account_that_was_made_through_it_keeps_its_link(setup: MicrosoftSetup) -> None:
    await setup.entra()
    token = setup.microsoft.mint("graph")
    await setup.me(token)
    [own] = check_success(await setup.app.get(IDENTITIES, token=token))["items"]
    assert own["kind"] == "entra"
    assert own["subject"] == ":".join(
        (setup.microsoft.named("contoso").id, setup.microsoft.named("contoso").people["alice"].oid)
    )
    refused = await setup.app.send("DELETE", f"{IDENTITIES}/{own['id']}", token=token)
    check_refusal(refused, 403, "REAUTHENTICATION_REQUIRED")
    await setup.me(token)
