"""Rows of API keys and client secrets: added, found, listed, ended.

The store has a secret's hash, never the secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, bindparam, func, insert, select, update

from manifest_auth.errors import existing
from manifest_auth.store import TenantUnit, among, numbers, tenant_scoped
from manifest_auth.store.tables import service_secrets
from manifest_auth.text.machine_secrets import SecretKind

#: Live secrets of one account.
MOST_OF: Final = {SecretKind.API_KEY: 10, SecretKind.CLIENT_SECRET: 2}


#: So many days before a secret ends, e-mails say so.
NOTICE_DAYS: Final = (14, 3)
#: ``notices`` once the end was recorded.
ENDED: Final = len(NOTICE_DAYS) + 1
_DAY_MS = 86_400_000


class Secret(NamedTuple):
    """``kind``: of :class:`SecretKind`; ``days``: how long it was made for; ``rotated_to``: the id of the one that
    takes its place; ``notices``: e-mails that said that it ends. Times in milliseconds."""

    id: str
    user_id: int
    kind: str
    label: str
    hint: str
    days: int
    created_at: int
    created_by: str
    ends_at: int
    ended_at: int | None
    rotated_to: str | None
    notices: int
    last_used_at: int | None
    last_address: str

    @property
    def session_id(self) -> str:
        """Under which callers with it are remembered, and forgotten (``sessions/principals.py``)."""
        return f"key:{self.id}"


_S = service_secrets.c
ALL = select(*(_S[name] for name in Secret._fields))
_LIVES = (_S.ended_at.is_(None), _S.ends_at > bindparam("now", type_=BigInteger()))
_OF = (_S.user_id == bindparam("of_user"), _S.kind == bindparam("of_kind"))
_OF_MANY = tenant_scoped(
    ALL.where(among(_S.user_id, "ids"), *_LIVES).order_by(_S.user_id, _S.created_at, _S.id), Secret
)
_COUNT = tenant_scoped(select(func.count()).select_from(service_secrets).where(*_OF, *_LIVES), int)
_GET = tenant_scoped(ALL.where(*_OF, *_LIVES, _S.id == bindparam("of_id")), Secret)
_FIND = tenant_scoped(ALL.where(_S.id == bindparam("of_id")).with_for_update(), Secret)
_NEW = ("id", "user_id", "kind", "label", "hash", "hint", "days", "created_at", "created_by", "ends_at",
        "notices")  # fmt: skip
_ADD = tenant_scoped(insert(service_secrets).values({name: bindparam(name) for name in _NEW}))
_END = tenant_scoped(
    update(service_secrets)
    .where(_S.id == bindparam("of_id"), _S.ended_at.is_(None))
    .values(ended_at=bindparam("new_ended_at"), ends_at=bindparam("new_ends_at"))
)
_END_ALL = tenant_scoped(
    update(service_secrets)
    .where(_S.user_id == bindparam("of_user"), *_LIVES)
    .values(ended_at=bindparam("new_ended_at"), ends_at=bindparam("new_ended_at"))
)
_ROTATE = tenant_scoped(  # no e-mail says any more that it ends: another has its place
    update(service_secrets)
    .where(_S.id == bindparam("of_id"))
    .values(ends_at=bindparam("new_ends_at"), rotated_to=bindparam("new_id"), notices=len(NOTICE_DAYS))
)
_NOTICED = tenant_scoped(
    update(service_secrets)
    .where(_S.id == bindparam("of_id"), _S.ended_at.is_(None), _S.notices == bindparam("before"))
    .values(notices=bindparam("after"))
)


def live_secrets(unit: TenantUnit, account_ids: Sequence[int], now: int) -> list[Secret]:
    """The live secrets of these accounts, of both kinds, oldest first."""
    return unit.all(_OF_MANY, ids=numbers(account_ids), now=now)


def count(unit: TenantUnit, account_id: int, kind: SecretKind, now: int) -> int:
    """How many of them live."""
    return unit.one(_COUNT, of_user=account_id, of_kind=kind.value, now=now)


def get(unit: TenantUnit, account_id: int, kind: SecretKind, secret_id: str, now: int) -> Secret:
    """A live secret of an account. Raises NotFound."""
    return existing(unit.first(_GET, of_user=account_id, of_kind=kind.value, of_id=secret_id, now=now))


def find(unit: TenantUnit, secret_id: str) -> Secret | None:
    """A secret of the client, alive or not, locked."""
    return unit.first(_FIND, of_id=secret_id)


def add(unit: TenantUnit, **values: Any) -> None:
    unit.change(_ADD, **values)


def end(unit: TenantUnit, secret: Secret, now: int) -> bool:
    """Ends a secret at once, on every node. False when it had ended."""
    unit.announce("session", secret.session_id)
    ends_at = min(secret.ends_at, now)
    return unit.change(_END, of_id=secret.id, new_ended_at=now, new_ends_at=ends_at) == 1


def end_all(unit: TenantUnit, account_id: int, now: int) -> int:
    """Ends all secrets of an account; how many there were. The account's change is announced by the caller."""
    return unit.change(_END_ALL, of_user=account_id, new_ended_at=now, now=now)


def notices_at(ends_at: int, now: int) -> int:
    """How many of the e-mails were due by ``now`` for a secret with that end."""
    return sum(ends_at - now <= days * _DAY_MS for days in NOTICE_DAYS)


def noticed(unit: TenantUnit, secret: Secret, now: int) -> bool:
    """Marks the e-mails that are due as sent, and the end as recorded where it came. False when that was done."""
    after = ENDED if secret.ends_at <= now else notices_at(secret.ends_at, now)
    if after <= secret.notices:
        return False
    return unit.change(_NOTICED, of_id=secret.id, before=secret.notices, after=after) == 1


def rotated(unit: TenantUnit, secret: Secret, new_id: str, ends_at: int) -> None:
    """Stores that another takes the secret's place, and when it ends."""
    unit.announce("session", secret.session_id)
    unit.change(_ROTATE, of_id=secret.id, new_id=new_id, new_ends_at=ends_at)
