"""Where a chain ends and begins, as it stands in the store: read, and whether only who has the secret key wrote it."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select

from manifest_auth.audit.chain import Fault
from manifest_auth.audit.chain_macs import Head, in_doubt, is_our_anchor, is_ours
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
_NO_KEY = "was made with none of the secret keys: somebody wrote it by hand, or an older key is missing"


class Ends(NamedTuple):
    """``start``: where retention left the beginning. ``end``: None without a head, or with one that none of the keys
    made: ``wrong`` then says so. ``is_gone``: the events went with their client. ``faults`` of earlier heads and the
    anchor."""

    start: Point
    end: Point | None
    wrong: str
    is_gone: bool
    faults: list[Fault]


def ends(unit: TenantUnit) -> Ends:
    """Both, of one moment."""
    start, faults = BEGINNING, []
    anchor = unit.first(_ANCHOR)
    if anchor is not None:
        if isinstance(anchor.sequence, int):
            start = Point(anchor.sequence, anchor.hash)
        if not is_our_anchor(unit.macs, unit.tenant_id, *anchor):
            faults.append(
                Fault(start.sequence, "anchor", f"the record of where retention left the beginning {_NO_KEY}")
            )
    head = unit.first(_HEAD)
    if head is None:
        return Ends(start, None, "", is_gone=False, faults=faults)
    if not is_ours(unit.macs, unit.tenant_id, head):
        return Ends(start, None, f"the record of the chain's end {_NO_KEY}", is_gone=False, faults=faults)
    faults += [_doubt(place) for place in in_doubt(unit.macs, unit.tenant_id, head)]
    return Ends(start, Point(head.sequence, head.hash), "", head.gone_at is not None and not faults, faults)


def _doubt(place: int) -> Fault:
    """Of a head that a later event was recorded behind."""
    if place == 0:
        return Fault(1, "missing", "the chain did not begin with the creation of a client: what was there is gone")
    return Fault(max(place, 0), "head", f"the record of the chain's end, when the next event came, {_NO_KEY}")
