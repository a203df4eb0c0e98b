"""A system admin limits the admin API to some networks, and can't lock themselves out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.application import App, Reply, running
from tests.support.background_jobs import soon
from tests.support.commands import CommandRefused, in_this_process
from tests.support.envelope import check_refusal, check_success, same_but_request_id
from tests.support.secret_keys import SECRET_KEY
from tests.support.statements import look_ups
from tests.support.system_admins import events, sign_in, store_networks

pytestmark = pytest.mark.one_store

SETTINGS = "/api/admin/settings"
HOME, NEAR, FAR = "203.0.113.9", "203.0.113.200", "198.51.100.7"
BEHIND = {"MANIFEST_TRUSTED_PROXIES": "192.0.2.1", "MANIFEST_ADMIN_ADDRESSES": "203.0.113.0/24"}


@pytest.fixture
async def fenced(database_url: str) -> AsyncIterator[App]:
    async with running(database_url, **BEHIND) as app:
        yield app
        await store_networks(app, "")


async def _settle(app: App, networks: Any, address: str = HOME) -> Reply:
    token = check_success(await sign_in(app, "root", headers={"X-Forwarded-For": address}))["token"]
    body = {"adminAddresses": networks}
    return await app.send("PATCH", SETTINGS, body, token=token, headers={"X-Forwarded-For": address})


async def _status(app: App, address: str) -> int:
    """The status of a request; 401 means that the route exists for this caller."""
    return (await app.get(SETTINGS, headers={"X-Forwarded-For": address})).status


async def test_the_admin_api_exists_only_for_the_set_networks(fenced: App) -> None:
    done = check_success(await _settle(fenced, " 203.0.113.15/29,::ffff:203.0.113.77 "))
    assert done["adminAddresses"] == "203.0.113.8/29, 203.0.113.77/32"
    assert done["environmentAdminAddresses"] == "203.0.113.0/24"
    event, actor, _, detail = (await events(fenced))[-1]
    assert (event, actor[:6]) == ("installation_changed", "admin:")
    assert detail == {"adminAddresses": {"before": "", "after": "203.0.113.8/29, 203.0.113.77/32"}}
    assert [await _status(fenced, a) for a in (HOME, "203.0.113.77", NEAR, FAR, "no address")] == [401, 401, *[404] * 3]
    outside = {"X-Forwarded-For": NEAR}
    same_but_request_id(await fenced.get(SETTINGS, headers=outside), await fenced.get("/api/nothing", headers=outside))
    assert check_success(await _settle(fenced, ""))["adminAddresses"] == ""
    await _becomes(fenced, {HOME: 401, NEAR: 401, FAR: 404})


async def test_nobody_can_lock_themselves_out_or_extend_the_environments_networks(fenced: App) -> None:
    refused = check_refusal(await _settle(fenced, "203.0.113.10"), 409, "CONFLICT")
    assert HOME in refused["message"]
    for wrong in ("10.0.0.0/33", " , ", "example.com", "::ffff:0:0/90", None, 7, ["10.0.0.0/8"], "1.1.1.1," * 300):
        check_refusal(await _settle(fenced, wrong), 400, "VALIDATION_ERROR")
    assert [await _status(fenced, a) for a in (HOME, NEAR)] == [401, 401]
    check_success(await _settle(fenced, "0.0.0.0/0"))
    assert [await _status(fenced, a) for a in (HOME, FAR)] == [401, 404]


async def _becomes(app: App, expected: dict[str, int]) -> None:
    """Wait until a node notices a change by another process, within a moment."""

    async def found() -> dict[str, int]:
        return {address: await _status(app, address) for address in expected}

    await soon(found, expected)


async def test_another_node_follows(fenced: App, database_url: str) -> None:
    async with running(database_url, **BEHIND) as other:
        other.clock.ms = fenced.clock.ms
        assert await _status(other, NEAR) == 401
        check_success(await _settle(fenced, HOME))
        await _becomes(other, {NEAR: 404})


async def test_the_setting_is_cached(fenced: App, monkeypatch: pytest.MonkeyPatch) -> None:
    check_success(await _settle(fenced, HOME))
    await _status(fenced, NEAR)
    asked = look_ups(monkeypatch, fenced)
    for _ in range(200):  # a node that missed notifications for a moment reads again, and caches again
        asked.clear()
        assert [await _status(fenced, a) for a in (HOME, NEAR) * 3] == [401, 404] * 3
        if not asked:
            break
        await asyncio.sleep(0.05)
    assert asked == []


async def test_an_invalid_stored_value_allows_nobody(fenced: App) -> None:
    await store_networks(fenced, "everywhere")
    assert [await _status(fenced, a) for a in (HOME, NEAR)] == [404, 404]


async def test_a_command_restores_access(
    fenced: App, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = {"DATABASE_URL": database_url, "SECRET_KEY": SECRET_KEY, "DATA_DIR": str(tmp_path), "LOG_LEVEL": "error"}
    for name, value in (*mine.items(), ("TRUSTED_PROXIES", "192.0.2.1"), ("ADMIN_ADDRESSES", "203.0.113.0/24")):
        monkeypatch.setenv(f"MANIFEST_{name}", value)

    async def command(*words: str) -> str:
        await in_this_process("admin", "addresses", *words)
        return capsys.readouterr().out.splitlines()[0]

    check_success(await _settle(fenced, HOME))
    assert await command() == f"Set by system admins: {HOME}/32."
    assert await command(NEAR) == f"Set by system admins: {NEAR}/32."
    await _becomes(fenced, {HOME: 404, NEAR: 401})
    assert (await events(fenced))[-1][3]["adminAddresses"] == {"before": f"{HOME}/32", "after": f"{NEAR}/32"}
    for wrong in ("10.0.0.0/33", " , ", "", "proxy.example"):
        with pytest.raises(CommandRefused, match="networks"):
            await command(wrong)
    assert await command("--anywhere") == "Set by system admins: anywhere."
    await _becomes(fenced, {HOME: 401, NEAR: 401, FAR: 404})
