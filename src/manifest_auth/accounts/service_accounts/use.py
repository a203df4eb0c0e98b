"""Records of the use of a service account: when a secret was last used, and an event an hour in the trail."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, or_, select, update

from manifest_auth import audit
from manifest_auth.audit import Event
from manifest_auth.context import Acting
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import service_accounts, service_secrets

TOUCH_EVERY_MS: Final = 60_000
RECORD_EVERY_MS: Final = 3_600_000
_A = service_accounts.c
_S = service_secrets.c
_BEFORE = bindparam("before", type_=BigInteger())
_TOUCH = tenant_scoped(
    update(service_secrets)
    .where(_S.id == bindparam("of_id"), or_(_S.last_used_at.is_(None), _S.last_used_at <= _BEFORE))
    .values(last_used_at=bindparam("now"), last_address=bindparam("address"))
)


class _Hourly:
    """The statements of one event, of which an account has one an hour."""

    def __init__(self, at: str, kept_back: str) -> None:
        one = _A.user_id == bindparam("of_id")
        self.left_out = tenant_scoped(select(_A[kept_back]).where(one), int)
        self.begin = tenant_scoped(
            update(service_accounts).where(one, or_(_A[at].is_(None), _A[at] <= _BEFORE))
            .values({at: bindparam("now"), kept_back: 0})
        )  # fmt: skip
        self.leave_out = tenant_scoped(update(service_accounts).where(one).values({kept_back: _A[kept_back] + 1}))


_HOURLY = {
    Event.SERVICE_SIGNED_IN: _Hourly("use_recorded_at", "uses_kept_back"),
    Event.SERVICE_TOKEN_ISSUED: _Hourly("issue_recorded_at", "issues_kept_back"),
}


def touch_secret(unit: TenantUnit, who: Acting, secret_id: str) -> bool:
    """Stores that a secret was used, and from where, at most once a minute on all nodes together. False when it was
    stored within the minute."""
    now, address = who.origin.at, who.origin.address
    return unit.change(_TOUCH, of_id=secret_id, now=now, before=now - TOUCH_EVERY_MS, address=address) == 1


def touch(unit: TenantUnit, who: Acting, account_id: int, secret_id: str) -> None:
    """As :func:`touch_secret`, for a key that a request was made with: the trail has that once an hour."""
    if touch_secret(unit, who, secret_id):
        record_hourly(unit, who, account_id, Event.SERVICE_SIGNED_IN, key=secret_id)


def record_hourly(unit: TenantUnit, who: Acting, account_id: int, event: Event, **detail: Any) -> None:
    """Records the event, unless one of the account was recorded within the hour. ``kept_back`` of the next one says how
    many were not."""
    statements, now = _HOURLY[event], who.origin.at
    left_out = unit.first(statements.left_out, of_id=account_id) or 0
    if unit.change(statements.begin, of_id=account_id, now=now, before=now - RECORD_EVERY_MS):
        more = {"kept_back": left_out} if left_out else {}
        audit.record(unit, who, event, f"service:{account_id}", **detail, **more)
    else:
        unit.change(statements.leave_out, of_id=account_id)
