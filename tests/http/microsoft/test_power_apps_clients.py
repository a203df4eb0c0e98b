"""The client that a Power Apps caller belongs to, and the isolation between clients."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.microsoft.microsoft_setup import GRAPHQL, MicrosoftSetup, Provider, setup_on
from tests.interop.microsoft.people import OTHER_APP, POWER_APP
from tests.support.accounts import act_on, new_client, trail
from tests.support.directory_claims import directory_counts
from tests.support.envelope import check_refusal, check_success
from tests.support.people import member, users_of
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

KINDS = pytest.mark.parametrize("kind", ["graph", "api"])


def naming(client: str | int) -> dict[str, str]:
    return {"X-Client-ID": str(client)}


@KINDS
async def test_the_client_that_is_named_must_be_the_tokens(setup: MicrosoftSetup, kind: str) -> None:
    provider = await setup.entra_of_ours()
    token = setup.microsoft.mint(kind)
    number = (await setup.me(token))["client"]["id"]
    for named in (provider.client, number):
        assert (await setup.me(token, headers=naming(named)))["client"]["identifier"] == provider.client
    for other in ("acme", "1", "no-such-client", "0", f"0{number}", provider.client.upper(), "", "%", "x" * 300):
        await setup.refused(token, 403, "FORBIDDEN", headers=naming(other))
    # The same applies to a token that hasn't been used yet.
    for other in ("acme", "no-such-client"):
        await setup.refused(setup.microsoft.mint(kind), 403, "FORBIDDEN", headers=naming(other))


@KINDS
async def test_a_caller_who_names_another_client_leaves_no_trace(setup: MicrosoftSetup, kind: str) -> None:
    """Both clients reject it, without creating a user or recording a sign-in."""
    provider = await setup.entra_of_ours()
    for named in ("acme", "no-such-client"):
        await setup.refused(setup.microsoft.mint(kind), 403, "FORBIDDEN", headers=naming(named))
    assert await users_of(setup.app, provider.client) == {}
    events = {event.event for event in await trail(setup.app, provider.client)}
    assert not events & {"user_created", "identity_linked", "signed_in"}


@KINDS
async def test_a_client_that_is_named_learns_nothing_from_a_token_that_is_no_good(
    setup: MicrosoftSetup, kind: str
) -> None:
    """The token is verified before the response reveals anything about clients."""
    provider = await setup.entra_of_ours()
    forged = setup.microsoft.mint(kind, key_of="fabrikam")
    for named in (provider.client, "acme", "no-such-client"):
        await setup.refused(forged, headers=naming(named))


async def test_a_second_header_is_rejected(setup: MicrosoftSetup) -> None:
    provider = await setup.entra()
    for twice in (
        [("X-Client-ID", provider.client)] * 2,
        [("Authorization", f"Bearer {setup.microsoft.mint('graph')}")],
    ):
        answer = await setup.app.get("/api/client/auth/me", token=setup.microsoft.mint("graph"), headers=twice)
        check_refusal(answer, 400, "VALIDATION_ERROR")


@KINDS
async def test_two_clients_that_accept_the_same_token(setup: MicrosoftSetup, kind: str) -> None:
    """Two clients can have the same directory, and then the request must name the client."""
    first, second = await setup.entra_of_ours(), await setup.entra_of_ours(defaultRoles=["Viewer"])
    token = setup.microsoft.mint(kind)
    await setup.refused(token)  # the client is ambiguous
    seen: dict[str, Any] = {}
    for _ in range(2):  # also from the cache
        for provider, roles in ((first, ["Operator"]), (second, ["Viewer"])):
            me = await setup.me(token, headers=naming(provider.client))
            assert (me["client"]["identifier"], me["roles"]) == (provider.client, roles)
            seen.setdefault(provider.client, me)
    assert seen[first.client]["user"]["id"] != seen[second.client]["user"]["id"]
    assert seen[first.client]["session"]["id"] != seen[second.client]["session"]["id"]
    await setup.refused(token, 403, "FORBIDDEN", headers=naming("acme"))
    await setup.refused(token)  # cached results of both don't help a caller who names no client


@KINDS
async def test_a_token_that_ends_soon_is_of_two_clients_as_well(setup: MicrosoftSetup, kind: str) -> None:
    """Both cached results expire with the token, at the same moment, so only the client distinguishes them."""
    first, second = await setup.entra_of_ours(), await setup.entra_of_ours()
    token = setup.microsoft.mint(kind, lifetime=60)
    for _ in range(2):
        for provider in (first, second):
            me = await setup.me(token, headers=naming(provider.client))
            assert me["client"]["identifier"] == provider.client


async def test_of_two_clients_the_one_whose_list_has_the_app(setup: MicrosoftSetup) -> None:
    first = await setup.entra()
    second = await setup.entra(entra={"applications": [OTHER_APP]})
    for app, provider in ((POWER_APP, first), (OTHER_APP, second)):
        token = setup.microsoft.mint("graph", app=app)
        assert (await setup.me(token))["client"]["identifier"] == provider.client
        other = second if provider is first else first
        await setup.refused(token, 403, "FORBIDDEN", headers=naming(other.client))


async def test_two_providers_of_one_client_that_accept_the_same_token(setup: MicrosoftSetup) -> None:
    """They can grant different roles, so neither is chosen."""
    first = await setup.entra()
    second = await setup.entra(first.client)
    token = setup.microsoft.mint("graph")
    await setup.refused(token)
    await setup.refused(token, headers=naming(first.client))
    await second.act("switch-off")
    assert (await setup.me(token))["client"]["identifier"] == first.client


async def test_many_clients_that_bind_the_same_directory_lock_no_one_out(setup: MicrosoftSetup) -> None:
    """Any client can put any directory's ID into its settings, but a named client is still found."""
    for _ in range(21):
        await setup.entra()
    provider = await setup.entra()
    me = await setup.me(setup.microsoft.mint("graph"), headers=naming(provider.client))
    assert me["client"]["identifier"] == provider.client


