"""Watches the ends of API keys and client secrets: e-mails to Admins 14 and 3 days before, an event at the end.

Every process looks, one acts: each step is one conditional update.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import BigInteger, and_, bindparam, or_, select

from manifest_auth import audit
from manifest_auth.accounts import service_accounts
from manifest_auth.accounts.service_accounts import ENDED, Secret
from manifest_auth.audit import Event, Origin
from manifest_auth.clients.notices import to_admins
from manifest_auth.runtime import mail
from manifest_auth.services import Services
from manifest_auth.store import TenantUnit, cross_tenant
from manifest_auth.store.tables import service_secrets
from manifest_auth.text.canonical import when
from manifest_auth.text.machine_secrets import SecretKind

_MOST: Final = 200  # in a round
_DAY_MS = 86_400_000


class _Key(NamedTuple):
    tenant_id: int
    id: str


_S = service_secrets.c
_FIRST, _LAST = service_accounts.NOTICE_DAYS
_DUE = cross_tenant(
    select(_S.tenant_id, _S.id)
    .where(
        _S.ended_at.is_(None),
        _S.ends_at <= bindparam("first", type_=BigInteger()),
        or_(
            _S.notices == 0,
            and_(_S.notices == 1, _S.ends_at <= bindparam("last", type_=BigInteger())),
            and_(_S.notices < ENDED, _S.ends_at <= bindparam("now", type_=BigInteger())),
        ),
    )
    .order_by(_S.ends_at)
    .limit(_MOST),
    _Key,
    because="the ends of all clients' secrets are watched by one job",
)


async def watch(services: Services) -> int:
    """One round; how many secrets were due."""
    now = services.clock.now_ms()
    due = await services.store.read(
        lambda unit: unit.all(_DUE, now=now, first=now + _FIRST * _DAY_MS, last=now + _LAST * _DAY_MS)
    )
    for key in due:
        await services.store.of(key.tenant_id).write(lambda unit: _step(unit, services, key.id, now))  # noqa: B023 - at once
    return len(due)


def _step(unit: TenantUnit, services: Services, secret_id: str, now: int) -> None:
    secret = service_accounts.find_secret(unit, secret_id)
    if secret is None or not service_accounts.noticed(unit, secret, now):
        return  # another process was first
    account = service_accounts.find(unit, secret.user_id)
    assert account is not None, "a secret belongs to an account"
    if secret.ends_at <= now:
        _record_end(unit, secret, now)
        return
    if account.deactivated_at is not None:
        return
    days, day = max(1, (secret.ends_at - now) // _DAY_MS), when(secret.ends_at)[:10]
    to_admins(
        unit,
        services,
        Origin(now, "system", "", "secret-ends"),
        "machine_secret_ends",
        account.subject,
        lambda to: mail.machine_secret_ends(to, account.name, secret.hint, day, days),
    )


def _record_end(unit: TenantUnit, secret: Secret, now: int) -> None:
    if secret.kind == SecretKind.API_KEY.value:
        origin = Origin(now, "system", "", "sweeping")
        audit.record(unit, origin, Event.API_KEY_EXPIRED, f"service:{secret.user_id}", key=secret.id, hint=secret.hint)
