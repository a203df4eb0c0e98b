"""Sessions of a tenant as those who manage its users see them, open or over: who, from where, until when. No key to any
of them."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, and_, bindparam, func, or_, select

from manifest_auth.store import Listing, TenantUnit, tenant_scoped
from manifest_auth.store.tables import sessions

_S = sessions.c


class SessionSeen(NamedTuple):
    """A session as others than its user see it."""

    id: str
    user_id: int
    method: str
    created_at: int
    ends_at: int
    last_used_at: int
    ended_at: int | None
    end_reason: str | None
    address: str
    user_agent: str


_ALL_SEEN = select(*(_S[name] for name in SessionSeen._fields))
_SEEN = tenant_scoped(_ALL_SEEN.where(_S.id == bindparam("id")), SessionSeen)
_NOW = bindparam("now", type_=BigInteger())
#: Filters take ``now``, ``of_user``, ``of_method`` and ``like`` (see :func:`manifest_auth.text.canonical.like`).
LISTING = Listing(
    _ALL_SEEN,
    SessionSeen,
    key=_S.id,
    sorts={"ID": _S.id, "CREATED": _S.created_at},
    filters={
        "open": and_(_S.ended_at.is_(None), _S.ends_at > _NOW),
        "over": or_(_S.ended_at.is_not(None), _S.ends_at <= _NOW),
        "user": _S.user_id == bindparam("of_user"),
        "method": _S.method == bindparam("of_method"),
        "search": func.lower(_S.address + " " + _S.user_agent).like(bindparam("like"), escape="\\"),
    },
    narrow=("user",),
)


def find_seen(unit: TenantUnit, session_id: str) -> SessionSeen | None:
    """A session of the tenant, open or not."""
    return unit.first(_SEEN, id=session_id)
