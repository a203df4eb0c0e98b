"""An ID token with additional audiences is rejected, unless all are configured (OpenID Connect Core, 3.1.3.7)."""

from __future__ import annotations

from typing import Any

from manifest_auth.protocols.oidc import OidcRefused
from tests.protocols.oidc.relying_party import RelyingParty
from tests.support.matrix import matrix
from tests.support.rules import rule

TRUSTED = ("project-1", "https://api.acme.example")


async def outcome(rp: RelyingParty, audiences: tuple[str, ...], **claims: Any) -> str:
    """The reason for the rejection; empty if it was accepted."""
    answer = await rp.begin()
    rp.op.id_token = rp.token(rp.good(answer.nonce, **claims))
    try:
        await rp.redeem(answer, audiences=audiences)
    except OidcRefused as refused:
        return refused.reason.text if refused.sentence is None else f"told to anyone: {refused.sentence}"
    finally:
        rp.op.id_token = None
    return ""


FOREIGN = [["manifest", "other"], ["other", "manifest"], ["manifest", ""], ["manifest", "MANIFEST"]]


@rule("OIDC-ID-TOKEN")
@matrix("aud", [*FOREIGN, ["manifest", "manifest", "x"]])
@matrix("azp", [{}, {"azp": "manifest"}])
async def test_one_audience_more_is_rejected_and_named(rp: RelyingParty, aud: list[str], azp: dict[str, str]) -> None:
    [foreign] = set(aud) - {"manifest"}
    for audiences in ((), TRUSTED):
        reason = await outcome(rp, audiences, aud=aud, **azp)
        assert reason.startswith("ID token: aud: ")
        assert repr(foreign) in reason


async def test_audiences_that_are_configured_are_no_reason_to_reject(rp: RelyingParty) -> None:
    for aud in (["manifest", *TRUSTED], [*TRUSTED, "manifest"], ["manifest", TRUSTED[0]], ["manifest"], "manifest"):
        assert await outcome(rp, TRUSTED, aud=aud) == ""
    assert await outcome(rp, TRUSTED, aud=["manifest", TRUSTED[0]], azp="manifest") == ""


async def test_a_trusted_audience_does_not_stand_for_us(rp: RelyingParty) -> None:
    """We must be named, and we must be the ones who requested the token."""
    for aud in (TRUSTED[0], [TRUSTED[0]], list(TRUSTED)):
        assert await outcome(rp, TRUSTED, aud=aud) == "ID token: aud"
    assert "azp" in await outcome(rp, TRUSTED, aud=["manifest", TRUSTED[0]], azp=TRUSTED[0])
    assert "ID token: aud: " in await outcome(rp, TRUSTED, aud=["manifest", TRUSTED[0], "other"])


async def test_what_is_told_of_foreign_audiences_is_bounded(rp: RelyingParty) -> None:
    reason = await outcome(rp, (), aud=["manifest", *("x" * 5000 + str(number) for number in range(3))])
    assert len(reason) < 500
