"""The list of a tenant's sessions, for their users and for those who manage users.

Open ones and ended ones, without any credential.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, and_, bindparam, func, or_, select

from manifest_auth.sessions.principal import ENDS_AT
from manifest_auth.store import Filters, Listing, TenantUnit, tenant_scoped
from manifest_auth.store.tables import sessions

_S = sessions.c


class ListedSession(NamedTuple):
    """A session in the list."""

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
    amr: str
    authenticated_at: int | None
    app_id: str | None  # of a device's session: the app that holds it
    label: str | None  # and the device's name


_ALL_LISTED = select(*(ENDS_AT if name == "ends_at" else _S[name] for name in ListedSession._fields))
_LISTED = tenant_scoped(_ALL_LISTED.where(_S.id == bindparam("id")), ListedSession)
_NOW = bindparam("now", type_=BigInteger())
#: Filters take ``now``, ``of_user``, ``of_method`` and ``like`` (see :func:`manifest_auth.text.canonical.like`).
LISTING = Listing(
    _ALL_LISTED,
    ListedSession,
    key=_S.id,
    sorts={"ID": _S.id, "CREATED": _S.created_at},
    filters={
        "open": and_(_S.ended_at.is_(None), ENDS_AT > _NOW),
        "over": or_(_S.ended_at.is_not(None), ENDS_AT <= _NOW),
        "user": _S.user_id == bindparam("of_user"),
        "method": _S.method == bindparam("of_method"),
        "search": func.lower(_S.address + " " + _S.user_agent).like(bindparam("like"), escape="\\"),
    },
    narrow=("user",),
)


def find_listed(unit: TenantUnit, session_id: str) -> ListedSession | None:
    """A session of the tenant, open or not."""
    return unit.first(_LISTED, id=session_id)


def open_ones_of(user_id: int, now: int) -> Filters:
    """The filters for a user's open sessions."""
    return Filters("open", "user", of_user=user_id, now=now)


def list_open(unit: TenantUnit, user_id: int, now: int, limit: int) -> list[ListedSession]:
    """The open sessions of a user, newest first."""
    return LISTING.read(unit, limit, "", "CREATED_DESC", open_ones_of(user_id, now))[0]
