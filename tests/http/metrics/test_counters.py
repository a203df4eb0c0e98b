"""Metrics of replays, rate limits, the hash queue, and the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.application import App, running
from tests.support.attempt_limits import ACCOUNT, ADDRESS, ORIGIN
from tests.support.faults import hash_queue_is_full, most_hashes
from tests.support.single_sign_on import sign_ins
from tests.support.system_admins import another, enrolled, sign_in, signed_in_admin
from tests.support.team import new_team
from tests.support.user_management import accept, invited

pytestmark = pytest.mark.one_store


def value(app: App, name: str, **labels: str) -> float:
    found = app.sample(name, **labels)
    assert found is not None, (name, labels)  # it exists from the start
    return found


def replays(app: App, what: str) -> float:
    return value(app, "manifest_replays_total", what=what)


async def test_replaced_refresh_tokens_are_counted_as_replays(app: App) -> None:
    before = replays(app, "refresh_token"), value(app, "manifest_refreshes_total", result="reused")
    first = (await app.sign_in(client="acme")).data["refreshToken"]
    second = (await app.refresh(first)).data["refreshToken"]
    await app.refresh(second)
    app.clock.advance(11)
    assert (await app.refresh(first)).code == "INVALID_TOKEN"
    assert (await app.refresh(second)).code == "INVALID_TOKEN"  # the session has ended, so this isn't a replay
    assert replays(app, "refresh_token") == before[0] + 1
    assert value(app, "manifest_refreshes_total", result="reused") == before[1] + 1


async def test_a_system_admins_tokens_and_codes_are_counted_as_replays(app: App) -> None:
    kinds = ("admin_refresh_token", "totp", "recovery_code")
    app.clock.advance(86_400)
    me = await another(await signed_in_admin(app))
    before = [replays(app, kind) for kind in kinds]
    phone = await enrolled(me)
    app.clock.advance(30)
    code, results = phone.code(), [("second_factor", 1), ("failed", 3), ("ok", 2)]
    counted = [sign_ins(app, "admin", result) for result, _ in results]
    shown = (None, code, code, phone.wrong(), phone.recovery_codes[0], phone.recovery_codes[0])
    statuses = [(await sign_in(app, me.username, otp=otp)).status for otp in shown]
    assert statuses == [401, 200, 401, 401, 200, 401]
    assert [sign_ins(app, "admin", result) for result, _ in results] == [
        had + more for had, (_, more) in zip(counted, results, strict=True)
    ]
    app.clock.advance(30)
    token = (await sign_in(app, me.username, otp=phone.code())).data["refreshToken"]
    path = "/api/admin/auth/refresh"
    newer = (await app.post(path, {"refreshToken": token})).data["refreshToken"]
    await app.post(path, {"refreshToken": newer})
    app.clock.advance(11)
    assert (await app.post(path, {"refreshToken": token})).status == 401
    assert [replays(app, kind) for kind in kinds] == [had + 1 for had in before]


async def test_a_link_that_was_used_is_counted_wherever_it_is_shown(app: App) -> None:
    _, token = await invited(await new_team(app))
    before = replays(app, "one_time_link")
    assert (await accept(app, "made-up-token")).status == 401
    assert replays(app, "one_time_link") == before
    failed = sign_ins(app, "link", "failed")
    assert [(await accept(app, token)).status for _ in range(2)] == [200, 401]
    assert (await app.post("/api/client/auth/link", {"token": token})).status == 401
    assert replays(app, "one_time_link") == before + 2
    assert sign_ins(app, "link", "failed") == failed + 1  # opening a link isn't an attempt


async def test_throttles_are_counted_by_entry_point_and_counter(tmp_path: Path) -> None:
    async with running(f"sqlite:///{tmp_path / 'm.db'}", MANIFEST_TRUSTED_PROXIES="192.0.2.1") as app:

        async def attempts(times: int, email: str, address: str) -> None:
            for number in range(times):
                headers = {"X-Forwarded-For": address.format(number)}
                await app.sign_in(email.format(number), "wrong-password", "acme", headers=headers)

        def counts() -> list[float]:
            limits = ("origin", "account", "address")
            return [value(app, "manifest_throttled_total", door="client", limit=limit) for limit in limits]

        await attempts(ORIGIN.free + 1, "one@acme.example", "198.51.100.1")
        assert counts() == [1, 0, 0]
        await attempts(ACCOUNT.free + 1, "two@acme.example", "198.51.101.{}")
        assert counts() == [1, 1, 0]
        await attempts(ADDRESS.free + 1, "n{}@acme.example", "198.51.102.1")
        assert counts() == [1, 1, 1]
        assert sign_ins(app, "password", "throttled") == 3
        for _ in range(ORIGIN.free + 1):
            await app.post("/api/client/auth/password/forgot", {"email": "one@acme.example", "client": "acme"})
        assert value(app, "manifest_throttled_total", door="forgot", limit="origin") == 1
        assert sign_ins(app, "password", "throttled") == 3  # this isn't a sign-in


async def test_a_full_hash_queue_is_counted(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    before = value(app, "manifest_hash_refused_total"), sign_ins(app, "password", "busy")
    assert value(app, "manifest_hash_limit") == most_hashes(app)
    hash_queue_is_full(monkeypatch)
    assert (await app.sign_in(client="acme")).code == "OVERLOADED"
    assert value(app, "manifest_hash_refused_total") == before[0] + 1
    assert sign_ins(app, "password", "busy") == before[1] + 1
    assert value(app, "manifest_hash_waiting") == 0
