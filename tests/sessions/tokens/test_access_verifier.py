"""Verification of our access tokens: their maximum length, and the size of the cache.

It also covers what only the verifier rejects.
"""

from __future__ import annotations

import json

import pytest

from manifest_auth.errors import InvalidToken
from manifest_auth.runtime.recent import ENTRY_BYTES
from manifest_auth.sessions.tokens import Purpose, VerifiedTokens, access
from manifest_auth.text.base64url import encode
from tests.support.accounts import keys_of
from tests.support.application import App
from tests.support.attempt_limits import token_of_length
from tests.support.envelope import check_refusal
from tests.support.forged_tokens import claims_of, minted
from tests.support.matrix import matrix
from tests.support.system_admins import another, signed_in_admin

#: Its tokens can have any length, because their header contains no key name.
pytestmark = pytest.mark.settings(MANIFEST_TOKEN_ALGORITHM="HS256")


async def test_a_token_of_8_kib_is_read_and_one_character_more_is_not(app: App) -> None:
    """It's signed with the real key, so that only its length can reject it."""
    claims = claims_of((await keys_of(app)).token)

    def make(length: int) -> str:
        return token_of_length(length, lambda _, filling: minted(app, {**claims, "filling": filling}))

    assert (await app.me(make(8192))).status == 200
    check_refusal(await app.me(make(8193)), 401, "INVALID_TOKEN")


async def test_what_is_remembered_takes_so_many_bytes_and_what_is_used_stays(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = claims_of((await keys_of(app)).token)
    tokens = [minted(app, {**claims, "jti": f"one-{number}"}) for number in range(40)]
    monkeypatch.setattr(access, "MOST_BYTES", 20 * (len(tokens[0]) + ENTRY_BYTES))
    settings = app.services.settings
    verified = VerifiedTokens(app.services.keys, settings.issuer, settings.oauth_issuer, app.services.metrics)
    for number, token in enumerate(tokens):
        await verified.verify(Purpose.ACCESS, token, app.clock.ms)
        if number > 10:
            assert verified.knows(tokens[10])
            await verified.verify(Purpose.ACCESS, tokens[10], app.clock.ms)
    remembered = [verified.knows(token) for token in tokens]
    assert remembered[-16:] == [True] * 16
    assert sum(remembered) <= 20
    assert (await verified.verify(Purpose.ACCESS, tokens[1], app.clock.ms)).client == claims["client"]  # verified again


async def test_ours_is_told_by_the_header_alone(app: App) -> None:
    """Another system's token is never tried as one of ours, and an invalid one of ours never as another system's."""
    token, verified = (await keys_of(app)).token, app.services.verified
    header, rest = token.split(".", 1)
    others = (b'{"alg":"RS256","typ":"JWT"}', b'{"typ":"JWT","alg":"HS256"}', b'{"alg":"HS256","typ":"at+jwt"}')
    assert verified.is_ours(f"{header}.e30.x")
    assert not any(verified.is_ours(f"{encode(other)}.{rest}") for other in others)
    assert not verified.is_ours("mak_x")


async def test_what_was_rejected_is_not_remembered(app: App) -> None:
    claims = claims_of((await keys_of(app)).token)
    forged = minted(app, {**claims, "aud": "another"})
    for _ in range(2):
        check_refusal(await app.me(forged), 401, "INVALID_TOKEN")
    assert not app.services.verified.knows(forged)


@matrix("purpose", [Purpose.ACCESS, Purpose.ADMIN_ACCESS])
async def test_a_users_token_names_a_client_and_an_admins_names_none(app: App, purpose: Purpose) -> None:
    """Each is signed with the key of its purpose, and correct in every other way."""
    usual = claims_of((await keys_of(app)).token)
    aud = {Purpose.ACCESS: "manifest-api", Purpose.ADMIN_ACCESS: "manifest-admin"}[purpose]
    for client in ("acme", ""):
        token = minted(app, {**usual, "aud": aud, "client": client}, purpose=purpose)
        if (client != "") == (purpose is Purpose.ACCESS):
            assert (await app.services.verified.verify(purpose, token, app.clock.ms)).client == client
        else:
            with pytest.raises(InvalidToken):
                await app.services.verified.verify(purpose, token, app.clock.ms)


async def test_what_was_verified_for_one_purpose_is_not_remembered_for_another(app: App) -> None:
    token, verified = (await keys_of(app)).token, app.services.verified
    assert (await app.me(token)).status == 200
    admins = await app.admin_token()
    assert (await app.get("/api/admin/clients", token=admins)).status == 200
    for purpose, other in ((Purpose.ADMIN_ACCESS, token), (Purpose.ACCESS, admins)):
        with pytest.raises(InvalidToken):
            await verified.verify(purpose, other, app.clock.ms)
    assert verified.knows(token)
    assert not verified.knows(admins)


@matrix("value", ["NaN", "Infinity", "-Infinity"])
async def test_an_invalid_json_is_rejected_in_a_claim_that_no_one_reads_too(app: App, value: str) -> None:
    payload = json.dumps(claims_of((await keys_of(app)).token))
    assert (await app.me(minted(app, payload[:-1] + ', "x": 1}'))).status == 200
    check_refusal(await app.me(minted(app, payload[:-1] + f', "x": {value}}}')), 401, "INVALID_TOKEN")


async def test_an_admins_token_names_the_admin_of_its_session(app: App) -> None:
    first = await signed_in_admin(app)
    second = await another(first)
    claims = claims_of(first.token)
    for number, status in ((first.id, 200), (second.id, 401)):
        token = minted(app, {**claims, "id": number, "sub": str(number)}, purpose=Purpose.ADMIN_ACCESS)
        assert (await app.get("/api/admin/clients", token=token)).status == status
