"""Power Apps: a user who is signed in links the person of an Entra ID token to the own account, by
showing both. Nobody does it for somebody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.interop.microsoft import error_bodies
from tests.interop.microsoft.microsoft_setup import Provider, World
from tests.interop.microsoft.people import OTHER_APP
from tests.support.accounts import new_client, trail
from tests.support.application import Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.people import Member, member, roles_line, users_of

LINK = "/api/client/auth/identities/token"
KINDS = pytest.mark.parametrize("kind", ["graph", "api", "api-v1"])


async def link(world: World, provider: Provider, who: Member, token: str, **shown: Any) -> Reply:
    """``shown``: the credential, when not the user's own token."""
    return await world.app.post(LINK, {"provider": provider.name, "token": token}, **(shown or {"token": who.token}))


async def both(world: World, **members: Any) -> tuple[Provider, Member]:
    """A client, its provider for tokens, which makes no accounts, and a user with a password and another address."""
    client = await new_client(world.app)
    owner = await member(world.app, client, "Author", email=f"al@{client}.example")
    return await world.entra_of_ours(client, **{"createUsers": False, **members}), owner


@KINDS
async def test_the_caller_is_the_user_from_then_on(world: World, kind: str) -> None:
    provider, owner = await both(world)
    token = world.microsoft.mint(kind)
    await world.refused(token, code="SSO_FAILED")
    check_success(await link(world, provider, owner, token))
    for shown in (token, world.microsoft.mint(kind), owner.token):
        me = await world.me(shown)
        assert (me["user"]["id"], me["roles"]) == (owner.id, ["Author", "Operator"])
    assert list(await users_of(world.app, provider.client)) == [owner.email]
    [event] = [event for event in await trail(world.app, provider.client) if event.event == "identity_linked"]
    assert (event.actor, event.subject, event.members["how"]) == (f"user:{owner.id}", f"user:{owner.id}", "consent")


async def test_by_the_cookie_on_a_page_of_ours_and_on_no_other(world: World) -> None:
    """Else any page could tie the visitor's account to the key of a stranger."""
    provider, owner = await both(world)
    token = world.microsoft.mint("graph")
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        check_refusal(await link(world, provider, owner, token, cookie=owner.cookie, headers=headers), 403, "FORBIDDEN")
    await world.refused(token, code="SSO_FAILED")
    check_success(await link(world, provider, owner, token, cookie=owner.cookie))
    await world.me(token)


async def test_groups_count_at_once(world: World) -> None:
    provider, owner = await both(world, groupRoles=[roles_line("ops", "Publisher")], defaultRoles=[])
    check_success(await link(world, provider, owner, world.microsoft.mint("api", claims={"groups": ["ops"]})))
    assert (await world.me(owner.token))["roles"] == ["Author", "Publisher"]


async def test_twice_is_once(world: World) -> None:
    provider, owner = await both(world)
    for _ in range(2):
        check_success(await link(world, provider, owner, world.microsoft.mint("graph")))
    listed = check_success(await world.app.get("/api/client/auth/identities", token=owner.token))
    assert [identity["how"] for identity in listed["items"]] == ["consent"]


async def test_whoever_is_linked_already_stays(world: World) -> None:
    provider, owner = await both(world)
    other = await member(world.app, provider.client)
    token = world.microsoft.mint("graph")
    check_success(await link(world, provider, owner, token))
    reply = await link(world, provider, other, token)
    assert check_refusal(reply, 401, "SSO_FAILED")["message"] == "This identity belongs to another account"
    assert (await world.me(token))["user"]["id"] == owner.id


@KINDS
async def test_a_token_that_lets_nobody_in_links_nobody(world: World, kind: str) -> None:
    provider, owner = await both(world)
    for token in (
        world.microsoft.mint(kind, app=OTHER_APP),
        world.microsoft.mint(kind, "fabrikam"),
        world.microsoft.mint(kind, key_of="fabrikam"),
        world.microsoft.mint(kind, lifetime=-1),
        world.microsoft.mint(kind, user="gina"),
        world.microsoft.mint(kind, claims={"scp": None, "roles": ["Task.Write"]}),
        world.microsoft.mint("id"),
        owner.token,
        "x.y.z",
    ):
        check_refusal(await link(world, provider, owner, token), 401, "SSO_FAILED")
    await world.refused(world.microsoft.mint(kind), code="SSO_FAILED")
    assert (await world.app.me(owner.token)).status == 200


async def test_a_token_that_was_signed_out_links_nobody(world: World) -> None:
    provider, owner = await both(world)
    token = world.microsoft.mint("graph")
    check_success(await link(world, provider, owner, token))
    check_success(await world.app.post("/api/client/auth/sign-out", token=token))
    check_refusal(await link(world, provider, owner, token), 401, "SSO_FAILED")


async def test_a_session_that_ends_while_microsoft_answers_links_nobody(world: World) -> None:
    provider, owner = await both(world)
    with world.microsoft.gates.shut("graph"):
        linking = asyncio.create_task(link(world, provider, owner, world.microsoft.mint("graph")))
        while not world.microsoft.count("graph"):
            await asyncio.sleep(0.005)
        check_success(await world.app.post("/api/client/auth/sign-out", token=owner.token))
    check_refusal(await linking, 401, "SSO_FAILED", message="You are not signed in any more")
    path = f"/api/admin/clients/{provider.client}/users/{owner.id}/identities"
    assert (await world.app.get(path, token=await world.app.admin_token())).data["items"] == []


async def test_microsoft_in_trouble(world: World) -> None:
    provider, owner = await both(world)
    world.microsoft.answers["graph"] = error_bodies.throttled(7)
    reply = await link(world, provider, owner, world.microsoft.mint("graph"))
    check_refusal(reply, 502, "PROVIDER_UNAVAILABLE")
    assert reply.headers["retry-after"] == "7"
    world.microsoft.answers.clear()
    world.microsoft.profile = {"accountEnabled": False}
    reply = await link(world, provider, owner, world.microsoft.mint("graph"))
    check_refusal(reply, 403, "ACCOUNT_DISABLED")


async def test_only_a_session_consents(world: World) -> None:
    """Who shows a token of Microsoft's alone has proven no account here that could be linked."""
    provider, _ = await both(world, createUsers=True)
    bob = world.microsoft.mint("graph", user="bob")
    await world.me(bob)
    body = {"provider": provider.name, "token": world.microsoft.mint("graph")}
    check_refusal(await world.app.post(LINK, body, token=bob), 401, "SSO_FAILED")
    check_refusal(await world.app.post(LINK, body), 401, "UNAUTHENTICATED")


async def test_providers_that_take_no_tokens(world: World) -> None:
    provider, owner = await both(world)
    dynamics = await world.dynamics(provider.client)
    token = world.microsoft.mint("graph")
    check_refusal(await link(world, dynamics, owner, token), 409, "CONFLICT")
    elsewhere = await world.entra()
    check_refusal(await link(world, elsewhere, owner, token), 404, "NOT_FOUND")
    await elsewhere.act("switch-off")
    await provider.act("switch-off")
    check_refusal(await link(world, provider, owner, token), 401, "SSO_FAILED")
    body = {"provider": provider.name}
    for wrong in (None, 7, "", "x" * 20_000):
        answer = await world.app.post(LINK, {**body, "token": wrong}, token=owner.token)
        check_refusal(answer, 400, "VALIDATION_ERROR")
