"""Checks every enabled provider about once a day, so that the console can show the result and its time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, and_, bindparam, func, or_, select

from manifest_auth import providers, tenants
from manifest_auth.clients.providers.diagnosis import diagnose
from manifest_auth.context import SYSTEM
from manifest_auth.errors import NotFound
from manifest_auth.protocols.oidc import Finding
from manifest_auth.providers import Provider
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.runtime.settings import DAY
from manifest_auth.services import RequestContext, Services
from manifest_auth.store import StoreUnavailable, TenantUnit, cross_tenant, tenant_scoped, upsert
from manifest_auth.store.tables import provider_checks
from manifest_auth.store.tables import providers as providers_table
from manifest_auth.text.languages import kept, restored
from manifest_auth.text.languages import marked as _

DAY_MS: Final = DAY * 1000
EVERY_S: Final = 300.0
_MOST, _AT_ONCE = 20, 4
_P, _C = providers_table.c, provider_checks.c
_NOW = bindparam("now", type_=BigInteger())
_NOT_ENDED: Final = _("The check didn't finish")
_RESULT = {"checked_at": _NOW, "level": bindparam("level"), "problem": bindparam("problem")}


class ProviderCheck(NamedTuple):
    """A check. ``checked_at`` is in milliseconds. ``level`` is ``ok``, ``bad``, or, if it couldn't be determined,
    ``unknown``. ``problem`` is the finding, empty for ``ok``."""

    provider_id: int
    checked_at: int
    level: str
    problem: str


_ALL = tenant_scoped(select(_C.provider_id, _C.checked_at, _C.level, _C.problem), ProviderCheck)
_DUE = cross_tenant(
    select(_P.tenant_id, _P.id)
    .outerjoin(provider_checks, and_(_C.tenant_id == _P.tenant_id, _C.provider_id == _P.id))
    .where(
        _P.disabled_at.is_(None),
        or_(_C.checked_at.is_(None), _C.checked_at < bindparam("before"), _C.checked_at < _P.changed_at),
    )
    .order_by(func.coalesce(_C.checked_at, 0), _P.tenant_id, _P.id)
    .limit(_MOST),
    because="one job checks the providers of all clients once a day",
)
_PROBLEMS = cross_tenant(
    select(func.count())
    .select_from(provider_checks)
    .join(providers_table, and_(_C.tenant_id == _P.tenant_id, _C.provider_id == _P.id))
    .where(_P.disabled_at.is_(None), _C.level == "bad", _C.checked_at >= _P.changed_at),
    int,
    because="the metric counts the problems of all clients",
)
_TAKE = tenant_scoped(
    upsert(provider_checks)
    .values(provider_id=bindparam("provider_id"), checked_at=_NOW, level="unknown", problem=str(_NOT_ENDED))
    .on_conflict_do_update(
        index_elements=["tenant_id", "provider_id"],
        set_={"checked_at": _NOW, "level": "unknown", "problem": str(_NOT_ENDED)},
        where=_C.checked_at < bindparam("before", type_=BigInteger()),
    )
)
_FOUND = tenant_scoped(
    upsert(provider_checks)
    .values(**_RESULT, provider_id=bindparam("provider_id"))
    .on_conflict_do_update(index_elements=["tenant_id", "provider_id"], set_=_RESULT)
)


def read(unit: TenantUnit) -> dict[int, ProviderCheck]:
    """Returns the last check of each provider of the client, by the provider's ID."""
    return {one.provider_id: one._replace(problem=restored(one.problem)) for one in unit.all(_ALL)}


async def run(services: Services) -> None:
    """Checks due providers until canceled. If the store fails, the next round tries again."""
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            await check_due(services)
            await update_metric(services)
        except StoreUnavailable as error:
            services.log.info("provider_checks_failed", error=str(error))
        except Exception:
            services.log.exception("provider_checks_failed")


async def update_metric(services: Services) -> None:
    """Updates the metric of problems found by the last checks. Raises StoreUnavailable."""
    services.metrics.provider_problems(await services.store.read(lambda unit: unit.one(_PROBLEMS)))


async def check_due(services: Services) -> int:
    """Checks due providers of all clients. Returns how many. Raises StoreUnavailable."""
    before = await services.store.now_ms(services.clock) - DAY_MS
    due = await services.store.read(lambda unit: unit.all(_DUE, before=before))
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(tenant_id: int, provider_id: int) -> bool:
        async with places:
            return await _check(services, tenant_id, provider_id, before)

    return sum(await asyncio.gather(*(one(*key) for key in due)))


async def _check(services: Services, tenant_id: int, provider_id: int, before: int) -> bool:
    """Checks one provider. Returns False if another process does it, or the provider no longer exists."""
    own, now = services.store.of(tenant_id), services.clock.now_ms()
    with contextlib.suppress(NotFound):
        client, provider = await own.read(
            lambda unit: (tenants.get(unit, tenant_id), providers.get_by_id(unit, provider_id))
        )
        since = max(before, provider.changed_at)
        if not await own.write(lambda unit: unit.change(_TAKE, provider_id=provider_id, now=now, before=since)):
            return False
        ctx = RequestContext(services, "provider-check", "", "", SYSTEM)
        level, problem = await _look(ctx, client.identifier, provider)
        done = services.clock.now_ms()
        await own.write(lambda unit: store(unit, provider_id, done, level, problem))
        return True
    return False


def worst(findings: Iterable[Finding]) -> tuple[str, str]:
    """Returns the level and the text of the worst finding; ``ok`` has no text."""
    texts: dict[str, str] = {}
    for one in findings:
        texts.setdefault(one.level, one.text)
    level = next((level for level in ("bad", "unknown") if level in texts), "ok")
    return level, texts.get(level, "") if level != "ok" else ""


def store(unit: TenantUnit, provider_id: int, now: int, level: str, problem: str) -> None:
    """Stores the result of a check."""
    unit.change(_FOUND, provider_id=provider_id, now=now, level=level, problem=kept(problem))


async def _look(ctx: RequestContext, client: str, provider: Provider) -> tuple[str, str]:
    try:
        found = diagnose(ctx, client, provider, by_admin=bool(provider.reaches_admins), is_quiet=True)
        return worst([one async for one in found])
    except CannotOpen:
        return "bad", _("No secret key can decrypt its secrets")
    except Exception:
        ctx.services.log.exception("provider_check_failed")
        return "unknown", _NOT_ENDED
