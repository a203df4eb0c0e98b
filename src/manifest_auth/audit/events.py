"""Recording of audit events, in the transaction of the act, chained so that a removed or altered event is noticed.

Each tenant has its own chain; chain 0 is the installation's. An event's hash covers its members and the previous
event's hash; the chain's head has a MAC (:mod:`.chain_macs`). ``detail`` never contains secrets.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, insert, select, update

from manifest_auth.audit.catalogue import Event
from manifest_auth.audit.chain_macs import NOTHING, Head, has_valid_mac, successor_of, with_mac
from manifest_auth.audit.guarded_acts import check_was_asked
from manifest_auth.audit.open_sessions import check_where_asked
from manifest_auth.context import Acting
from manifest_auth.store import SystemUnit, TenantUnit, tenant_scoped, upsert
from manifest_auth.store.tables import audit_events, audit_heads

INSTALLATION = 0
#: Where a node's clock is behind the chain's last event by less than this, the event gets that event's time, so that
#: times and numbers have the same order on nodes whose clocks differ. A larger difference means that the earlier clock
#: was wrong: then the true time is recorded.
MOST_SKEW_MS = 60_000


class Point(NamedTuple):
    """A position in a chain: an event's number and hash."""

    sequence: int
    hash: str


#: Before the first event.
BEGINNING = Point(NOTHING.sequence, NOTHING.hash)

_H = audit_heads.c
_VALUES: dict[str, Any] = {name: bindparam(name) for name in Head._fields}
_HEAD = tenant_scoped(select(*(_H[name] for name in Head._fields)).with_for_update(), Head)
_START = tenant_scoped(  # of two transactions that create a chain at once, the second waits
    upsert(audit_heads).values(_VALUES).on_conflict_do_nothing(index_elements=["tenant_id"])
)
_ADVANCE = tenant_scoped(update(audit_heads).where(_H.sequence == bindparam("before")).values(_VALUES))
COLUMNS = ("sequence", "at", "event", "actor", "subject", "address", "request_id", "detail", "previous_hash", "hash")
_APPEND = tenant_scoped(insert(audit_events).values({name: bindparam(name) for name in COLUMNS}))


def record(unit: TenantUnit, acting: Acting, event: Event, subject: str = "", **detail: Any) -> None:
    """Appends one event to the chain of the unit's tenant. ``subject``: what it concerns, like ``user:7``.

    The chain's head is locked until the transaction ends, so events of one tenant have one order on all nodes; the time
    is taken while the lock is held. Raises InvalidToken for a guarded act whose session has ended meanwhile, and
    ValueError for an event of the installation in another chain.
    """
    check_was_asked(acting, event, subject)
    if event.about.of_installation and unit.tenant_id != INSTALLATION:
        raise ValueError(f"{event.value} is an event of the installation")
    head = lock(unit)
    check_where_asked(unit, acting)
    if head.gone_at is not None and has_valid_mac(unit.macs, unit.tenant_id, head):
        return  # the client was deleted with its audit trail during this request
    who = acting.origin
    at = head.at if who.at < head.at <= who.at + MOST_SKEW_MS else who.at
    values: dict[str, Any] = {
        "sequence": head.sequence + 1,
        "at": at,
        "event": event.value,
        "actor": who.actor,
        "subject": subject,
        "address": who.address,
        "request_id": who.request_id,
        "detail": orjson.dumps({**detail, **who.told}, option=orjson.OPT_SORT_KEYS).decode(),
        "previous_hash": head.hash,
    }
    values["hash"] = digest(unit.tenant_id, values)
    _put(unit, head, head._replace(sequence=values["sequence"], hash=values["hash"], at=at))
    unit.change_later(_APPEND, **values)


def record_creation(unit: SystemUnit, tenant_id: int, acting: Acting, **detail: Any) -> None:
    """Starts the chain of a client that was created in this transaction, with that event.

    Each chain names its predecessor, so that the deletion of a whole chain is noticed. A chain that starts in any other
    way stays in doubt.
    """
    installation, own = unit.of(INSTALLATION), unit.of(tenant_id)
    newest = lock(installation)
    started = with_mac(own.macs, tenant_id, NOTHING._replace(previous_chain=newest.previous_chain))
    own.change(_START, **started._asdict())
    _put(installation, newest, newest._replace(previous_chain=tenant_id))
    record(own, acting, Event.CLIENT_CREATED, f"client:{tenant_id}", **detail)


def end(unit: TenantUnit, now: int) -> None:
    """Marks a chain whose events were deleted with its client; its head stays."""
    head = lock(unit)
    _put(unit, head, head._replace(gone_at=now))


def lock(unit: TenantUnit) -> Head:
    """The head of the unit's chain, locked until the transaction ends."""
    head = unit.first(_HEAD)
    if head is None:
        unit.change(_START, **NOTHING._asdict())  # without a MAC: only record_creation starts a valid chain
        head = unit.first(_HEAD)
        assert head is not None
    return head


def _put(unit: TenantUnit, head: Head, after: Head) -> None:
    unit.change_later(_ADVANCE, before=head.sequence, **successor_of(unit.macs, unit.tenant_id, head, after)._asdict())


def record_installation(unit: SystemUnit, acting: Acting, event: Event, subject: str = "", **detail: Any) -> None:
    """As :func:`record`, in the installation's chain."""
    record(unit.of(INSTALLATION), acting, event, subject, **detail)


def digest(chain: int, values: dict[str, Any]) -> str:
    """The hash of an event: SHA-256 over its members in fixed order, including the previous hash."""
    members = [chain, *(values[name] for name in COLUMNS if name != "hash")]
    return hashlib.sha256(orjson.dumps(members)).hexdigest()
