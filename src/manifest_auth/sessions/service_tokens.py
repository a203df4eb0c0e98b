"""Callers that are machines: a service account with its secret or its token, read as a :class:`Principal`."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Integer, Select, Text, bindparam, case, cast, func, literal, null, select

from manifest_auth.context import SERVICE, Principal
from manifest_auth.sessions.principal import KEYS, select_principal
from manifest_auth.store import cross_tenant
from manifest_auth.store.tables import refused_tokens, service_accounts, service_secrets, tenants, users

# Reads the principal of a machine: a service account, with the secret that it shows in place of a session.
#
# One statement reads all that a request needs of its caller, as for a session.

_A, _S, _T, _U = service_accounts.c, service_secrets.c, tenants.c, users.c


def select_machine(**columns: Any) -> Select[Any]:
    """A select of service accounts as principals. ``columns``: by name, those of the credential, which replaces a
    session; the caller adds what names the account."""
    of_credential = {
        "claims": literal(0),
        "amr": literal(""),
        "authenticated_at": null(),
        "keys": null(),
        "scopes": _A.scopes,
        "addresses": _A.addresses,
        **columns,
    }
    return (
        select_principal(tenant_id=_U.tenant_id, user_id=_U.id, **of_credential)
        .select_from(
            users.join(service_accounts, (_A.tenant_id == _U.tenant_id) & (_A.user_id == _U.id)).join(
                tenants, _T.id == _U.tenant_id
            )
        )
        .where(_U.kind == SERVICE)
    )


_OF_SECRET = select_machine(
    session_id=cast(literal("key:"), Text) + _S.id,
    method=_S.kind,
    created_at=_S.created_at,
    ends_at=_S.ends_at,
    ended_at=_S.ended_at,
    cookie_seen_at=func.coalesce(_S.last_used_at, 0),
).join(service_secrets, (_S.tenant_id == _A.tenant_id) & (_S.user_id == _A.user_id))
BY_SECRET = cross_tenant(
    _OF_SECRET.where(_S.hash == bindparam("hash"), _S.kind == bindparam("kind")),
    Principal,
    because="the secret's hash names the service account, and that the tenant",
    every_kind=True,
)


# What they may do is the token's scope within the account's, as it is now; a revoked token is a refused one.

METHOD = "service-token"
_R = refused_tokens.c
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
