"""A signed-in user links the person in an Entra ID token to their account by presenting both credentials."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.interop.microsoft import error_bodies
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, Provider
from tests.interop.microsoft.people import OTHER_APP
from tests.support.accounts import new_client, trail
from tests.support.application import Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import Member, member, roles_line, users_of
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

LINK = "/api/client/auth/identities/token"
KINDS = matrix("kind", ["graph", "api", "api-v1"])


async def link(setup: MicrosoftSetup, provider: Provider, who: Member, token: str, **shown: Any) -> Reply:
    """Link the token; ``shown`` replaces the user's own token as the credential."""
    return await setup.app.post(LINK, {"provider": provider.name, "token": token}, **(shown or {"token": who.token}))


async def both(setup: MicrosoftSetup, **members: Any) -> tuple[Provider, Member]:
    """A client, its token provider that creates no accounts, and a user with a password and a different address."""
    client = await new_client(setup.app)
    owner = await member(setup.app, client, "Author", email=f"al@{client}.example")
    return await setup.entra_of_ours(client, **{"createUsers": False, **members}), owner


@KINDS
async def test_the_caller_is_the_user_after_that(setup: MicrosoftSetup, kind: str) -> None:
    provider, owner = await both(setup)
    token = setup.microsoft.mint(kind)
    await setup.refused(token, code="SSO_FAILED")
    check_success(await link(setup, provider, owner, token))
    for shown in (token, setup.microsoft.mint(kind), owner.token):
        me = await setup.me(shown)
        assert (me["user"]["id"], me["roles"]) == (owner.id, ["Author", "Operator"])
    assert list(await users_of(setup.app, provider.client)) == [owner.email]
    [event] = [event for event in await trail(setup.app, provider.client) if event.event == "identity_linked"]
    assert (event.actor, event.subject, event.members["how"]) == (f"user:{owner.id}", f"user:{owner.id}", "consent")


async def test_by_the_cookie_on_a_page_of_ours_and_on_no_other(setup: MicrosoftSetup) -> None:
    """Otherwise, any page could link the visitor's account to an attacker's token."""
    provider, owner = await both(setup)
    token = setup.microsoft.mint("graph")
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        check_refusal(await link(setup, provider, owner, token, cookie=owner.cookie, headers=headers), 403, "FORBIDDEN")
    await setup.refused(token, code="SSO_FAILED")
    check_success(await link(setup, provider, owner, token, cookie=owner.cookie))
    await setup.me(token)


async def test_groups_count_immediately(setup: MicrosoftSetup) -> None:
    provider, owner = await both(setup, groupRoles=[roles_line("ops", "Publisher")], defaultRoles=[])
    check_success(await link(setup, provider, owner, setup.microsoft.mint("api", claims={"groups": ["ops"]})))
    assert (await setup.me(owner.token))["roles"] == ["Author", "Publisher"]


async def test_twice_is_once(setup: MicrosoftSetup) -> None:
    provider, owner = await both(setup)
    for _ in range(2):
        check_success(await link(setup, provider, owner, setup.microsoft.mint("graph")))
    listed = check_success(await setup.app.get("/api/client/auth/identities", token=owner.token))
    assert [identity["how"] for identity in listed["items"]] == ["consent"]


async def test_a_person_who_is_linked_already_stays(setup: MicrosoftSetup) -> None:
    provider, owner = await both(setup)
    other = await member(setup.app, provider.client)
    token = setup.microsoft.mint("graph")
    check_success(await link(setup, provider, owner, token))
    reply = await link(setup, provider, other, token)
    assert check_refusal(reply, 401, "SSO_FAILED")["message"] == (
        "This provider account is already linked to a different account"
    )
    assert (await setup.me(token))["user"]["id"] == owner.id


