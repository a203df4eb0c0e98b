"""Picks the hash to compute for an account that does not exist (docs/decisions/0036-decoy-hashes.md).

Imported hashes and hashes of older settings take another time than new ones. So an account that does not exist, or has
no password, uses kind and cost of an account of the same client that has one: always the same account, picked by a MAC
of what was typed. When those accounts are rehashed, the decoys change with them.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit, global_, tenant_condition, tenant_scoped
from manifest_auth.store.tables import tenants, users


class _Span(NamedTuple):
    first: int
    last: int


_U, _T = users.c, tenants.c
_LAST_USER = select(func.max(_U.id)).where(tenant_condition(users)).correlate(None).scalar_subquery()
_USERS = tenant_scoped(select(_U.id, _LAST_USER).order_by(_U.id).limit(1), _Span)
#: Several, since accounts that sign in through a provider have no password.
_FROM_USER = tenant_scoped(select(_U.password_hash).where(_U.id >= bindparam("id")).order_by(_U.id).limit(32), str)
_LAST_TENANT = select(func.max(_T.id)).correlate(None).scalar_subquery()
_TENANTS = global_(select(_T.id, _LAST_TENANT).order_by(_T.id).limit(1), _Span)
_FROM_TENANT = global_(select(_T.id).where(_T.id >= bindparam("id")).order_by(_T.id).limit(1), int)


def pick(unit: SystemUnit, ctx: RequestContext, tenant_id: int | None, account: str) -> str | None:
    """A stored hash whose work is to be imitated; None: imitate a hash of the current settings. Called for every
    attempt, so that the number of statements is the same too. Without a client, one of all clients is picked first."""
    macs = ctx.services.store.macs
    assert macs is not None, "the server's store has them"
    number = int(macs.make(b"decoy\0" + account.encode("utf-8", "surrogatepass")), 16)
    if tenant_id is None:
        span = unit.first(_TENANTS)
        found = unit.first(_FROM_TENANT, id=spread(number, span)) if span is not None else None
        return None if found is None else _pick(unit.of(found), number)
    return _pick(unit.of(tenant_id), number)


def _pick(unit: TenantUnit, number: int) -> str | None:
    span = unit.first(_USERS)
    if span is None:
        return None
    for begin in (spread(number, span), span.first):  # after the last row, go on at the first
        for hashed in unit.all(_FROM_USER, id=begin):
            if hashed is not None:
                return hashed
    return None


def spread(number: int, span: _Span) -> int:
    """Maps a random number to an id in the span. When the span grows, a number moves to a new id or stays (linear
    hashing): a decoy that changed its kind whenever a user is added would reveal that the account does not exist."""
    count = span.last - span.first + 1
    bits = count.bit_length()
    place = number & (1 << bits) - 1
    return span.first + (place if place < count else place & (1 << bits - 1) - 1)
