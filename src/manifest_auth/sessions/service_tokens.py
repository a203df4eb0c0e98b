"""Callers with a service account's token: read as a :class:`Principal`, with the token in place of a session.

What they may do is the token's scope within the account's, as it is now; a revoked token is a refused one.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, Integer, Text, bindparam, case, cast, func, literal, select

from manifest_auth.context import Principal
from manifest_auth.sessions.machine_principal import select_machine
from manifest_auth.sessions.principal import KEYS
from manifest_auth.store import cross_tenant
from manifest_auth.store.tables import refused_tokens, service_accounts

METHOD = "service-token"
_A, _R = service_accounts.c, refused_tokens.c
_SCOPES = cast(bindparam("scopes"), Integer)


class TokenOfService(NamedTuple):
    """A verified token. ``key``: in place of a session id; ``scopes``: a bit mask; times in milliseconds."""

    key: str
    account: int
    scopes: int
    issued_at: int
    until: int


BY_SERVICE_TOKEN = cross_tenant(
    select_machine(
        session_id=cast(bindparam("key"), Text),
        method=literal(METHOD),
        created_at=cast(bindparam("issued_at"), BigInteger),
        ends_at=cast(bindparam("until"), BigInteger),
        ended_at=select(_R.refused_at)
        .where(_R.tenant_id == _A.tenant_id, _R.key == bindparam("key"))
        .scalar_subquery(),
        cookie_seen_at=func.coalesce(_A.use_recorded_at, 0),
        keys=KEYS,
        scopes=case((_A.scopes.is_(None), _SCOPES), else_=_A.scopes.bitwise_and(_SCOPES)),
    ).where(_A.user_id == bindparam("account")),
    Principal,
    because="the verified token names the service account, and that the tenant",
    every_kind=True,
)
