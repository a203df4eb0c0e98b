"""Background jobs of a process.

They refresh keys, watch the licence and the ends of machines' secrets, update metrics, and delete expired rows and
files.
"""

from __future__ import annotations

import asyncio

from manifest_auth import audit
from manifest_auth.clients import secret_expiry
from manifest_auth.clients.client_lifecycle import sweep_clients
from manifest_auth.maintenance import files_place, last_backup, licence_watch
from manifest_auth.maintenance.sweep_expired import sweep_expired
from manifest_auth.runtime.files import drop_older, upload_folder
from manifest_auth.services import Services
from manifest_auth.store import StoreUnavailable
from manifest_auth.work import files

EVERY_S = 20.0
GO_ON_S = 5.0  # where more rows had expired than one round could delete
SWEEP_EVERY = 15  # rounds
UNUSED_MS = 86_400_000
AUDIT_ROUND_S = 5.0


async def sweep_files(services: Services) -> None:
    """Deletes files that were uploaded a day ago and not recorded in a job, and uploads that were broken off by the end
    of their process: the row first, so that no row is left without its bytes."""
    now = await services.store.now_ms(services.clock)
    while abandoned := await services.store.read(lambda unit: files.abandoned(unit, now)):
        for upload in abandoned:
            if await services.store.of(upload.tenant_id).write(lambda unit: files.release(unit, upload.key)):  # noqa: B023 - at once
                await services.files.drop(upload.key)
                services.metrics.swept("uploads", 1)
    before = now - UNUSED_MS
    while found := await services.store.read(lambda unit: files.unused(unit, before)):
        for file in found:
            if await services.store.of(file.tenant_id).write(lambda unit: files.drop_unused(unit, file.id)):  # noqa: B023 - at once
                await services.files.drop(file.key)
                services.metrics.swept("files", 1)


async def sweep_partial_uploads(services: Services) -> None:
    """Deletes partial uploads of processes that were killed a day ago or more."""
    before = (services.clock.now_ms() - UNUSED_MS) / 1000
    await asyncio.to_thread(drop_older, upload_folder(services.settings), before)
    await services.files.tidy(before)


async def sweep_audit(services: Services) -> bool:
    """Deletes audit events that are older than the setting allows, where it is set. False: some are left."""
    if not (days := services.settings.audit_days):
        return True
    now = await services.store.now_ms(services.clock)
    removed, is_complete = await audit.sweep(services.store, now - days * 86_400_000, now, AUDIT_ROUND_S)
    services.metrics.swept("audit_events", removed)
    return is_complete


async def update_backup_metric(services: Services) -> None:
    """Updates the metric of the last backup's time."""
    services.metrics.backed_up(await last_backup.read_time(services.store) or 0)


async def run(services: Services) -> None:
    """Runs all jobs until cancelled. After a store failure, the next round tries again. Licence and last backup are
    read in the first round too, for the metrics."""
    turn, is_audit_swept = 0, True
    while True:
        is_clean = True
        try:
            services.sealer.reload()
            await licence_watch.watch(services)
            await update_backup_metric(services)
            if turn == 1:
                await files_place.keep(services.store, services.files, services.log)
            if turn:
                await services.keys.refresh()
                is_clean = await sweep_expired(services)
                await sweep_clients(services)
                await secret_expiry.watch(services)
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
