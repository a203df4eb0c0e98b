"""All claims of all clients, for the operator who has to settle some of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Table, Text, bindparam, literal, or_, select, tuple_

from manifest_auth.store import CrossTenant, SystemUnit, cross_tenant
from manifest_auth.store.tables import directory_claims, domain_claims, tenants
from manifest_auth.tenants.claims.domain_rows import PENDING, UPGRADE

_PAGE = 500


class EveryClaim(NamedTuple):
    """``kind``: ``domain`` or ``directory``; ``what``: its name or number; ``client``: the client's identifier."""

    kind: str
    what: str
    tenant_id: int
    client: str
    state: str
    proof: str | None
    contested: int
    claimed_by: str
    reason: str


def _all(kind: str, table: Table, what: Column[Any], contested: Any, *, open_only: bool) -> CrossTenant[EveryClaim]:
    c = table.c
    query = (
        select(
            literal(kind), what, c.tenant_id, tenants.c.identifier, c.state, c.proof, contested, c.claimed_by, c.reason
        )
        .join(tenants, tenants.c.id == c.tenant_id)
        .where(
            tuple_(what, c.tenant_id)
            > tuple_(bindparam("after_what", type_=Text()), bindparam("after_tenant", type_=BigInteger()))
        )
        .order_by(what, c.tenant_id)
        .limit(_PAGE)
    )
    if open_only:
        query = query.where(or_(c.proof == UPGRADE, c.state == PENDING, contested == 1))
    return cross_tenant(query, EveryClaim, because="the operator settles whose claims on domains and directories count")


def _both(*, open_only: bool) -> tuple[CrossTenant[EveryClaim], ...]:
    domains, directories = domain_claims.c, directory_claims.c
    return (
        _all("domain", domain_claims, domains.domain, domains.contested, open_only=open_only),
        _all("directory", directory_claims, directories.directory, literal(0), open_only=open_only),
    )


_EVERY, _OPEN = _both(open_only=False), _both(open_only=True)


def every_claim(unit: SystemUnit, *, to_settle: bool = False) -> Iterator[EveryClaim]:
    """By kind, name and client. ``to_settle``: only those that an upgrade kept, are not proved, or that two clients
    claim."""
    for statement in _OPEN if to_settle else _EVERY:
        what, tenant_id = "", 0
        while page := unit.all(statement, after_what=what, after_tenant=tenant_id):
            yield from page
            what, tenant_id = page[-1].what, page[-1].tenant_id
            if len(page) < _PAGE:
                break
