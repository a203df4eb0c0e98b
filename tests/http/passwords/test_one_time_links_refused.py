"""Every invalid one-time link gets the same response, and links are never stored or recorded in plain text."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

import pytest

from tests.support.accounts import act_on, trail
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, same_but_request_id
from tests.support.matrix import matrix
from tests.support.rows import all_that_rests
from tests.support.rules import rule
from tests.support.team import Team, new_team
from tests.support.user_management import (
    ACCEPT,
    DEACTIVATE,
    NEW,
    RENEW,
    RESET_PATH,
    RESTORE,
    accept,
    invited,
    reset,
    started_reset,
)

pytestmark = pytest.mark.one_store

LOOK = "/api/client/auth/link"


async def _used(team: Team) -> str:
    _, token = await invited(team)
    assert (await accept(team.app, token)).status == 200
    return token


async def _expired(team: Team) -> str:
    _, token = await invited(team)
    team.app.clock.advance(72 * 3600)
    return token


async def _replaced(team: Team) -> str:
    user_id, token = await invited(team)
    await team.ask("Admin", RENEW, id=user_id)
    return token


async def _for_a_reset(team: Team) -> str:
    user_id, _ = await invited(team)
    return await started_reset(team, user_id)


async def _of_someone_deactivated(team: Team) -> str:
    user_id, token = await invited(team)
    await team.ask("Admin", DEACTIVATE, id=user_id)
    return token


async def _of_someone_restored(team: Team) -> str:
    user_id, token = await invited(team)
    await team.ask("Admin", DEACTIVATE, id=user_id)
    await team.ask("Admin", RESTORE, id=user_id)
    return token


async def _of_a_suspended_client(team: Team) -> str:
    other = await new_team(team.app)
    _, token = await invited(other)
    await act_on(team.app, f"{other.client}/suspend")
    return token


async def _made_up(team: Team) -> str:
    return "A" * 32


async def _another_spelling(team: Team) -> str:
    _, token = await invited(team)
    return token + "="


BAD: list[Callable[[Team], Awaitable[str]]] = [
    _used, _expired, _replaced, _for_a_reset, _of_someone_deactivated, _of_someone_restored, _of_a_suspended_client,
    _made_up, _another_spelling,
]  # fmt: skip


@pytest.fixture
async def team(app: App) -> Team:
    app.clock.advance(3 * 86_400)  # rate limits reset
    return await new_team(app)


@rule("ONE-TIME-LINK")
@matrix("bad", BAD, ids=lambda bad: bad.__name__.strip("_"))
async def test_a_link_that_does_not_work_is_answered_like_one_that_never_was(
    team: Team, bad: Callable[[Team], Awaitable[str]]
) -> None:
    token = await bad(team)
    never = await accept(team.app, "Z" * 32)
    check_refusal(never, 401, "INVALID_TOKEN", message="Invalid token")
    reply = await accept(team.app, token)
    same_but_request_id(never, reply)
    assert reply.headers.get_list("set-cookie") == []
    if bad is not _for_a_reset:
        same_but_request_id(never, await team.app.post(LOOK, {"token": token}))


@matrix("bad", [_used, _expired, _of_someone_deactivated], ids=lambda bad: bad.__name__.strip("_"))
async def test_nor_does_it_work_for_a_reset(team: Team, bad: Callable[[Team], Awaitable[str]]) -> None:
    same_but_request_id(await reset(team.app, "Z" * 32), await reset(team.app, await bad(team)))


async def test_an_invitation_resets_nothing(team: Team) -> None:
    _, invitation = await invited(team)
    same_but_request_id(await reset(team.app, "Z" * 32), await reset(team.app, invitation))
    assert (await accept(team.app, invitation)).status == 200


async def test_a_client_that_is_named_must_be_the_links_own(team: Team) -> None:
    _, token = await invited(team)
    for named in ("globex", "no-such-client", "0"):
        check_refusal(await accept(team.app, token, headers={"X-Client-ID": named}), 403, "FORBIDDEN")
    assert (await accept(team.app, token, headers={"X-Client-ID": team.client})).status == 200


@matrix(
    "body",
    [{}, {"token": 5, "password": NEW}, {"token": "", "password": NEW}, {"token": "x" * 101, "password": NEW},
     {"token": "x"}, {"token": "x", "password": ""}, {"token": "x", "password": ["a"]}],
)  # fmt: skip
async def test_a_body_of_another_shape_is_rejected(team: Team, body: object) -> None:
    for path in (ACCEPT, RESET_PATH):
        check_refusal(await team.app.post(path, body), 400, "VALIDATION_ERROR")


@rule("ONE-TIME-LINK")
async def test_nothing_of_a_link_rests_but_its_hash(team: Team) -> None:
    user_id, invitation = await invited(team)
    token = await started_reset(team, user_id)
    resting = await all_that_rests(team.app)
    for secret in (invitation, token):
        assert not [name for name, value in resting if secret in str(value)]
        assert ("invitations.key", hashlib.sha256(secret.encode()).hexdigest()) in resting
    assert (await reset(team.app, token)).status == 200
    kept = str(await trail(team.app, team.client)) + str(await all_that_rests(team.app))
    assert not [secret for secret in (invitation, token, NEW) if secret in kept]


async def test_the_hash_that_rests_opens_nothing(team: Team) -> None:
    _, token = await invited(team)
    replies: list[Reply] = [await accept(team.app, hashlib.sha256(token.encode()).hexdigest())]
    check_refusal(replies[0], 401, "INVALID_TOKEN")
