"""For access tokens signed by this process, everything except the signature is verified."""

from __future__ import annotations

from typing import Any

import pytest

from manifest_auth.errors import InvalidToken
from manifest_auth.sessions.tokens import KeyRing, Purpose, VerifiedTokens, keys, signatures
from tests.http.apps.relying import relying
from tests.support.accounts import keys_of, new_client
from tests.support.application import App
from tests.support.forged_tokens import altered, claims_of, signed
from tests.support.matrix import matrix
from tests.support.oauth_callers import machine
from tests.support.people import member
from tests.support.visitor import Visitor


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The signed texts of all signatures that are verified."""
    seen: list[bytes] = []
    verifies = signatures.verifies

    def noting(raw: bytes, signed: bytes, signature: bytes) -> bool:
        seen.append(signed)
        return verifies(raw, signed, signature)

    monkeypatch.setattr(signatures, "verifies", noting)
    return seen


async def test_who_signed_a_token_reads_it_without_its_signature(app: App, verified: list[bytes]) -> None:
    client = await new_client(app)
    web = await relying(app, client)
    person = await member(app, client)
    got = await web.tokens(Visitor(app), person.email)
    token = (await keys_of(app)).token
    gateway = await machine(app, client, "gateway")
    for _ in range(2):
        assert (await web.userinfo(got["access_token"])).status == 200
        assert (await app.me(token)).status == 200
        assert (await app.graphql("{ __typename }", await gateway.token())).status == 200
    assert verified == []


async def test_a_changed_token_and_one_of_another_process_are_verified(app: App, verified: list[bytes]) -> None:
    token = (await keys_of(app)).token
    for place in (len(token.split(".")[0]) + 5, -5):
        assert (await app.me(altered(token, place))).status == 401
    assert len(verified) == 2
    services = app.services
    other = KeyRing(services.store, services.sealer, services.settings, services.clock, services.random)
    await other.load()
    elsewhere = VerifiedTokens(other, services.settings.issuer, services.settings.oauth_issuer, services.metrics)
    for _ in range(2):
        await elsewhere.verify(Purpose.ACCESS, token, app.clock.ms)
    assert len(verified) == 3


@matrix(
    "change",
    [{"aud": "another"}, {"iss": "another"}, {"sub": "0"}, {"scope": "openid"}, {"client": ""}, {"iat": 2**40}],
    ids=str,
)
async def test_all_its_claims_are_checked(app: App, verified: list[bytes], change: dict[str, Any]) -> None:
    token = (await keys_of(app)).token
    assert (await app.me(signed(app, Purpose.ACCESS, {**claims_of(token), **change}))).status == 401
    with pytest.raises(InvalidToken):
        await app.services.verified.verify(Purpose.ADMIN_ACCESS, token, app.clock.ms)
    assert verified == []


async def test_it_dies_with_its_session_its_time_and_its_key(app: App) -> None:
    over, retired = await keys_of(app), await keys_of(app)
    assert (await app.post("/api/client/auth/sign-out", headers={"Cookie": f"session={over.cookie}"})).status == 200
    assert (await app.me(over.token)).status == 401
    [key] = app.services.keys.verifying(Purpose.ACCESS)
    admin = await app.admin_token()
    assert (await app.post(f"/api/admin/keys/{key.id}/retire", {"atOnce": True}, token=admin)).status == 200
    assert (await app.me(retired.token)).status == 401
    late = await keys_of(app)
    app.clock.advance(app.services.settings.access_token_ttl)
    assert (await app.me(late.token)).code == "TOKEN_EXPIRED"


async def test_what_nobody_reads_is_forgotten(app: App, verified: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_MOST_UNREAD", 3)
    issued = [(await keys_of(app)).token for _ in range(8)]
    for token in issued:
        assert (await app.me(token)).status == 200
    assert 5 <= len(verified) < 8
