"""Background jobs of a process.

They refresh keys, watch the license and the expiry of machines' secrets, update metrics, and delete expired rows and
files.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from sqlalchemy import Column, bindparam, delete, select, tuple_, update

from manifest_auth import audit
from manifest_auth.accounts import mail_queue
from manifest_auth.accounts.shared_devices import UNUSED_MS
from manifest_auth.clients import notices
from manifest_auth.clients.client_lifecycle import sweep_clients
from manifest_auth.maintenance import files_place, last_backup, licence_watch
from manifest_auth.maintenance.disks import disks
from manifest_auth.runtime.files import drop_older, upload_folder
from manifest_auth.runtime.metrics import Swept
from manifest_auth.services import Services
from manifest_auth.store import StoreUnavailable, SystemUnit, cell, cross_tenant, global_, row_list, rows, tables
from manifest_auth.throttle import throttle
from manifest_auth.work import files

# Deletes expired rows of all clients, from all tables that have them. Works in small steps, each a unit of work that
# deletes the oldest rows. A long step makes the next ones smaller, and each is followed by a pause of the same length.
# Tables take turns, so that a flood in one doesn't delay the others. A round ends when nothing is left, or after some
# seconds. Several processes can sweep at the same time: on PostgreSQL, each skips rows that another transaction has
# locked.


ROUND_S = 5.0
FIRST, MOST = 100, 1000  # rows per step
_LONG_S, _SHORT_S = 0.05, 0.01  # a step that took longer is halved, and a shorter one doubled
_PAUSE_S = 0.002  # at least
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_WHY = "expired rows of all tenants are deleted"


class Expiring:
    """A table whose rows are deleted ``kept_ms`` after the time in ``column``, which has an index. ``part`` is the
    column to clear instead of deleting the row."""

    def __init__(self, what: Swept, column: Column[Any], kept_ms: int = 0, part: Column[Any] | None = None) -> None:
        self.what, self.kept_ms, self.part = what, kept_ms, part
        table = column.table
        key = list(table.primary_key.columns)
        old = select(*key).where(column < bindparam("before")).order_by(column).limit(bindparam("limit"))
        if part is not None:
            old = old.where(part.is_not(None))
        listed = row_list("keys")
        selected = select(*(cell(listed, place, part) for place, part in enumerate(key))).select_from(listed)
        change = delete(table) if part is None else update(table).values({part: None})
        drop = change.where(tuple_(*key).in_(selected))
        # A locked row is in use, and might be renewed soon.
        self.find, self.drop = (
            self._statement(table, old.with_for_update(skip_locked=True)),
            self._statement(table, drop),
        )

    def step(self, unit: SystemUnit, now: int, limit: int) -> int:
        """Deletes at most ``limit`` of the oldest rows. Returns how many it deleted."""
        found = unit.all(self.find, before=now - self.kept_ms, limit=limit)
        return unit.change(self.drop, keys=rows(found)) if found else 0

    @staticmethod
    def _statement(table: Any, source: Any) -> Any:
        return cross_tenant(source, because=_WHY) if table in tables.TENANT_OWNED else global_(source)


EXPIRING = (
    Expiring("flows", tables.sign_in_flows.c.expires_at),
    Expiring("directory_flows", tables.directory_proofs.c.expires_at),
    Expiring("codes", tables.sign_in_codes.c.expires_at, _HOUR_MS),
    Expiring("assertions", tables.seen_assertions.c.expires_at),
    Expiring("challenges", tables.sign_in_challenges.c.expires_at),
    Expiring("passkey_challenges", tables.used_passkey_challenges.c.expires_at),
    Expiring("used_assertions", tables.used_assertions.c.expires_at),
    Expiring("trusted_browsers", tables.trusted_browsers.c.ends_at),
    Expiring("refused_tokens", tables.refused_tokens.c.expires_at),
    Expiring("device_grants", tables.device_grants.c.expires_at, _HOUR_MS),
    Expiring("pairings", tables.pairings.c.expires_at, _HOUR_MS),
    Expiring("forms", tables.submitted_forms.c.made_at, _HOUR_MS, tables.submitted_forms.c.kept),
    Expiring("forms", tables.submitted_forms.c.made_at, _DAY_MS),
    Expiring("throttles", tables.throttles.c.updated_at, throttle.KEPT_MS),
    Expiring("sessions", tables.sessions.c.ends_at, 30 * _DAY_MS),
    Expiring("admin_sessions", tables.admin_sessions.c.ends_at, 30 * _DAY_MS),
    Expiring("invitations", tables.invitations.c.expires_at, 30 * _DAY_MS),
    Expiring("email_changes", tables.email_changes.c.expires_at, 30 * _DAY_MS),
    Expiring("service_secrets", tables.service_secrets.c.ends_at, 30 * _DAY_MS),
    Expiring("app_secrets", tables.app_secrets.c.ends_at, 30 * _DAY_MS),
    Expiring("badges", tables.badges.c.ends_at, 30 * _DAY_MS),
    Expiring("enrolments", tables.device_enrolments.c.expires_at, _HOUR_MS),
    Expiring("enrolled_devices", tables.enrolled_devices.c.removed_at, _HOUR_MS),
    Expiring("enrolled_devices", tables.enrolled_devices.c.seen_at, UNUSED_MS + _HOUR_MS),
    Expiring("origins", tables.known_origins.c.seen_at, 400 * _DAY_MS),
)


async def sweep_expired(services: Services) -> bool:
    """Runs one round. Returns True when nothing is left, and False if its time ended earlier. Raises
    StoreUnavailable."""
    services.metrics.swept("announcements", await services.store.sweep_announcements())
    now, until = await services.store.now_ms(services.clock), time.monotonic() + ROUND_S
    left, size = list(EXPIRING), FIRST
    while left:
        for table in list(left):
            began = time.monotonic()
            gone = await services.store.write(lambda unit: table.step(unit, now, size))  # noqa: B023 - awaited
            services.metrics.swept(table.what, gone)
            if gone < size:
                left.remove(table)
            if (ended := time.monotonic()) > until:
                return not left
            took = ended - began
            await asyncio.sleep(max(took, _PAUSE_S))
            if took > _LONG_S:
                size = max(1, size // 2)
            elif took < _SHORT_S and gone == size:
                size = min(MOST, size * 2)
    return True


EVERY_S = 20.0
GO_ON_S = 5.0  # if more rows had expired than one round could delete
SWEEP_EVERY = 15  # rounds
UNUSED_FILE_MS = 86_400_000
AUDIT_ROUND_S = 5.0


async def sweep_files(services: Services) -> None:
    """Deletes files that were uploaded a day ago but not recorded in a job, and uploads that were interrupted when
    their process ended. Deletes the row first, so that no row remains without its bytes."""
    now = await services.store.now_ms(services.clock)
    while abandoned := await services.store.read(lambda unit: files.abandoned(unit, now)):
        for tenant_id, key in abandoned:
            if await services.store.of(tenant_id).write(lambda unit: files.release(unit, key)):  # noqa: B023 - awaited
                await services.files.drop(key)
                services.metrics.swept("uploads", 1)
    before = now - UNUSED_FILE_MS
    while found := await services.store.read(lambda unit: files.unused(unit, before)):
        for file_id, tenant_id, key in found:
            if await services.store.of(tenant_id).write(lambda unit: files.drop_unused(unit, file_id)):  # noqa: B023 - awaited
                await services.files.drop(key)
                services.metrics.swept("files", 1)


async def sweep_partial_uploads(services: Services) -> None:
    """Deletes partial uploads of processes that were killed at least a day ago."""
    before = (services.clock.now_ms() - UNUSED_FILE_MS) / 1000
    await asyncio.to_thread(drop_older, upload_folder(services.settings), before)
    await services.files.tidy(before)


async def sweep_audit(services: Services) -> bool:
    """Deletes audit events that are older than the setting allows, if it is set. Returns False if some are left."""
    if not (days := services.settings.audit_days):
        return True
    now = await services.store.now_ms(services.clock)
    removed, is_complete = await audit.sweep(services.store, now - days * 86_400_000, now, AUDIT_ROUND_S)
    services.metrics.swept("audit_events", removed)
    return is_complete


async def update_backup_metric(services: Services) -> None:
    """Updates the metric for the time of the last backup."""
    services.metrics.backed_up(await last_backup.read_time(services.store) or 0)


async def update_disk_metric(services: Services) -> None:
    """Updates the metric for free disk space. Omits disks that can't be read."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: there is none
        found = await asyncio.to_thread(disks, services.settings)
        services.metrics.disk(min(free for _, _, free in found) * 2**20)


