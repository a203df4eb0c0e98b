"""Renews the MACs of audit heads and anchors with the newest secret key.

Rows without a valid MAC stay as they are and are reported, so that a row written by hand never gets a valid MAC. Only
:func:`restart` gives them one, for a secret key that is lost, and records that nothing proves what was before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Table, bindparam, select, update

from manifest_auth.audit.catalogue import Event
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
from manifest_auth.audit.events import record
from manifest_auth.context import Acting
from manifest_auth.store import CrossTenant, Store, TenantScoped, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import audit_anchors, audit_heads

STEP = 100
_LOCKED = tenant_scoped(select(*(audit_heads.c[name] for name in Head._fields)).with_for_update(), Head)
_SIGN = tenant_scoped(
    update(audit_heads)
    .where(audit_heads.c.mac == bindparam("before"))
    .values(doubts=bindparam("doubts"), mac=bindparam("mac"))
)
_ANCHOR: TenantScoped[Any] = tenant_scoped(
    select(audit_anchors.c.sequence, audit_anchors.c.hash, audit_anchors.c.mac).with_for_update()
)
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


def restart(unit: TenantUnit, acting: Acting, reason: str) -> bool:
    """Begins the proof of a chain again where no secret key made its head or anchor. True when it did.

    Its events stay as they are, and verification still names those that were removed or altered. A chain that was
    removed as a whole, so that no key ever made its first head, is not helped.
    """
    macs, chain = unit.macs, unit.tenant_id
    head, anchor = unit.first(_LOCKED), unit.first(_ANCHOR)
    if head is None or _was_never_signed(unit, head):
        return False
    is_anchored = anchor is None or has_valid_anchor_mac(macs, chain, *anchor)
    if is_anchored and has_valid_mac(macs, chain, head) and not in_doubt(macs, chain, head):
        return False
    unit.change(_SIGN, before=head.mac, doubts="", mac=with_mac(macs, chain, head._replace(doubts="")).mac)
    if anchor is not None and not is_anchored:
        sequence, hashed, before = anchor
        unit.change(_SIGN_ANCHOR, before=before, mac=anchor_mac(macs, chain, sequence, hashed))
    record(unit, acting, Event.AUDIT_RESTARTED, reason=reason, sequence=head.sequence, hash=head.hash)
    return True


def _was_never_signed(unit: TenantUnit, head: Head) -> bool:
    try:
        return not head.mac or 0 in in_doubt(unit.macs, unit.tenant_id, head)
    except (ValueError, TypeError):  # written by hand
        return False


def _next(table: Table) -> CrossTenant[int]:
    query = select(table.c.tenant_id).where(table.c.tenant_id > bindparam("after"))
    return cross_tenant(
        query.order_by(table.c.tenant_id).limit(STEP),
        int,
        because="all chains are signed with the newest key, one after another",
    )


HEADS = SignedTable("audit_heads.mac", _next(audit_heads), _head)
ANCHORS = SignedTable("audit_anchors.mac", _next(audit_anchors), _anchor)
