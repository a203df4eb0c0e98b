"""Every time claim of our tokens is checked, for users and system admins, with either algorithm."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.accounts import keys_of
from tests.support.application import App, Reply, running
from tests.support.envelope import check_refusal, check_success
from tests.support.forged_tokens import Purpose, claims_of, minted, rotate, signed
from tests.support.matrix import matrix
from tests.support.rules import rule

SKEW = 60
#: A change of the claim, relative in seconds or absolute, and whether the token is then valid.
NOT_BEFORE: list[tuple[Any, bool]] = [
    (0, True), (-86_400, True), (SKEW, True), (SKEW + 1, False), (86_400, False), (10**12, False),
]  # fmt: skip
WRONG = [True, False, 1.5, "0", "", [0], {}, -1, None]
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@pytest.fixture(scope="module", params=["HS256", "ES256"])
async def app(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[App]:
    async with running(database_url) as application:
        await rotate(application, request.param)
        yield application


async def shown(app: App, purpose: Purpose, **changes: Any) -> Reply:
    """The response to a signed-in user's token with these additional claims."""
    if purpose is Purpose.ACCESS:
        claims = claims_of((await keys_of(app)).token)
        return await app.me(signed(app, purpose, {**claims, **changes}))
    claims = claims_of(await app.admin_token())
    return await app.get("/api/admin/auth/me", token=signed(app, purpose, {**claims, **changes}))


PURPOSES = matrix("purpose", [Purpose.ACCESS, Purpose.ADMIN_ACCESS])


@rule("TOKEN-TIMES")
@PURPOSES
@matrix(("ahead", "is_good"), NOT_BEFORE)
async def test_a_token_is_good_from_its_nbf_on_give_or_take_a_minute(
    app: App, purpose: Purpose, ahead: int, is_good: bool
) -> None:
    reply = await shown(app, purpose, nbf=app.clock.ms // 1000 + ahead)
    if is_good:
        check_success(reply)
    else:
        check_refusal(reply, 401, "INVALID_TOKEN")


@PURPOSES
@matrix("claim", ["nbf", "iat", "exp"])
@matrix("value", WRONG, ids=repr)
async def test_a_time_that_is_no_whole_number_is_rejected(app: App, purpose: Purpose, claim: str, value: Any) -> None:
    reply = await shown(app, purpose, **{claim: value})
    assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


async def test_a_token_that_waits_for_its_time_becomes_good(app: App) -> None:
    claims = claims_of((await keys_of(app)).token)
    token = signed(app, Purpose.ACCESS, {**claims, "nbf": claims["iat"] + SKEW + 5})
    assert (await app.me(token)).code == "INVALID_TOKEN"
    app.clock.advance(5)
    assert (await app.me(token)).status == 200


async def test_a_time_that_is_given_twice_is_rejected(app: App) -> None:
    claims = claims_of((await keys_of(app)).token)
    doubled = json.dumps({**claims, "nbf": 0})[:-1] + f', "nbf": {claims["iat"] + 3600}}}'
    assert (await app.me(minted(app, doubled))).code == "INVALID_TOKEN"