@rule("MICROSOFT-LINK")
@KINDS
async def test_a_token_that_signs_no_one_in_links_no_one(setup: MicrosoftSetup, kind: str) -> None:
    provider, owner = await both(setup)
    for token in (
        setup.microsoft.mint(kind, app=OTHER_APP),
        setup.microsoft.mint(kind, "fabrikam"),
        setup.microsoft.mint(kind, key_of="fabrikam"),
        setup.microsoft.mint(kind, lifetime=-1),
        setup.microsoft.mint(kind, user="gina"),
        setup.microsoft.mint(kind, claims={"scp": None, "roles": ["Task.Write"]}),
        setup.microsoft.mint("id"),
        owner.token,
        "x.y.z",
    ):
        check_refusal(await link(setup, provider, owner, token), 401, "SSO_FAILED")
    await setup.refused(setup.microsoft.mint(kind), code="SSO_FAILED")
    assert (await setup.app.me(owner.token)).status == 200


async def test_a_token_that_was_signed_out_links_no_one(setup: MicrosoftSetup) -> None:
    provider, owner = await both(setup)
    token = setup.microsoft.mint("graph")
    check_success(await link(setup, provider, owner, token))
    check_success(await setup.app.post("/api/client/auth/sign-out", token=token))
    check_refusal(await link(setup, provider, owner, token), 401, "SSO_FAILED")


async def test_a_session_that_ends_while_microsoft_answers_links_no_one(setup: MicrosoftSetup) -> None:
    provider, owner = await both(setup)
    with setup.microsoft.gates.shut("graph"):
        linking = asyncio.create_task(link(setup, provider, owner, setup.microsoft.mint("graph")))
        while not setup.microsoft.count("graph"):
            await asyncio.sleep(0.005)
        check_success(await setup.app.post("/api/client/auth/sign-out", token=owner.token))
    check_refusal(await linking, 401, "SSO_FAILED", message="You're no longer signed in")
    path = f"/api/admin/clients/{provider.client}/users/{owner.id}/identities"
    assert (await setup.app.get(path, token=await setup.app.admin_token())).data["items"] == []


async def test_microsoft_in_trouble(setup: MicrosoftSetup) -> None:
    provider, owner = await both(setup)
    setup.microsoft.answers["graph"] = error_bodies.throttled(7)
    reply = await link(setup, provider, owner, setup.microsoft.mint("graph"))
    check_refusal(reply, 502, "PROVIDER_UNAVAILABLE")
    assert reply.headers["retry-after"] == "7"
    setup.microsoft.answers.clear()
    setup.microsoft.profile = {"accountEnabled": False}
    reply = await link(setup, provider, owner, setup.microsoft.mint("graph"))
    check_refusal(reply, 403, "ACCOUNT_DISABLED")


@rule("MICROSOFT-LINK")
async def test_only_a_session_consents(setup: MicrosoftSetup) -> None:
    """A caller with only a Microsoft token hasn't proved ownership of an account that could be linked."""
    provider, _ = await both(setup, createUsers=True)
    bob = setup.microsoft.mint("graph", user="bob")
    await setup.me(bob)
    body = {"provider": provider.name, "token": setup.microsoft.mint("graph")}
    check_refusal(await setup.app.post(LINK, body, token=bob), 403, "REAUTHENTICATION_REQUIRED")
    refused = await setup.app.post("/api/client/auth/reauthenticate", {}, token=bob)
    check_refusal(refused, 409, "CONFLICT")
    check_refusal(await setup.app.post(LINK, body), 401, "UNAUTHENTICATED")


async def test_providers_that_take_no_tokens(setup: MicrosoftSetup) -> None:
    provider, owner = await both(setup)
    dynamics = await setup.dynamics(provider.client)
    token = setup.microsoft.mint("graph")
    check_refusal(await link(setup, dynamics, owner, token), 409, "CONFLICT")
    elsewhere = await setup.entra()
    check_refusal(await link(setup, elsewhere, owner, token), 404, "NOT_FOUND")
    await elsewhere.act("switch-off")
    await provider.act("switch-off")
    check_refusal(await link(setup, provider, owner, token), 401, "SSO_FAILED")
    body = {"provider": provider.name}
    for wrong in (None, 7, "", "x" * 20_000):
        answer = await setup.app.post(LINK, {**body, "token": wrong}, token=owner.token)
        check_refusal(answer, 400, "VALIDATION_ERROR")
