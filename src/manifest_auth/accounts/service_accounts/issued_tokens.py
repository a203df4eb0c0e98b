"""The audit trail of issued tokens: one event an hour and account, with how many were left out since the one before."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import bindparam, select, update

from manifest_auth import audit
from manifest_auth.audit import Event
from manifest_auth.context import Acting
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import service_accounts

_HOUR_MS = 3_600_000
_A = service_accounts.c


class _Recorded(NamedTuple):
    at: int | None
    kept_back: int


_READ = tenant_scoped(
    select(_A.tokens_recorded_at, _A.tokens_kept_back).where(_A.user_id == bindparam("of_id")).with_for_update(),
    _Recorded,
)
_WRITE = tenant_scoped(
    update(service_accounts)
    .where(_A.user_id == bindparam("of_id"))
    .values(tokens_recorded_at=bindparam("new_at"), tokens_kept_back=bindparam("new_kept_back"))
)


def record_token(unit: TenantUnit, who: Acting, account_id: int, **detail: Any) -> None:
    """Records that a token was issued to the account, or counts it where another was recorded within the hour."""
    before, now = unit.one(_READ, of_id=account_id), who.origin.at
    if before.at is not None and 0 <= now - before.at < _HOUR_MS:
        unit.change(_WRITE, of_id=account_id, new_at=before.at, new_kept_back=before.kept_back + 1)
        return
    unit.change(_WRITE, of_id=account_id, new_at=now, new_kept_back=0)
    more = {"kept_back": before.kept_back} if before.kept_back else {}
    audit.record(unit, who, Event.SERVICE_TOKEN_ISSUED, f"service:{account_id}", **detail, **more)