@KINDS
async def test_a_client_that_is_suspended_keeps_no_one_elses_callers_out(setup: MicrosoftSetup, kind: str) -> None:
    """Otherwise, a client that claimed another's directory would still cause harm after its suspension."""
    provider, stopped = await setup.entra_of_ours(), await setup.entra_of_ours()
    await setup.refused(setup.microsoft.mint(kind))
    await act_on(setup.app, f"{stopped.client}/suspend")
    token = setup.microsoft.mint(kind)
    assert (await setup.me(token))["client"]["identifier"] == provider.client
    await setup.refused(token, 403, "ACCOUNT_DISABLED", headers=naming(stopped.client))
    await act_on(setup.app, f"{stopped.client}/restore")
    await setup.refused(setup.microsoft.mint(kind))


async def test_a_provider_whose_cloud_is_gone_keeps_no_one_elses_callers_out(
    setup: MicrosoftSetup, database_url: str
) -> None:
    """If an operator removes a cloud, only the client that uses it is rejected."""
    microsofts = {"MANIFEST_MICROSOFT_CLOUD": "global", "MANIFEST_MICROSOFT_CUSTOM_CLOUD": ""}
    async with setup_on(database_url, **microsofts) as before:
        stranded = await before.entra(entra={"cloud": "global"})
    setup.providers.append(Provider(setup, stranded.client, stranded.made))
    token = setup.microsoft.mint("graph")
    await setup.refused(token)
    await setup.refused(token, headers=naming(stranded.client))
    provider = await setup.entra()
    assert (await setup.me(token))["client"]["identifier"] == provider.client


