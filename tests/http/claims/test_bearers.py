"""A Microsoft token without a client name belongs to a client with a verified claim on the directory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, Provider
from tests.interop.microsoft.people import OTHER_APP, POWER_APP
from tests.support.accounts import act_on, new_client
from tests.support.application import Reply
from tests.support.directory_claims import REASON, directory_counts, directory_released
from tests.support.matrix import matrix
from tests.support.people import users_of
from tests.support.rules import rule

pytestmark = [pytest.mark.needs("nsd", "unbound"), pytest.mark.one_store]

KINDS = matrix("kind", ["graph", "api"])


def naming(client: str) -> dict[str, str]:
    return {"X-Client-ID": client}


async def squatter(setup: MicrosoftSetup, **members: Any) -> Provider:
    """A client that claims contoso with other clients' apps, gives every caller every role, and verifies nothing."""
    entra = {"applications": [POWER_APP, OTHER_APP], **members.pop("entra", {})}
    return await setup.entra_of_ours(entra=entra, counts=False, defaultRoles=["Viewer"], **members)


def said(reply: Reply) -> tuple[int, str, str]:
    """The result for a token, from a response."""
    if reply.status == 200:
        return 200, reply.data["client"]["identifier"], ",".join(reply.data["roles"])
    return reply.status, reply.code, str(reply.json["error"]["message"])


async def verdicts(setup: MicrosoftSetup, client: str) -> list[tuple[int, str, str]]:
    """The results for new tokens of every kind, with and without the client's name."""
    found = []
    mint = setup.microsoft.mint
    for name in ({}, naming(client), naming("globex")):
        for token in (
            mint("graph"), mint("api"), mint("api-v1"), mint("graph", app=OTHER_APP), mint("graph", user="gina"),
            mint("graph", key_of="fabrikam"), mint("api", key_of="fabrikam"), mint("graph", "fabrikam", "mallory"),
            mint("api", claims={"scp": None}), mint("api", lifetime=-10), mint("graph", lifetime=-10), mint("id"),
        ):  # fmt: skip
            found.append(said(await setup.app.me(token, headers=name)))
    await setup.forgive()
    return found


@rule("MICROSOFT-DIRECTORY")
@pytest.mark.timeout(240)
async def test_twenty_squatters_change_no_verdict(setup: MicrosoftSetup) -> None:
    """Neither before nor after there are many of them, nor while some are suspended or turned off."""
    owner = await setup.entra_of_ours()
    before = await verdicts(setup, owner.client)
    assert {status for status, _, _ in before} == {200, 401, 403}
    squatters = [await squatter(setup) for _ in range(20)]
    assert await verdicts(setup, owner.client) == before
    await act_on(setup.app, f"{squatters[0].client}/suspend")
    await squatters[1].act("switch-off")
    await squatters[2].change(entra={"guests": True})
    assert await verdicts(setup, owner.client) == before
    for one in squatters:
        assert await users_of(setup.app, one.client) == {}
    await act_on(setup.app, f"{squatters[0].client}/restore")


@KINDS
async def test_without_a_verified_claim_microsoft_is_not_called(setup: MicrosoftSetup, kind: str) -> None:
    provider = await squatter(setup)
    await setup.refused(setup.microsoft.mint(kind))
    assert (setup.microsoft.count("graph"), setup.microsoft.count("keys")) == (0, 0)
    assert await users_of(setup.app, provider.client) == {}


@KINDS
async def test_only_the_named_client_is_checked_regardless_of_claims(setup: MicrosoftSetup, kind: str) -> None:
    owner, other = await setup.entra_of_ours(), await squatter(setup)
    token = setup.microsoft.mint(kind)
    assert (await setup.me(token, headers=naming(other.client)))["client"]["identifier"] == other.client
    assert (await setup.me(token))["client"]["identifier"] == owner.client
    assert (await setup.me(token, headers=naming(owner.client)))["client"]["identifier"] == owner.client


@rule("MICROSOFT-DIRECTORY")
@KINDS
async def test_a_token_needs_no_client_while_a_claim_is_verified(setup: MicrosoftSetup, kind: str) -> None:
    """The change applies to the next request, although results are cached."""
    provider = await squatter(setup)
    directory, token = setup.microsoft.named("contoso").id, setup.microsoft.mint(kind)
    for _ in range(2):
        await setup.refused(token)
        await directory_counts(setup.app, provider.client, directory)
        assert (await setup.me(token))["client"]["identifier"] == provider.client
        await setup.me(token, headers=naming(provider.client))
        await directory_released(setup.app, provider.client, directory)
        # The same person's cached result from another token doesn't allow access.
        await setup.me(token, headers=naming(provider.client))
    await setup.refused(token)
    await setup.me(token, headers=naming(provider.client))