async def sample_load(services: Services) -> None:
    """Stores a sample of this process's activity, for the charts of system admins."""
    waiting = await services.store.read(mail_queue.not_accepted)
    services.metrics.sample(services.clock.now_ms(), waiting)


async def run(services: Services) -> None:
    """Runs all jobs until canceled. If the store fails, the next round tries again. The first round also reads the
    license and the last backup, for the metrics."""
    turn, is_audit_swept = 0, True
    while True:
        is_clean = True
        try:
            services.sealer.reload()
            await licence_watch.watch(services)
            await update_backup_metric(services)
            await update_disk_metric(services)
            await sample_load(services)
            if turn == 1:
                await files_place.keep(services.store, services.files, services.log)
            if turn:
                await services.keys.refresh()
                is_clean = await sweep_expired(services)
                await sweep_clients(services)
                await notices.watch_secret_ends(services)
            if turn and turn % SWEEP_EVERY == 0:
                await sweep_files(services)
                await sweep_partial_uploads(services)
            if turn and (turn % SWEEP_EVERY == 0 or not is_audit_swept):
                is_audit_swept = await sweep_audit(services)
                is_clean = is_clean and is_audit_swept
            services.jobs_failed_at = 0
        except StoreUnavailable as error:
            services.jobs_failed_at = services.clock.now_ms()
            services.log.info("sweeping_failed", error=str(error))
        except Exception:
            services.jobs_failed_at = services.clock.now_ms()
            services.log.exception("sweeping_failed")
        await asyncio.sleep(EVERY_S if is_clean else GO_ON_S)
        turn += 1