async def test_no_one_of_one_client_is_in_another(setup: MicrosoftSetup) -> None:
    provider = await setup.entra(defaultRoles=["Admin"])
    token = setup.microsoft.mint("graph")
    me = await setup.me(token)
    answer = await setup.app.post(GRAPHQL, {"query": "{ users { email } }"}, token=token)
    assert [user["email"] for user in answer.json["data"]["users"]] == [me["user"]["email"]]
    outsider = setup.app.ids.get("viewer@acme.example", 1)
    for path in (f"users/{outsider}", f"users/{outsider}/identities"):
        check_refusal(await setup.app.get(f"/api/client/{path}", token=token), 404, "NOT_FOUND")
    assert list(await users_of(setup.app, provider.client)) == [me["user"]["email"]]


@rule("VERIFIERS-APART")
async def test_it_opens_nothing_of_the_admins(setup: MicrosoftSetup) -> None:
    await setup.entra(defaultRoles=["Admin"])
    token = setup.microsoft.mint("graph")
    await setup.me(token)
    for path in ("clients", "license-on-prem", "clients/acme/users"):
        check_refusal(await setup.app.get(f"/api/admin/{path}", token=token), 401, "INVALID_TOKEN")


@rule("VERIFIERS-APART")
async def test_it_is_no_refresh_token_and_no_cookie(setup: MicrosoftSetup) -> None:
    await setup.entra()
    token = setup.microsoft.mint("graph")
    await setup.me(token)
    check_refusal(await setup.app.refresh(token), 401, "INVALID_TOKEN")
    check_refusal(await setup.app.me(cookie=token), 401, "INVALID_TOKEN")


@KINDS
async def test_a_client_that_is_suspended(setup: MicrosoftSetup, kind: str) -> None:
    provider = await setup.entra_of_ours()
    await act_on(setup.app, f"{provider.client}/suspend")
    await setup.refused(setup.microsoft.mint(kind), 403, "ACCOUNT_DISABLED")
    assert (await trail(setup.app, provider.client))[-1].event == "sign_in_refused"
    assert await users_of(setup.app, provider.client) == {}
    await act_on(setup.app, f"{provider.client}/restore")
    await setup.me(setup.microsoft.mint(kind))


@KINDS
async def test_a_provider_that_is_turned_off(setup: MicrosoftSetup, kind: str) -> None:
    provider = await setup.entra_of_ours()
    await provider.act("switch-off")
    await setup.refused(setup.microsoft.mint(kind))
    assert (setup.microsoft.count("graph"), setup.microsoft.count("keys")) == (0, 0)
    await provider.act("switch-on")
    await setup.me(setup.microsoft.mint(kind))


async def test_a_provider_of_another_kind_for_the_same_directory(setup: MicrosoftSetup) -> None:
    """A Dynamics provider doesn't make tokens valid."""
    provider = await setup.dynamics()
    for kind in ("graph", "api", "dataverse"):
        await setup.refused(setup.microsoft.mint(kind))
        await setup.refused(setup.microsoft.mint(kind), headers=naming(provider.client))


async def test_a_clients_own_admin_sets_it_up(setup: MicrosoftSetup) -> None:
    client = await new_client(setup.app)
    admin = await member(setup.app, client, "Admin")
    body = {
        "name": "power-apps",
        "createUsers": True,
        "defaultRoles": ["Viewer"],
        "entra": {"directory": setup.microsoft.named("contoso").id, "applications": [POWER_APP]},
    }
    made = await setup.app.post("/api/client/providers", body, token=admin.token)
    assert check_success(made, 201)["kind"] == "entra"
    token = setup.microsoft.mint("graph")
    assert (await setup.me(token, headers=naming(client)))["client"]["identifier"] == client
    await setup.refused(token)  # the client must be named until the claim on the directory is verified
    await directory_counts(setup.app, client, setup.microsoft.named("contoso").id)
    assert (await setup.me(token))["client"]["identifier"] == client
    removed = await setup.app.send("DELETE", "/api/client/providers/power-apps", token=admin.token)
    check_success(removed)
    await setup.refused(setup.microsoft.mint("graph"))