@KINDS
async def test_a_grant_makes_cached_tokens_ambiguous_and_its_end_resolves_them(
    setup: MicrosoftSetup, kind: str
) -> None:
    owner, other = await setup.entra_of_ours(), await squatter(setup)
    token = setup.microsoft.mint(kind)
    await setup.me(token)
    await directory_counts(setup.app, other.client, setup.microsoft.named("contoso").id)
    await setup.refused(token)
    for one in (owner, other):
        assert (await setup.me(token, headers=naming(one.client)))["client"]["identifier"] == one.client
    path = f"/api/admin/directories/{setup.microsoft.named('contoso').id}/clients/{other.client}"
    assert (await setup.app.send("DELETE", path, token=await setup.app.admin_token())).status == 200
    assert (await setup.me(token))["client"]["identifier"] == owner.client


@KINDS
async def test_the_directory_passes_to_another_client_and_its_people_with_the_next_request(
    setup: MicrosoftSetup, kind: str
) -> None:
    first, second = await setup.entra_of_ours(), await squatter(setup)
    directory, token = setup.microsoft.named("contoso").id, setup.microsoft.mint(kind)
    assert (await setup.me(token))["client"]["identifier"] == first.client
    await directory_released(setup.app, first.client, directory)
    await directory_counts(setup.app, second.client, directory)
    assert (await setup.me(token))["client"]["identifier"] == second.client


@rule("MICROSOFT-AUDIENCE")
@KINDS
async def test_a_token_is_verified_before_its_client_is_chosen(setup: MicrosoftSetup, kind: str) -> None:
    """A forged token doesn't reveal whether it would match several clients, a suspended one, or none."""
    first, second = await setup.entra_of_ours(), await setup.entra_of_ours()
    forged = setup.microsoft.mint(kind, key_of="fabrikam")
    ambiguous = await setup.refused(setup.microsoft.mint(kind))
    refused = await setup.refused(forged)
    assert (refused.status, refused.code) == (ambiguous.status, ambiguous.code)
    await act_on(setup.app, f"{first.client}/suspend")
    await act_on(setup.app, f"{second.client}/suspend")
    for headers in ({}, naming(first.client), naming("globex")):
        await setup.refused(setup.microsoft.mint(kind, key_of="fabrikam"), headers=headers)
    await setup.refused(setup.microsoft.mint(kind), 403, "ACCOUNT_DISABLED", headers=naming(first.client))
    await setup.refused(setup.microsoft.mint(kind), 403, "FORBIDDEN", headers=naming("globex"))
    for one in (first, second):
        await act_on(setup.app, f"{one.client}/restore")


async def test_a_claim_ends_during_a_call_to_graph(setup: MicrosoftSetup) -> None:
    provider = await setup.entra()
    token = setup.microsoft.mint("graph")
    with setup.microsoft.gates.shut("graph"):
        asking = asyncio.create_task(setup.app.me(token))
        while setup.microsoft.count("graph") < 1 and not asking.done():
            await asyncio.sleep(0.01)
        await directory_released(setup.app, provider.client, setup.microsoft.named("contoso").id)
    reply = await asking
    assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


async def test_linking_needs_no_verified_claim(setup: MicrosoftSetup) -> None:
    """A caller who sends a token while signed in belongs to the session's client."""
    from tests.support.people import member

    provider = await squatter(setup)
    me = await member(setup.app, provider.client)
    body = {"provider": provider.name, "token": setup.microsoft.mint("graph")}
    assert (await setup.app.post("/api/client/auth/identities/token", body, token=me.token)).status == 200


async def test_a_verified_directory_next_to_another_clients(setup: MicrosoftSetup) -> None:
    """A claim on one directory isn't valid for another."""
    provider = await setup.entra()
    client = await new_client(setup.app)
    fabrikam = setup.microsoft.named("fabrikam").id
    path, body = f"/api/admin/clients/{client}/directories/{fabrikam}/vouch", {"reason": REASON}
    assert (await setup.app.post(path, body, token=await setup.app.admin_token())).status == 200
    await setup.entra(client, counts=False)
    assert (await setup.me(setup.microsoft.mint("graph")))["client"]["identifier"] == provider.client
