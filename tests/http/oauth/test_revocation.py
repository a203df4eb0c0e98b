"""``POST /oauth2/revoke`` revokes the caller's own tokens, and a key or secret for anyone who presents it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest

from tests.support.accounts import keys_of, trail
from tests.support.application import App, Reply, running
from tests.support.background_jobs import soon
from tests.support.oauth_callers import GRANT, REVOKE, TOKEN, Machine, form, machine
from tests.support.rules import rule


@pytest.fixture(scope="module")
async def other_node(app: App, database_url: str) -> AsyncIterator[App]:
    async with running(database_url) as node:
        node.goes_by_the_clock_of(app)
        yield node


async def works(app: App, bearer: str) -> bool:
    return "errors" not in (await app.graphql("{ jobs { id } }", bearer)).json


def check_done(reply: Reply) -> None:
    assert (reply.status, reply.text, reply.headers["cache-control"]) == (200, "", "no-store")


@rule("OAUTH-REVOCATION")
async def test_a_token_of_the_callers_own_ends_on_every_node(app: App, other_node: App, ours: Machine) -> None:
    token, other = await ours.token(), await ours.token()
    assert await works(app, token)
    assert await works(other_node, token)
    check_done(await ours.revoke(token))
    for node in (app, other_node):
        await soon(partial(works, node, token), expected=False)
        assert await works(node, other)
    check_done(await ours.revoke(token))


async def test_by_an_assertion(app: App, ours: Machine) -> None:
    token = await ours.token()
    check_done(await form(app, REVOKE, {"token": token, **ours.signed()}))
    assert not await works(app, token)


@rule("OAUTH-REVOCATION")
async def test_another_accounts_token_goes_on(app: App, ours: Machine, theirs: Machine, client: str) -> None:
    neighbour = await machine(app, client, "neighbour")
    user = (await keys_of(app)).token
    for token in (await neighbour.token(), await theirs.token(), user):
        check_done(await ours.revoke(token))
        assert await works(app, token)


async def test_what_is_unknown_is_answered_alike(app: App, ours: Machine) -> None:
    app_token = await ours.token()
    for token in ("x", app_token[:-4] + "AAAA", "mfst_sec_" + "A" * 49, "mfst_key_", "mfst_scim_" + "A" * 49):
        check_done(await ours.revoke(token))
    assert await works(app, app_token)
    app.clock.advance(3600)
    assert not await works(app, app_token)  # expired
    check_done(await ours.revoke(app_token))


async def test_a_token_needs_authentication(app: App, ours: Machine) -> None:
    token = await ours.token()
    reply = await form(app, REVOKE, {"token": token})
    assert (reply.status, reply.json["error"]) == (401, "invalid_client")
    reply = await form(app, REVOKE, {"token_type_hint": "access_token"}, ours.basic)
    assert (reply.status, reply.json["error"]) == (400, "invalid_request")
    assert await works(app, token)


async def _status(node: App, ours: Machine) -> int:
    return (await form(node, TOKEN, GRANT, ours.basic)).status


@rule("OAUTH-REVOCATION")
async def test_a_leaked_secret_is_ended_by_anyone(app: App, other_node: App, ours: Machine) -> None:
    assert (await form(other_node, TOKEN, GRANT, ours.basic)).status == 200
    check_done(await form(app, REVOKE, {"token": ours.secret}))
    for node in (app, other_node):
        await soon(partial(_status, node, ours), 401)
    check_done(await form(app, REVOKE, {"token": ours.secret}))
    [event] = [event for event in await trail(app, ours.client) if event.event == "client_secret_revoked"]
    assert (event.actor, event.subject, event.members["by_holder"]) == ("anonymous", f"service:{ours.id}", True)


@rule("OAUTH-REVOCATION")
async def test_a_leaked_key_is_ended_by_anyone(app: App, other_node: App, ours: Machine, theirs: Machine) -> None:
    key, left = await ours.new("key"), await ours.new("key")
    assert (await ours.introspect(key))["active"] is True
    check_done(await form(other_node, REVOKE, {"token": key}, theirs.basic))
    await soon(partial(ours.introspect, key), {"active": False})
    assert (await ours.introspect(left))["active"] is True


@rule("OAUTH-GUESSES")
async def test_guesses_at_keys_are_counted(app: App, ours: Machine) -> None:
    key = await ours.new("key")
    for _ in range(30):
        check_done(await form(app, REVOKE, {"token": "mfst_key_" + "A" * 43 + "3Him05"}))
    reply = await form(app, REVOKE, {"token": "mfst_key_" + "A" * 43 + "3Him05"})
    assert (reply.status, reply.json["error"]) == (429, "temporarily_unavailable")
    app.clock.advance(int(reply.headers["retry-after"]))
    check_done(await form(app, REVOKE, {"token": key}))
