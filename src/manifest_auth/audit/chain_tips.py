"""Reads the tip and the anchor of a chain, and checks their MACs."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select

from manifest_auth.audit.chain_macs import Head, has_valid_anchor_mac, has_valid_mac, in_doubt
from manifest_auth.audit.chain_walk import Fault
from manifest_auth.audit.events import BEGINNING, Point
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import audit_anchors, audit_heads


class _Anchor(NamedTuple):
    sequence: int
    hash: str
    mac: str


_A = audit_anchors.c
_HEAD = tenant_scoped(select(*(audit_heads.c[name] for name in Head._fields)), Head)
_ANCHOR = tenant_scoped(select(_A.sequence, _A.hash, _A.mac), _Anchor)
_NO_KEY = "was made with none of the secret keys: it was written by hand, or an older key is missing"


class ChainTips(NamedTuple):
    """``start``: the anchor that retention left. ``end``: the tip; None without a head, or with an invalid one:
    ``wrong`` then says so. ``is_gone``: the events were deleted with their client. ``faults``: of earlier heads and the
    anchor."""

    start: Point
    end: Point | None
    wrong: str
    is_gone: bool
    faults: list[Fault]


def read_tips(unit: TenantUnit) -> ChainTips:
    """The anchor and the tip of a chain, of one moment."""
    start, faults = BEGINNING, []
    anchor = unit.first(_ANCHOR)
    if anchor is not None:
        if isinstance(anchor.sequence, int):
            start = Point(anchor.sequence, anchor.hash)
        if not has_valid_anchor_mac(unit.macs, unit.tenant_id, *anchor):
            faults.append(
                Fault(start.sequence, "anchor", f"the record of where retention left the beginning {_NO_KEY}")
            )
    head = unit.first(_HEAD)
    if head is None:
        return ChainTips(start, None, "", is_gone=False, faults=faults)
    if not has_valid_mac(unit.macs, unit.tenant_id, head):
        return ChainTips(start, None, f"the record of the chain's end {_NO_KEY}", is_gone=False, faults=faults)
    faults += [_doubt(place) for place in in_doubt(unit.macs, unit.tenant_id, head)]
    return ChainTips(start, Point(head.sequence, head.hash), "", head.gone_at is not None and not faults, faults)


def _doubt(place: int) -> Fault:
    """The fault of an invalid head that later events followed."""
    if place == 0:
        return Fault(1, "missing", "the chain did not begin with the creation of a client: what was there is gone")
    return Fault(max(place, 0), "head", f"the record of the chain's end, when the next event came, {_NO_KEY}")
