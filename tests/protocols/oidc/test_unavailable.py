"""If an OpenID provider is down, slow, or broken, a sign-in takes at most its time budget."""

from __future__ import annotations

import json

import pytest

from manifest_auth.runtime.outgoing_guard import Unreachable
from tests.protocols.oidc.relying_party import RelyingParty
from tests.support.matrix import matrix
from tests.support.oidc_op import provider
from tests.support.oidc_socket import Answer

MUCH = frozenset({"groups"})


@pytest.mark.settings(MANIFEST_PROVIDER_TIMEOUT="0.5")
@matrix("endpoint", ["discovery", "token", "keys", "userinfo"])
async def test_a_slow_provider_is_given_up(rp: RelyingParty, endpoint: str) -> None:
    with rp.op.gates.shut(endpoint), pytest.raises(Unreachable, match="no response in time"):
        await rp.sign_in(MUCH)


@pytest.mark.settings(MANIFEST_PROVIDER_TIMEOUT="2")
async def test_all_calls_of_a_sign_in_share_one_budget(rp: RelyingParty) -> None:
    answer = await rp.begin()
    rp.op.delay = dict.fromkeys(("token", "keys", "userinfo"), 0.9)  # fast enough alone, but the budget is 2 s in total
    with pytest.raises(Unreachable, match="no response in time"):
        await rp.redeem(answer, MUCH)


async def test_a_provider_that_is_gone_is_told_immediately(rp: RelyingParty) -> None:
    with provider(rp.clock) as other:
        issuer = other.issuer
    with pytest.raises(Unreachable, match="can't connect"):
        await rp.discover(issuer)


@matrix("endpoint", ["discovery", "token", "keys", "userinfo"])
@matrix(
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
async def test_a_broken_provider_is_unreachable(rp: RelyingParty, endpoint: str, answer: Answer) -> None:
    rp.op.answers[endpoint] = answer
    with pytest.raises(Unreachable):
        await rp.sign_in(MUCH)


async def test_keys_that_come_with_an_error_are_none(rp: RelyingParty) -> None:
    good = json.dumps({"keys": [rp.op.key.as_dict(private=False)]}).encode()
    for status in (203, 404, 500):
        rp.op.answers["keys"] = Answer(status, {"Content-Type": "application/json"}, good)
        with pytest.raises(Unreachable, match=f"returned {status}"):
            await rp.sign_in()
    rp.op.answers["keys"] = Answer(200, {"Content-Type": "application/json"}, good)
    await rp.sign_in()


async def test_it_is_well_again_as_soon_as_the_provider_is(rp: RelyingParty) -> None:
    for endpoint in ("discovery", "token", "keys", "userinfo"):
        rp.clock.advance(25 * 3600)  # everything cached has expired
        rp.op.answers[endpoint] = Answer(503)
        with pytest.raises(Unreachable):
            await rp.sign_in(MUCH)
        del rp.op.answers[endpoint]
        await rp.sign_in(MUCH)
