"""Background chores of a process: look for new keys, note the time for the licence, drop rows nobody needs. Bounded."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import bindparam, delete, select

from manifest_auth import last_backup, licence, trail
from manifest_auth.context import House
from manifest_auth.files import arriving, drop_older
from manifest_auth.metrics import Swept
from manifest_auth.operations.deleting import sweep_clients
from manifest_auth.sign_in import throttle
from manifest_auth.store import StoreUnavailable, SystemUnit, crossing, unowned
from manifest_auth.store.tables import (
    admin_sessions,
    invitations,
    known_origins,
    refused_tokens,
    seen_assertions,
    sessions,
    sign_in_codes,
    sign_in_flows,
)
from manifest_auth.work import files

EVERY_S = 20.0
SWEEP_EVERY = 15  # rounds
KEEP_MS = 30 * 86_400_000
BATCH = 1000
UNUSED_MS = 86_400_000
_WHY = "rows past their time are dropped whatever tenant they belong to"


def _expired(table: Any, column: Any, key: Any) -> Any:
    old = select(key).where(column < bindparam("before")).limit(BATCH)
    statement = delete(table).where(key.in_(old))
    return unowned(statement) if table is admin_sessions else crossing(statement, because=_WHY)


_SESSIONS = _expired(sessions, sessions.c.ends_at, sessions.c.id)
_ADMIN_SESSIONS = _expired(admin_sessions, admin_sessions.c.ends_at, admin_sessions.c.id)
_ORIGINS = crossing(delete(known_origins).where(known_origins.c.seen_at < bindparam("before")), because=_WHY)

_INVITATIONS = _expired(invitations, invitations.c.expires_at, invitations.c.id)
#: What single sign-on leaves behind, by the thousand in a busy hour: swept in every round until nothing is left.
_FLEETING: dict[Swept, Any] = {
    "flows": _expired(sign_in_flows, sign_in_flows.c.expires_at, sign_in_flows.c.key),
    "codes": _expired(sign_in_codes, sign_in_codes.c.expires_at, sign_in_codes.c.key),
    "assertions": _expired(seen_assertions, seen_assertions.c.expires_at, seen_assertions.c.key),
    "refused_tokens": _expired(refused_tokens, refused_tokens.c.expires_at, refused_tokens.c.key),
}


def sweep(unit: SystemUnit, now: int) -> dict[Swept, int]:
    """Drops sessions that ended 30 days ago, origins not seen for a year, counters of the throttle. Counts them."""
    return {
        "sessions": unit.change(_SESSIONS, before=now - KEEP_MS),
        "admin_sessions": unit.change(_ADMIN_SESSIONS, before=now - KEEP_MS),
        "invitations": unit.change(_INVITATIONS, before=now - KEEP_MS),
        "origins": unit.change(_ORIGINS, before=now - 400 * 86_400_000),
        "throttles": throttle.sweep(unit, now),
    }


async def sweep_fleeting(house: House) -> None:
    """Drops flows, one-time codes and ids of assertions whose time is over, in small units of work."""
    for what, statement in _FLEETING.items():
        gone = BATCH
        while gone == BATCH:
            gone = await house.store.write(lambda unit: unit.change(statement, before=house.clock.now_ms()))  # noqa: B023
            house.metrics.swept(what, gone)
            await asyncio.sleep(0)


async def sweep_files(house: House) -> None:
    """Drops files that were uploaded a day ago and recorded nowhere: the row first, so that no row is left without its
    bytes."""
    before = house.clock.now_ms() - UNUSED_MS
    while found := await house.store.read(lambda unit: files.unused(unit, before)):
        for file in found:
            if await house.store.of(file.tenant_id).write(lambda unit: files.drop_unused(unit, file.id)):  # noqa: B023
                await house.files.drop(file.key)
                house.metrics.swept("files", 1)


async def sweep_halves(house: House) -> None:
    """Drops what a process left of uploads that were under way when it was killed, a day ago or more."""
    before = (house.clock.now_ms() - UNUSED_MS) / 1000
    await asyncio.to_thread(drop_older, arriving(house.settings), before)
    await house.files.tidy(before)


async def sweep_trail(house: House) -> None:
    """Drops audit events that are kept no longer, where a setting says how long."""
    if days := house.settings.audit_days:
        now = house.clock.now_ms()
        house.metrics.swept("audit_events", await trail.sweep(house.store, now - days * 86_400_000, now))


async def watch_backups(house: House) -> None:
    """Tells the metrics of which moment the last backup is."""
    noted = await house.store.look_up(last_backup.FIND)
    house.metrics.backed_up(noted.at if noted is not None else 0)


async def run(house: House) -> None:
    """Until cancelled. A store that cannot be reached is tried again in the next round. Licence and last
    backup are looked at in the first moment, too, so that the metrics know of them."""
    turn = 0
    while True:
        try:
            await licence.watch(house)
            await watch_backups(house)
            if turn:
                await house.keys.refresh()
                await sweep_fleeting(house)
                await sweep_clients(house)
            if turn and turn % SWEEP_EVERY == 0:
                now = house.clock.now_ms()
                for what, rows in (await house.store.write(lambda unit: sweep(unit, now))).items():  # noqa: B023
                    house.metrics.swept(what, rows)
                await sweep_files(house)
                await sweep_halves(house)
                await sweep_trail(house)
        except StoreUnavailable as error:
            house.log.warning("sweeping_failed", error=str(error))
        except Exception:
            house.log.exception("sweeping_failed")
        await asyncio.sleep(EVERY_S)
        turn += 1
