"""A provider that is down, slow or broken costs a sign-in its budget and no more."""

from __future__ import annotations

import asyncio
import json

import pytest

from manifest_auth.runtime.outgoing import Unreachable
from tests.protocols.oidc.relying_party import Desk
from tests.support.oidc_op import provider
from tests.support.oidc_socket import Answer

MUCH = frozenset({"groups"})


@pytest.mark.parametrize("endpoint", ["discovery", "token", "keys", "userinfo"])
async def test_a_slow_provider_is_given_up(desk: Desk, endpoint: str) -> None:
    desk.op.delay[endpoint] = 30
    with pytest.raises(Unreachable, match="no answer in time"):
        await asyncio.wait_for(desk.sign_in(MUCH), 15)


async def test_all_calls_of_a_sign_in_share_one_budget(desk: Desk) -> None:
    answer = await desk.begin()
    desk.op.delay = dict.fromkeys(("token", "keys", "userinfo"), 0.9)  # each in time, together not: the budget is 2 s
    with pytest.raises(Unreachable, match="no answer in time"):
        await desk.redeem(answer, MUCH)


async def test_a_provider_that_is_gone_is_told_at_once(desk: Desk) -> None:
    with provider(desk.clock) as other:
        issuer = other.issuer
    with pytest.raises(Unreachable, match="cannot connect"):
        await asyncio.wait_for(desk.discover(issuer), 5)


@pytest.mark.parametrize("endpoint", ["discovery", "token", "keys", "userinfo"])
@pytest.mark.parametrize(
    "answer",
    [
        Answer(500),
        Answer(raw=b""),
        Answer(302, {"Location": "https://elsewhere.example/"}),
        Answer(body=b" " * 2**21),
        Answer(headers={"Content-Encoding": "gzip"}, body=b"\x1f\x8b"),
        Answer(raw=b"SSH-2.0-OpenSSH\r\n"),
    ],
    ids=["500", "nothing", "redirect", "huge", "compressed", "no HTTP"],
)
async def test_a_broken_provider_is_unreachable(desk: Desk, endpoint: str, answer: Answer) -> None:
    desk.op.answers[endpoint] = answer
    with pytest.raises(Unreachable):
        await asyncio.wait_for(desk.sign_in(MUCH), 15)


async def test_keys_that_come_with_an_error_are_none(desk: Desk) -> None:
    good = json.dumps({"keys": [desk.op.key.as_dict(private=False)]}).encode()
    for status in (203, 404, 500):
        desk.op.answers["keys"] = Answer(status, {"Content-Type": "application/json"}, good)
        with pytest.raises(Unreachable, match=f"answered {status}"):
            await desk.sign_in()
    desk.op.answers["keys"] = Answer(200, {"Content-Type": "application/json"}, good)
    await desk.sign_in()


async def test_it_is_well_again_as_soon_as_the_provider_is(desk: Desk) -> None:
    for endpoint in ("discovery", "token", "keys", "userinfo"):
        desk.clock.advance(25 * 3600)  # nothing that was kept is good any more
        desk.op.answers[endpoint] = Answer(503)
        with pytest.raises(Unreachable):
            await desk.sign_in(MUCH)
        del desk.op.answers[endpoint]
        await desk.sign_in(MUCH)
