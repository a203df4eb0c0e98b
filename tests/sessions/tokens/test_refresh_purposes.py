"""A refresh token works only for its own purpose, because users and system admins have separate keys."""

from __future__ import annotations

import pytest

from manifest_auth import sessions
from manifest_auth.sessions.tokens import Purpose
from manifest_auth.sessions.tokens.issue import mint_refresh, verify_refresh
from tests.support.accounts import keys_of
from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal
from tests.support.forged_tokens import claims_of

ADMIN, USER = "/api/admin/auth", "/api/client/auth"


async def _shown(app: App, path: str) -> str:
    if path == USER:
        return (await keys_of(app)).refresh_token
    body = {"username": "root", "password": PASSWORD}
    return str((await app.post(f"{ADMIN}/sign-in", body)).data["refreshToken"])


@pytest.mark.parametrize(
    ("path", "own", "other"),
    [(USER, Purpose.REFRESH, Purpose.ADMIN_REFRESH), (ADMIN, Purpose.ADMIN_REFRESH, Purpose.REFRESH)],
)
async def test_the_key_of_another_purpose_signs_none(app: App, path: str, own: Purpose, other: Purpose) -> None:
    """The token of a real session, recreated exactly, with one key and with the other."""
    ring, text = app.services.keys, await _shown(app, path)
    shown = verify_refresh([ring.signing(own).raw], text, app.clock.ms)

    def made(purpose: Purpose) -> str:
        parent = None if set(shown.parent) == {"A"} else shown.parent
        return mint_refresh(ring.signing(purpose).raw[:64], shown.session_id, shown.own, parent, shown.expires_at)

    assert made(own) == text
    for purpose in (other, Purpose.ACCESS, Purpose.ADMIN_ACCESS):
        check_refusal(await app.post(f"{path}/refresh", {"refreshToken": made(purpose)}), 401, "INVALID_TOKEN")
    assert (await app.post(f"{path}/refresh", {"refreshToken": text})).status == 200


async def test_a_refresh_token_ends_with_its_session_at_the_latest(app: App) -> None:
    """Its own time claim also rejects it, not only the end of the session."""
    keys = await keys_of(app)
    session_id = claims_of(keys.token)["sid"]
    session = await app.services.store.read(lambda unit: sessions.read(unit, session_id))
    assert session is not None
    text, ring = keys.refresh_token, app.services.keys
    day = 86_400_000
    while app.clock.ms + 7 * day < session.ends_at:
        app.clock.advance(6 * 86_400)
        text = (await app.refresh(text)).data["refreshToken"]
        ends = verify_refresh([key.raw for key in ring.verifying(Purpose.REFRESH)], text, app.clock.ms).expires_at
        assert ends == min(app.clock.ms + 30 * day, session.ends_at)
    assert ends == session.ends_at
