"""Power Apps tokens are cached after verification until they expire, for at most five minutes.

A result is never cached longer than the responses it depends on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.interop.microsoft import error_bodies
from tests.interop.microsoft.microsoft_setup import GRAPHQL, ME, MicrosoftSetup, Provider
from tests.interop.microsoft.people import OTHER_APP
from tests.support.accounts import act_on, trail
from tests.support.matrix import matrix
from tests.support.people import set_roles
from tests.support.rules import rule
from tests.support.single_sign_on import sign_ins

pytestmark = pytest.mark.one_store

KINDS = matrix("kind", ["graph", "api", "api-v1"])
ASK_GRAPH = {"askGraph": True}


async def test_a_second_request_makes_no_call(setup: MicrosoftSetup) -> None:
    await setup.entra_of_ours(entra=ASK_GRAPH)
    for kind, calls in (("graph", {"graph": 1, "token": 0}), ("api", {"graph": 2, "token": 1})):
        token = setup.microsoft.mint(kind)
        for _ in range(3):
            await setup.me(token)
        assert {endpoint: setup.microsoft.count(endpoint) for endpoint in calls} == calls


@rule("MICROSOFT-VERDICT")
@matrix("kind", ["graph", "api"])
async def test_two_hundred_first_requests_at_the_same_time_make_one(setup: MicrosoftSetup, kind: str) -> None:
    setup.app.clock.advance(3601)  # the directory's keys are no longer cached either
    await setup.entra_of_ours(entra=ASK_GRAPH)
    token = setup.microsoft.mint(kind)
    setup.microsoft.delay = {"graph": 0.2, "keys": 0.1}
    before = sign_ins(setup.app, "entra", "ok")
    requests = [setup.app.me(token) if n % 2 else setup.app.post(GRAPHQL, ME, token=token) for n in range(200)]
    assert {reply.status for reply in await asyncio.gather(*requests)} == {200}
    ours = int(kind == "api")
    calls = {"graph": 1, "token": ours, "keys": ours}
    assert {endpoint: setup.microsoft.count(endpoint) for endpoint in calls} == calls
    assert sign_ins(setup.app, "entra", "ok") == before + 1


async def test_a_token_that_is_rejected_is_refused_to_all_who_show_it_at_the_same_time(setup: MicrosoftSetup) -> None:
    await setup.entra()
    token = setup.microsoft.mint("graph", key_of="fabrikam")
    setup.microsoft.delay = {"graph": 0.2}
    replies = await asyncio.gather(*[setup.app.me(token) for _ in range(50)])
    assert {(reply.status, reply.code) for reply in replies} == {(401, "INVALID_TOKEN")}
    assert setup.microsoft.count("graph") == 1


async def test_each_token_is_judged_by_itself(setup: MicrosoftSetup) -> None:
    await setup.entra()
    setup.microsoft.delay = {"graph": 0.1}
    tokens = {user: setup.microsoft.mint("graph", user=user) for user in ("alice", "bob", "carol")}
    forged = setup.microsoft.mint("graph", key_of="fabrikam")
    replies = await asyncio.gather(*[setup.app.me(token) for token in (*tokens.values(), forged)])
    assert [reply.status for reply in replies] == [200, 200, 200, 401]
    assert [reply.data["user"]["firstName"] for reply in replies[:3]] == ["Alice", "Bob", "Carol"]
    assert setup.microsoft.count("graph") == 4


@rule("MICROSOFT-VERDICT")
@KINDS
async def test_never_longer_than_five_minutes(setup: MicrosoftSetup, kind: str) -> None:
    provider = await setup.entra_of_ours(entra=ASK_GRAPH)
    token = setup.microsoft.mint(kind)
    await setup.me(token)
    setup.app.clock.advance(299.999)
    await setup.me(token)
    assert setup.microsoft.count("graph") == 1
    setup.microsoft.profile = {"accountEnabled": False}  # right after the request to Graph
    setup.app.clock.advance(0.001)
    await setup.refused(token, 403, "ACCOUNT_DISABLED")
    setup.microsoft.profile = {}
    await setup.me(token)
    assert setup.microsoft.count("graph") == 4
    signed_in = [event for event in await trail(setup.app, provider.client) if event.event == "signed_in"]
    assert len(signed_in) == 2


async def test_a_stay_of_hours_is_judged_every_five_minutes(setup: MicrosoftSetup) -> None:
    await setup.entra()
    token = setup.microsoft.mint("graph", lifetime=3600)
    for _ in range(60):
        await setup.me(token)
        setup.app.clock.advance(60)
    assert setup.microsoft.count("graph") == 12
    await setup.refused(token, code="TOKEN_EXPIRED")


Change = Callable[[MicrosoftSetup, Provider, int], Awaitable[Any]]


async def _deactivate(setup: MicrosoftSetup, provider: Provider, user_id: int) -> None:
    await act_on(setup.app, f"{provider.client}/users/{user_id}/deactivate")


async def _suspend(setup: MicrosoftSetup, provider: Provider, user_id: int) -> None:
    await act_on(setup.app, f"{provider.client}/suspend")


#: By name: an action, and the status of the cached token from the next request on.
CHANGES: dict[str, tuple[Change, int, str]] = {
    "the user is deactivated": (_deactivate, 403, "ACCOUNT_DISABLED"),
    "the client is suspended": (_suspend, 403, "ACCOUNT_DISABLED"),
    "the the provider is turned off": (lambda w, p, u: p.act("switch-off"), 401, "INVALID_TOKEN"),
    "the provider is deleted": (lambda w, p, u: p.act("delete"), 401, "INVALID_TOKEN"),
    "the app is off the list": (lambda w, p, u: p.change(entra={"applications": [OTHER_APP]}), 401, "INVALID_TOKEN"),
    "another directory": (
        lambda w, p, u: p.change(entra={"directory": w.microsoft.named("fabrikam").id, "clientSecret": "x"}),
        401,
        "INVALID_TOKEN",
    ),
}


@rule("MICROSOFT-VERDICT")
@KINDS
@matrix("what", CHANGES)
async def test_dropped_immediately_when(setup: MicrosoftSetup, kind: str, what: str) -> None:
    provider = await setup.entra_of_ours()
    token = setup.microsoft.mint(kind)
    user_id = (await setup.me(token))["user"]["id"]
    calls = len(setup.microsoft.asked)
    change, status, code = CHANGES[what]
    await change(setup, provider, user_id)
    await setup.refused(token, status, code)
    assert len(setup.microsoft.asked) == calls


async def test_roles_count_with_the_next_request(setup: MicrosoftSetup) -> None:
    provider = await setup.entra()
    token = setup.microsoft.mint("graph")
    user_id = (await setup.me(token))["user"]["id"]
    for roles in (["Viewer"], ["Author", "Publisher"], ["Operator"]):
        await set_roles(setup.app, provider.client, user_id, *roles)
        assert (await setup.me(token))["roles"] == roles
    assert setup.microsoft.count("graph") == 1


async def test_a_change_that_still_lets_the_token_in_has_it_judged_again(setup: MicrosoftSetup) -> None:
    provider = await setup.entra_of_ours()
    token = setup.microsoft.mint("graph")
    await setup.me(token)
    await provider.change(defaultRoles=["Operator", "Author"])
    assert (await setup.me(token))["roles"] == ["Author", "Operator"]
    assert setup.microsoft.count("graph") == 2
    await provider.act("switch-off")
    await provider.act("switch-on")
    await setup.me(token)
    await provider.act("delete")
    setup.providers.clear()
    again = await setup.entra(provider.client, createUsers=False)
    await setup.refused(token, code="SSO_FAILED")
    await again.change(createUsers=True)


async def test_someone_else_of_the_client_is_not_touched(setup: MicrosoftSetup) -> None:
    provider = await setup.entra()
    alice, bob = setup.microsoft.mint("graph"), setup.microsoft.mint("graph", user="bob")
    user_id = (await setup.me(alice))["user"]["id"]
    await setup.me(bob)
    await _deactivate(setup, provider, user_id)
    await setup.refused(alice, 403, "ACCOUNT_DISABLED")
    await setup.me(bob)
    await act_on(setup.app, f"{provider.client}/users/{user_id}/restore")
    await setup.me(alice)
    assert setup.microsoft.count("graph") == 2


@rule("MICROSOFT-VERDICT")
@matrix(
    ("what", "status", "code"),
    [
        ("the the provider is turned off", 401, "SSO_FAILED"),
        ("the app is off the list", 401, "SSO_FAILED"),
        ("the provider is deleted", 401, "SSO_FAILED"),
        ("the client is suspended", 403, "ACCOUNT_DISABLED"),
        ("the user is deactivated", 403, "ACCOUNT_DISABLED"),
    ],
)
async def test_a_change_while_graph_is_being_asked(setup: MicrosoftSetup, what: str, status: int, code: str) -> None:
    """The response belongs to earlier settings, so it doesn't allow access and isn't cached."""
    provider = await setup.entra()
    user_id = (await setup.me(setup.microsoft.mint("graph")))["user"]["id"]
    token = setup.microsoft.mint("graph")
    with setup.microsoft.gates.shut("graph"):
        asking = asyncio.create_task(setup.app.me(token))
        while setup.microsoft.count("graph") < 2 and not asking.done():
            await asyncio.sleep(0.01)
        await CHANGES[what][0](setup, provider, user_id)
        assert not asking.done()
    reply = await asking
    assert (reply.status, reply.code) == (status, code)
    await setup.refused(token, status, code if status == 403 else "INVALID_TOKEN")


async def test_one_who_does_not_wait_for_the_answer_spoils_it_for_no_one(setup: MicrosoftSetup) -> None:
    await setup.entra()
    token = setup.microsoft.mint("graph")
    with setup.microsoft.gates.shut("graph"):
        first = asyncio.create_task(setup.app.me(token))
        while setup.microsoft.count("graph") < 1 and not first.done():
            await asyncio.sleep(0.01)
        second = asyncio.create_task(setup.app.me(token))
        await asyncio.sleep(0)
        first.cancel()
    assert (await second).status == 200
    await setup.me(token)
    assert setup.microsoft.count("graph") == 1


@matrix("kind", ["graph", "api"])
async def test_that_a_person_was_rejected_is_not_remembered(setup: MicrosoftSetup, kind: str) -> None:
    provider = await setup.entra_of_ours(createUsers=False, entra=ASK_GRAPH)
    token = setup.microsoft.mint(kind)
    await setup.refused(token, code="SSO_FAILED")
    await provider.change(createUsers=True)
    if kind == "api":  # the signature is genuine, and the rejected exchange can be fixed
        setup.microsoft.answers["graph"] = error_bodies.graph("InvalidAuthenticationToken", "no", 0)
        await setup.refused(token, code="SSO_FAILED")
        del setup.microsoft.answers["graph"]
    await setup.me(token)


async def test_that_a_token_is_not_genuine_is_remembered_for_a_minute(setup: MicrosoftSetup) -> None:
    """No client setting can make the token genuine, so Microsoft is asked only once."""
    await setup.entra()
    token = setup.microsoft.mint("graph")
    setup.microsoft.answers["graph"] = error_bodies.graph("InvalidAuthenticationToken", "no", 0)
    await setup.refused(token)
    del setup.microsoft.answers["graph"]
    await setup.refused(token)
    assert setup.microsoft.count("graph") == 1
    setup.app.clock.advance(59.9)
    await setup.refused(token)
    setup.app.clock.advance(0.1)
    await setup.me(token)
    assert setup.microsoft.count("graph") == 2
