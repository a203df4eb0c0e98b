"""Every link that does not work is answered alike; nothing of one rests in store or trail."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

import pytest

from tests.support.accounts import act_on, trail
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, same_but_request_id
from tests.support.rows import all_that_rests
from tests.support.team import Crew, new_crew
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

LOOK = "/api/client/auth/link"


async def _used(crew: Crew) -> str:
    _, token = await invited(crew)
    assert (await accept(crew.app, token)).status == 200
    return token


async def _expired(crew: Crew) -> str:
    _, token = await invited(crew)
    crew.app.clock.advance(72 * 3600)
    return token


async def _replaced(crew: Crew) -> str:
    user_id, token = await invited(crew)
    await crew.ask("Admin", RENEW, id=user_id)
    return token


async def _for_a_reset(crew: Crew) -> str:
    user_id, _ = await invited(crew)
    return await started_reset(crew, user_id)


async def _of_somebody_deactivated(crew: Crew) -> str:
    user_id, token = await invited(crew)
    await crew.ask("Admin", DEACTIVATE, id=user_id)
    return token


async def _of_somebody_restored(crew: Crew) -> str:
    user_id, token = await invited(crew)
    await crew.ask("Admin", DEACTIVATE, id=user_id)
    await crew.ask("Admin", RESTORE, id=user_id)
    return token


async def _of_a_suspended_client(crew: Crew) -> str:
    other = await new_crew(crew.app)
    _, token = await invited(other)
    await act_on(crew.app, f"{other.client}/suspend")
    return token


async def _made_up(crew: Crew) -> str:
    return "A" * 32


async def _another_spelling(crew: Crew) -> str:
    _, token = await invited(crew)
    return token + "="


BAD: list[Callable[[Crew], Awaitable[str]]] = [
    _used, _expired, _replaced, _for_a_reset, _of_somebody_deactivated, _of_somebody_restored, _of_a_suspended_client,
    _made_up, _another_spelling,
]  # fmt: skip


@pytest.fixture
async def crew(app: App) -> Crew:
    app.clock.advance(3 * 86_400)  # the throttle forgets
    return await new_crew(app)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.__name__.strip("_"))
async def test_a_link_that_does_not_work_is_answered_like_one_that_never_was(
    crew: Crew, bad: Callable[[Crew], Awaitable[str]]
) -> None:
    token = await bad(crew)
    never = await accept(crew.app, "Z" * 32)
    check_refusal(never, 401, "INVALID_TOKEN", message="Invalid token")
    reply = await accept(crew.app, token)
    same_but_request_id(never, reply)
    assert reply.headers.get_list("set-cookie") == []
    if bad is not _for_a_reset:
        same_but_request_id(never, await crew.app.post(LOOK, {"token": token}))


@pytest.mark.parametrize("bad", [_used, _expired, _of_somebody_deactivated], ids=lambda bad: bad.__name__.strip("_"))
async def test_nor_does_it_work_for_a_reset(crew: Crew, bad: Callable[[Crew], Awaitable[str]]) -> None:
    same_but_request_id(await reset(crew.app, "Z" * 32), await reset(crew.app, await bad(crew)))


async def test_an_invitation_resets_nothing(crew: Crew) -> None:
    _, invitation = await invited(crew)
    same_but_request_id(await reset(crew.app, "Z" * 32), await reset(crew.app, invitation))
    assert (await accept(crew.app, invitation)).status == 200


async def test_a_client_that_is_named_must_be_the_links_own(crew: Crew) -> None:
    _, token = await invited(crew)
    for named in ("globex", "no-such-client", "0"):
        check_refusal(await accept(crew.app, token, headers={"X-Client-ID": named}), 403, "FORBIDDEN")
    assert (await accept(crew.app, token, headers={"X-Client-ID": crew.client})).status == 200


@pytest.mark.parametrize(
    "body",
    [{}, {"token": 5, "password": NEW}, {"token": "", "password": NEW}, {"token": "x" * 101, "password": NEW},
     {"token": "x"}, {"token": "x", "password": ""}, {"token": "x", "password": ["a"]}],
)  # fmt: skip
async def test_a_body_of_another_shape_is_refused(crew: Crew, body: object) -> None:
    for path in (ACCEPT, RESET_PATH):
        check_refusal(await crew.app.post(path, body), 400, "VALIDATION_ERROR")


async def test_nothing_of_a_link_rests_but_its_hash(crew: Crew) -> None:
    user_id, invitation = await invited(crew)
    token = await started_reset(crew, user_id)
    resting = await all_that_rests(crew.app)
    for secret in (invitation, token):
        assert not [name for name, value in resting if secret in str(value)]
        assert ("invitations.key", hashlib.sha256(secret.encode()).hexdigest()) in resting
    assert (await reset(crew.app, token)).status == 200
    kept = str(await trail(crew.app, crew.client)) + str(await all_that_rests(crew.app))
    assert not [secret for secret in (invitation, token, NEW) if secret in kept]


async def test_the_hash_that_rests_opens_nothing(crew: Crew) -> None:
    _, token = await invited(crew)
    replies: list[Reply] = [await accept(crew.app, hashlib.sha256(token.encode()).hexdigest())]
    check_refusal(replies[0], 401, "INVALID_TOKEN")
