"""Admins are notified once 14 days and once 3 days before a key expires; the audit trail records the expiration."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from tests.support.accounts import new_client, trail
from tests.support.application import App
from tests.support.background_jobs import watch_secrets
from tests.support.envelope import check_success
from tests.support.machines import machine, new_key
from tests.support.mail_server import MailServer
from tests.support.people import member
from tests.support.rows import rows

pytestmark = [pytest.mark.mail, pytest.mark.still]
DAY = 86_400


async def _told(app: App, mail_server: MailServer) -> list[str]:
    """Recipients and subjects of this round's emails."""
    mail_server.mails.clear()
    await watch_secrets(app)
    for _ in range(200):
        if not await rows(app, "queued_mails", "id"):
            break
        await asyncio.sleep(0.02)
    return sorted(f"{one.message['To']} {one.message['Subject']}" for one in mail_server.mails)


async def test_admins_are_told_twice_and_no_one_else(app: App, mail_server: MailServer) -> None:
    client = await new_client(app)
    admins = sorted([(await member(app, client, "Admin")).email for _ in range(2)])
    await member(app, client, "User Admin")
    it = await machine(app, client)
    short = await new_key(app, client, it.id, expiresInDays=10)
    assert await _told(app, mail_server) == []
    app.clock.advance(7 * DAY - 1)
    assert await _told(app, mail_server) == []
    app.clock.advance(1)  # three days before the short-lived key expires
    day = short.expires_at[:10]
    assert await _told(app, mail_server) == [f"{to} {client}: a key of {it.name} expires on {day}" for to in admins]
    assert await _told(app, mail_server) == []
    app.clock.advance(68 * DAY)
    assert await _told(app, mail_server) == []
    for days, mails in ((76, 2), (80, 0), (87, 2), (89, 0)):
        app.clock.ms = _at(it.key.expires_at) - (90 - days) * DAY * 1000
        found = await _told(app, mail_server)
        assert len(found) == mails, days
        assert await _told(app, mail_server) == []


async def test_one_that_was_rotated_is_not_spoken_of_and_a_disabled_account_neither(
    app: App, mail_server: MailServer
) -> None:
    client = await new_client(app)
    await member(app, client, "Admin")
    it, other = await machine(app, client), await machine(app, client)
    app.clock.advance(85 * DAY)
    token = await app.admin_token()
    check_success(await app.post(f"{it.base}/keys/{it.key.id}/rotate", {"overlapHours": 168}, token=token), 201)
    check_success(await app.post(f"{other.base}/disable", token=token))
    assert await _told(app, mail_server) == []


async def test_the_end_is_in_the_audit_trail_once(app: App, mail_server: MailServer) -> None:
    client = await new_client(app)
    it = await machine(app, client)
    revoked = await new_key(app, client, it.id)
    check_success(await app.send("DELETE", f"{it.base}/keys/{revoked.id}", token=await app.admin_token()))
    app.clock.advance(90 * DAY)
    for _ in range(2):
        await _told(app, mail_server)
    found = [one for one in await trail(app, client) if one.event == "api_key_expired"]
    assert [(one.actor, one.subject) for one in found] == [("system", it.actor)]
    assert found[0].members == {"key": it.key.id, "hint": it.key.text[-4:]}
    assert (await app.me(it.key.text)).code == "TOKEN_EXPIRED"


def _at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
