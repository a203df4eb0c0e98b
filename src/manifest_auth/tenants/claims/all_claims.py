"""All claims of all clients, for the operator who decides about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Table, Text, bindparam, literal, or_, select, tuple_

from manifest_auth.store import CrossTenant, SystemUnit, cross_tenant
from manifest_auth.store.tables import directory_claims, domain_claims, tenants
from manifest_auth.tenants.claims.domains import PENDING

_PAGE = 500


class ClaimOverview(NamedTuple):
    """``kind``: ``domain`` or ``directory``; ``what``: the domain's name or the directory's id; ``client``: the
    client's identifier."""

    kind: str
    what: str
    tenant_id: int
    client: str
    state: str
    proof: str | None
    contested: int
    claimed_by: str
    reason: str


def _all(kind: str, table: Table, what: Column[Any], contested: Any, *, open_only: bool) -> CrossTenant[ClaimOverview]:
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
        query = query.where(or_(c.state == PENDING, contested == 1))
    return cross_tenant(
        query, ClaimOverview, because="the operator decides which claims on domains and directories count"
    )


def _both(*, open_only: bool) -> tuple[CrossTenant[ClaimOverview], ...]:
    domains, directories = domain_claims.c, directory_claims.c
    return (
        _all("domain", domain_claims, domains.domain, domains.contested, open_only=open_only),
        _all("directory", directory_claims, directories.directory, literal(0), open_only=open_only),
    )


_EVERY, _OPEN = _both(open_only=False), _both(open_only=True)


def list_all_claims(unit: SystemUnit, *, to_settle: bool = False) -> Iterator[ClaimOverview]:
    """All claims, by kind, name and client. ``to_settle``: only those not proved, or contested."""
    for statement in _OPEN if to_settle else _EVERY:
        what, tenant_id = "", 0
        while page := unit.all(statement, after_what=what, after_tenant=tenant_id):
            yield from page
            what, tenant_id = page[-1].what, page[-1].tenant_id
            if len(page) < _PAGE:
                break
