"""Renews the MACs of audit heads and anchors with the newest secret key.

Rows without a valid MAC stay as they are and are reported, so that a row written by hand never gets a valid MAC.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Table, bindparam, select, update

from manifest_auth.audit.chain_macs import (
    Head,
    anchor_mac,
    has_valid_anchor_mac,
    has_valid_mac,
    in_doubt,
    is_newest,
    is_newest_anchor,
    with_mac,
)
from manifest_auth.store import CrossTenant, Store, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import audit_anchors, audit_heads

STEP = 100
_LOCKED = tenant_scoped(select(*(audit_heads.c[name] for name in Head._fields)).with_for_update(), Head)
_SIGN = tenant_scoped(
    update(audit_heads)
    .where(audit_heads.c.mac == bindparam("before"))
    .values(doubts=bindparam("doubts"), mac=bindparam("mac"))
)
_ANCHOR = tenant_scoped(select(audit_anchors.c.sequence, audit_anchors.c.hash, audit_anchors.c.mac).with_for_update())
_SIGN_ANCHOR = tenant_scoped(
    update(audit_anchors).where(audit_anchors.c.mac == bindparam("before")).values(mac=bindparam("mac"))
)


class SignedTable(NamedTuple):
    """A table of rows with a MAC. ``renew``: True when the MAC was renewed, None when no key made the present one."""

    name: str
    next: CrossTenant[int]
    renew: Callable[[TenantUnit], bool | None]


class Step(NamedTuple):
    """The result for some chains."""

    chains: list[int]
    renewed: int
    lost: list[str]


async def renew_some(store: Store, table: SignedTable, after: int) -> Step:
    """Renews the next rows, after that chain. Each in its own unit of work: a transaction that locks two heads could
    deadlock with another."""
    found = await store.read(lambda unit: unit.all(table.next, after=after))
    chains = [chain for chain in found if isinstance(chain, int)]
    done = {chain: await store.of(chain).write(table.renew) for chain in chains}
    lost = [f"{table.name.partition('.')[0]}/{chain}" for chain, renewed in done.items() if renewed is None]
    return Step(chains, sum(renewed is True for renewed in done.values()), lost)


def _head(unit: TenantUnit) -> bool | None:
    head = unit.first(_LOCKED)
    if head is None:
        return False
    if not has_valid_mac(unit.macs, unit.tenant_id, head) or in_doubt(unit.macs, unit.tenant_id, head):
        return None
    if is_newest(unit.macs, unit.tenant_id, head):
        return False
    renewed = with_mac(unit.macs, unit.tenant_id, head._replace(doubts=""))
    return unit.change(_SIGN, before=head.mac, doubts=renewed.doubts, mac=renewed.mac) > 0


def _anchor(unit: TenantUnit) -> bool | None:
    row: Any = unit.first(_ANCHOR)
    if row is None:
        return False
    if not has_valid_anchor_mac(unit.macs, unit.tenant_id, *row):
        return None
    if is_newest_anchor(unit.macs, unit.tenant_id, *row):
        return False
    mac = anchor_mac(unit.macs, unit.tenant_id, row[0], row[1])
    return unit.change(_SIGN_ANCHOR, before=row[2], mac=mac) > 0


def _next(table: Table) -> CrossTenant[int]:
    query = select(table.c.tenant_id).where(table.c.tenant_id > bindparam("after"))
    return cross_tenant(
        query.order_by(table.c.tenant_id).limit(STEP),
        int,
        because="all chains are signed with the newest key, one after another",
    )


HEADS = SignedTable("audit_heads.mac", _next(audit_heads), _head)
ANCHORS = SignedTable("audit_anchors.mac", _next(audit_anchors), _anchor)
