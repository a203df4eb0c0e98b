"""Where a chain ends and begins, as it stands in the store: read, and whether only who has the secret key wrote it."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import select

from manifest_auth.audit.chain import Fault
from manifest_auth.audit.chain_macs import Head, in_doubt, is_our_anchor, is_ours
from manifest_auth.audit.events import Point
from manifest_auth.runtime.sealing import Macs
from manifest_auth.store import TenantUnit, bound
from manifest_auth.store.tables import audit_anchors, audit_heads

_A = audit_anchors.c
_HEAD = bound(select(*(audit_heads.c[name] for name in Head._fields)), Head)
_ANCHOR = bound(select(_A.sequence, _A.hash, _A.mac))


class Ends(NamedTuple):
    """``head``: None when there is none, or none that can be; ``anchor``: where retention left the beginning.
    ``faults`` of the records themselves."""

    head: Point | None
    anchor: Point | None
    is_gone: bool
    faults: list[Fault]


def ends(unit: TenantUnit) -> Ends:
    """Both, of one moment."""
    head, faults, is_gone = unit.first(_HEAD), [], False
    end = None if head is None else _point(head.sequence, head.hash)
    if end is None and head is not None:
        faults.append(Fault(0, "head", "the record of the chain's end holds what no such record can hold"))
    elif head is not None and end is not None:
        faults += _faults_of(unit.macs, unit.tenant_id, head)
        is_gone = head.gone_at is not None and not faults
    row: Any = unit.first(_ANCHOR)
    anchor = None if row is None else _point(row[0], row[1])
    if row is not None and (anchor is None or not is_our_anchor(unit.macs, unit.tenant_id, *row)):
        what = "the record of where retention left the beginning was made with none of the secret keys"
        faults.append(Fault(max(anchor.sequence if anchor else 0, 1), "anchor", what))
    return Ends(end, anchor, is_gone, faults)


def _faults_of(macs: Macs, chain: int, head: Head) -> list[Fault]:
    if not is_ours(macs, chain, head):
        what = "the record of the chain's end was made with none of the secret keys: somebody wrote it by hand, or an "
        return [Fault(head.sequence, "head", what + "older key is missing behind the newest")]
    return [_doubt(place) for place in in_doubt(macs, chain, head)]


def _doubt(place: int) -> Fault:
    if place == 0:
        return Fault(1, "beginning", "the chain did not begin with the creation of a client: what was there is gone")
    what = "up to here the chain may be cut off or written anew: none of the secret keys made the record of its end "
    return Fault(max(place, 0), "head", what + "that was there when the next event came")


def _point(sequence: object, hashed: object) -> Point | None:
    return Point(sequence, hashed) if isinstance(sequence, int) and isinstance(hashed, str) else None
