"""The largest accepted ID token has exactly 16 KiB."""

from __future__ import annotations

from tests.protocols.oidc.relying_party import RelyingParty
from tests.support.attempt_limits import token_of_length


def _made(rp: RelyingParty, nonce: str, length: int) -> str:
    def make(header: str, claims: str) -> str:
        return rp.token(rp.good(nonce, filling=claims), rp.header(filling=header))

    return token_of_length(length, make)


async def test_an_id_token_of_16_kib_is_read(rp: RelyingParty) -> None:
    claims = await rp.shown(lambda nonce: _made(rp, nonce, 16_384))
    assert claims["sub"] == "subject-1"


async def test_one_character_more_is_rejected(rp: RelyingParty) -> None:
    assert "three segments" in await rp.refused(lambda nonce: _made(rp, nonce, 16_385))


async def test_a_subject_of_255_characters_is_one_and_of_256_is_none(rp: RelyingParty) -> None:
    assert (await rp.shown_claims(sub="s" * 255))["sub"] == "s" * 255
    assert await rp.refused_claims(sub="s" * 256) == "ID token: sub"
