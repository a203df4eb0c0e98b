"""State of the installation for its system admins: what is known without the long checks of ``doctor``."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from manifest_auth.accounts import mail_queue
from manifest_auth.accounts.admins import second_factor
from manifest_auth.licence import Overview
from manifest_auth.operations import counts, last_backup
from manifest_auth.operations.counts import CountsData
from manifest_auth.services import RequestContext, Services
from manifest_auth.store import SystemUnit

if TYPE_CHECKING:
    from manifest_auth.operations.doctor import Finding


class InstallationStanding(NamedTuple):
    """``findings``: notes and what is bad, of the quick checks; ``backup_at``: milliseconds, None for none;
    ``has_factor``: the caller has a second factor; ``mails_waiting``: that the mail server did not accept at first."""

    findings: tuple[Finding, ...]
    licence: Overview
    backup_at: int | None
    counts: CountsData
    has_factor: bool
    mails_waiting: int


async def read(ctx: RequestContext) -> InstallationStanding:
    """The state of the installation, for the system admin who calls."""
    services, me = ctx.services, ctx.admin.admin_id

    def work(unit: SystemUnit) -> tuple[CountsData, bool, int]:
        return counts.read(unit, ctx.now), second_factor.is_enrolled(unit, me), mail_queue.not_accepted(unit)

    counted, has_factor, waiting = await services.store.read(work)
    return InstallationStanding(
        findings=await _quick_findings(services),
        licence=await services.licence.overview(),
        backup_at=await last_backup.read_time(services.store),
        counts=counted,
        has_factor=has_factor,
        mails_waiting=waiting,
    )


async def _quick_findings(services: Services) -> tuple[Finding, ...]:
    """Those of ``doctor`` that cost little. Its modules are loaded with the first use: no start waits for them."""
    await asyncio.to_thread(import_module, "manifest_auth.operations.doctor")
    from manifest_auth.operations.doctor import Finding, claims, clock, storage

    settings, store, now = services.settings, services.store, services.clock.now_ms()
    found = [
        clock.plausible(now),
        *await clock.compared(store, now),
        *await asyncio.to_thread(storage.storage_findings, settings),
        *await claims.claim_findings(settings, store),
    ]
    if settings.rate_limits == "off":
        found.append(("bad", "throttle: MANIFEST_RATE_LIMITS is off; unset it"))
    return tuple(Finding(*one) for one in found if one[0] != "ok")
