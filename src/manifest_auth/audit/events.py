"""Recording of audit events, in the transaction of the act, chained so that a removed or altered event is noticed.

Each tenant has its own chain, and chain 0 belongs to the installation. An event's hash covers its members and the
previous event's hash. The chain's head has a MAC. ``detail`` never contains secrets.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, insert, select, update

from manifest_auth.audit.acts import Act
from manifest_auth.audit.catalogue import Event
from manifest_auth.context import Acting, AdminCaller, Principal, Request
from manifest_auth.errors import Forbidden, InvalidToken, NoSeat, Refusal
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.sealing import Macs
from manifest_auth.store import (
    Store,
    StoreUnavailable,
    SystemUnit,
    TenantUnit,
    cell,
    global_,
    row_list,
    tenant_scoped,
    upsert,
)
from manifest_auth.store import rows as listed
from manifest_auth.store.tables import admin_sessions, audit_events, audit_heads, sessions

# An event's hash needs no key, so an attacker who can write to the store could cut off or rewrite the end of a chain,
# and adapt the head. The head's MAC prevents that. A head without a valid MAC is never accepted: its successor keeps it
# as a doubt, under its own MAC, until it is verified with the right key.

MOST_DOUBTS = 8  # doubts to keep; a chain with more stays in doubt
LONGEST_DOUBTS = 10_000  # characters; more than :data:`MOST_DOUBTS` need


class Head(NamedTuple):
    """The tip of a chain. ``previous_chain`` is the chain that was created before it, or, for the installation's chain,
    the newest one. ``doubts`` is JSON, as described above; empty if there are none."""

    sequence: int
    hash: str
    at: int = 0
    previous_chain: int = 0
    gone_at: int | None = None
    doubts: str = ""
    mac: str = ""


#: The point before the first event.
NOTHING = Head(0, "0" * 64)


def with_mac(macs: Macs, chain: int, head: Head) -> Head:
    """Returns the head with its MAC."""
    return head._replace(mac=macs.make(_message(chain, head)))


def has_valid_mac(macs: Macs, chain: int, head: Head) -> bool:
    """Whether one of the keys made the MAC. For earlier heads, see :func:`in_doubt`."""
    try:
        return macs.is_valid(_message(chain, head), head.mac)
    except TypeError:  # a value that this server never writes
        return False


def is_newest(macs: Macs, chain: int, head: Head) -> bool:
    """Whether the newest key made the MAC, and nothing is in doubt."""
    return not head.doubts and macs.is_newest(_message(chain, head), head.mac)


def successor_of(macs: Macs, chain: int, head: Head, after: Head) -> Head:
    """Returns ``after``, the successor of ``head``, with its doubts and MAC."""
    if not has_valid_mac(macs, chain, head):
        doubts = _doubted(head)
    elif head.doubts and in_doubt(macs, chain, head):
        doubts = head.doubts
    else:
        doubts = ""
    return with_mac(macs, chain, after._replace(doubts=doubts))


def in_doubt(macs: Macs, chain: int, head: Head) -> list[int]:
    """The numbers of earlier heads that a valid head keeps as doubts because no key made their MAC; -1 if unknown."""
    found = []
    states = orjson.loads(head.doubts) if head.doubts else []
    for place, state in enumerate(states):
        before = orjson.dumps(states[:place]).decode() if place else ""
        if state is None:  # there were too many to keep
            found.append(-1)
        elif not has_valid_mac(macs, chain, Head._make([*state[:5], before, state[5]])):
            found.append(state[0] if isinstance(state[0], int) else -1)
    return found


def anchor_mac(macs: Macs, chain: int, sequence: int, hashed: str) -> str:
    """The MAC of an anchor, the point after which retention kept a chain's events."""
    return macs.make(_anchor(chain, sequence, hashed))


def has_valid_anchor_mac(macs: Macs, chain: int, sequence: int, hashed: str, mac: str) -> bool:
    """Whether one of the keys made the anchor's MAC."""
    try:
        return macs.is_valid(_anchor(chain, sequence, hashed), mac)
    except TypeError:
        return False


def is_newest_anchor(macs: Macs, chain: int, sequence: int, hashed: str, mac: str) -> bool:
    """Whether the newest key made the anchor's MAC."""
    return macs.is_newest(_anchor(chain, sequence, hashed), mac)


def _message(chain: int, head: Head) -> bytes:
    return orjson.dumps(["head", chain, *head[:-1]])


def _anchor(chain: int, sequence: int, hashed: str) -> bytes:
    return orjson.dumps(["anchor", chain, sequence, hashed])


def _doubted(head: Head) -> str:
    """Returns the doubts of the successor of a head without a valid MAC. The head's own doubts are part of its MAC."""
    states: list[Any] = []
    try:
        if head.doubts:
            states = orjson.loads(head.doubts) if len(head.doubts) < LONGEST_DOUBTS else [None]
        if not isinstance(states, list) or not all(s is None or (isinstance(s, list) and len(s) == 6) for s in states):
            states = [None]
        states.append([*head[:5], head.mac])
        if len(states) > MOST_DOUBTS:
            states = [None, states[-1]]
        return orjson.dumps(states).decode()
    except (ValueError, TypeError):  # a value that this server never writes
        return orjson.dumps([None, [*NOTHING[:5], ""]]).decode()


# :mod:`manifest_auth.tenants.step_up` decides whether re-authentication is recent enough, and marks the request with
# the action that it checked. The trail rejects events of such actions if the request lacks the mark, which rolls back
# the whole transaction. So an action can't succeed if it omits the check.


class NotAsked(Exception):
    """A bug: a sensitive action didn't require re-authentication."""


def check_was_asked(acting: Acting, event: Event, subject: str) -> None:
    """Raises NotAsked if re-authentication wasn't checked for the event's action in this request."""
    if not isinstance(acting, Request):
        return
    caller = acting.caller
    if not isinstance(caller, Principal | AdminCaller):
        return
    about, needed = event.about, event.about.asks
    if subject == caller.actor:
        needed |= about.asks_users if isinstance(caller, Principal) else about.asks_admins
    if needed and not needed & acting.asked:
        raise NotAsked(f"{event.value} of {caller.actor}: re-authentication wasn't checked")


# A request is identified before its body is read, and a caller can delay the body as long as the server waits. If
# something ends the session in the meantime, such as undoing an email change, that session must not act anymore.

_S, _A = sessions.c, admin_sessions.c
_ENDED = tenant_scoped(select(_S.id).where(_S.id == bindparam("sid"), _S.ended_at.is_not(None)), str)
_ENDED_OF_ADMIN = global_(select(_A.id).where(_A.id == bindparam("sid"), _A.ended_at.is_not(None)), str)


def check_is_open(unit: TenantUnit, acting: Acting, *, may_end: bool = False) -> None:
    """Raises InvalidToken if the caller's session has ended since the caller was identified. Machines and tokens of
    other systems have no session. ``may_end`` means that the action itself can end the session, so later events of the
    request skip the check."""
    if not isinstance(acting, Request):
        return
    caller, ended = acting.caller, None
    if isinstance(caller, AdminCaller):
        ended = unit.first(_ENDED_OF_ADMIN, sid=caller.session_id)
    elif isinstance(caller, Principal) and caller.tenant_id == unit.tenant_id:
        ended = unit.first(_ENDED, sid=caller.session_id)
    if ended is not None:
        raise InvalidToken(reason="the session ended in the meantime")
    acting.may_end |= may_end


INSTALLATION = 0
#: If a node's clock is behind the chain's last event by less than this, the event gets that event's time. So times and
#: numbers have the same order even if clocks of nodes differ. A larger difference means that the earlier clock was
#: wrong, so the true time is recorded.
MOST_SKEW_MS = 60_000


class Point(NamedTuple):
    """A position in a chain: an event's number and hash."""

    sequence: int
    hash: str


#: The position before the first event.
BEGINNING = Point(NOTHING.sequence, NOTHING.hash)

_H = audit_heads.c
_VALUES: dict[str, Any] = {name: bindparam(name) for name in Head._fields}
_HEAD = tenant_scoped(select(*(_H[name] for name in Head._fields)).with_for_update(), Head)
_START = tenant_scoped(  # if two transactions create a chain at the same time, the second one waits
    upsert(audit_heads).values(_VALUES).on_conflict_do_nothing(index_elements=["tenant_id"])
)
_ADVANCE = tenant_scoped(update(audit_heads).values(_VALUES))  # of a locked head
COLUMNS = ("sequence", "at", "event", "actor", "subject", "address", "request_id", "detail", "previous_hash", "hash")
_APPEND = tenant_scoped(insert(audit_events).values({name: bindparam(name) for name in COLUMNS}))
_GIVEN = row_list("given")
_APPEND_ALL = tenant_scoped(
    insert(audit_events).from_select(
        COLUMNS, select(*(cell(_GIVEN, at, audit_events.c[name]) for at, name in enumerate(COLUMNS)))
    )
)


def record(unit: TenantUnit, acting: Acting, event: Event, subject: str = "", **detail: Any) -> None:
    """Appends one event to the chain of the unit's tenant. ``subject`` is what it concerns, such as ``user:7``.

    The chain's head is locked until the transaction ends, so all nodes have the same order of a tenant's events. The
    time is taken while the lock is held. Raises InvalidToken if the session of a sensitive action has ended in the
    meantime, and ValueError for an event of the installation in another chain.
    """
    record_all(unit, acting, event, [(subject, detail)])


def record_all(unit: TenantUnit, acting: Acting, event: Event, about: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Appends events of one kind, as :func:`record` does, each with its subject and detail."""
    if not about:
        return
    for subject, _ in about:
        check_was_asked(acting, event, subject)
    if event.about.of_installation and unit.tenant_id != INSTALLATION:
        raise ValueError(f"{event.value} is an event of the installation")
    head = lock(unit)
    if isinstance(acting, Request) and acting.asked & ~Act.SESSIONS and not acting.may_end:
        check_is_open(unit, acting)  # a sensitive action, unless it only ends the caller's sessions
    if head.gone_at is not None and has_valid_mac(unit.macs, unit.tenant_id, head):
        return  # the client and its audit trail were deleted during this request
    who = acting.origin
    at = head.at if who.at < head.at <= who.at + MOST_SKEW_MS else who.at
    sequence, previous, rows = head.sequence, head.hash, []
    for subject, detail in about:
        sequence += 1
        values: dict[str, Any] = {
            "sequence": sequence,
            "at": at,
            "event": event.value,
            "actor": who.actor,
            "subject": subject,
            "address": who.address,
            "request_id": who.request_id,
            "detail": orjson.dumps({**detail, **who.told}, option=orjson.OPT_SORT_KEYS).decode(),
            "previous_hash": previous,
        }
        previous = values["hash"] = digest(unit.tenant_id, values)
        rows.append(values)
    _put(unit, head, head._replace(sequence=sequence, hash=previous, at=at))
    if len(rows) == 1:
        unit.change_later(_APPEND, **rows[0])
    else:
        unit.change(_APPEND_ALL, given=listed([row[name] for name in COLUMNS] for row in rows))


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the members of ``after`` that differ, in the form of an event's detail."""
    changed = [name for name in after if before[name] != after[name]]
    return {"before": {name: before[name] for name in changed}, "after": {name: after[name] for name in changed}}


def record_creation(unit: SystemUnit, tenant_id: int, acting: Acting, **detail: Any) -> None:
    """Starts the chain of a client that was created in this transaction, with this event.

    Each chain names its predecessor, so deleting an entire chain is detected. A chain that starts in any other way
    stays in doubt.
    """
    installation, own = unit.of(INSTALLATION), unit.of(tenant_id)
    newest = lock(installation)
    started = with_mac(own.macs, tenant_id, NOTHING._replace(previous_chain=newest.previous_chain))
    own.change(_START, **started._asdict())
    _put(installation, newest, newest._replace(previous_chain=tenant_id))
    record(own, acting, Event.CLIENT_CREATED, f"client:{tenant_id}", **detail)


def end(unit: TenantUnit, now: int) -> None:
    """Marks a chain whose events were deleted with the client. Its head stays."""
    head = lock(unit)
    _put(unit, head, head._replace(gone_at=now))


def lock(unit: TenantUnit) -> Head:
    """Returns the head of the unit's chain, locked until the transaction ends."""
    head = unit.first(_HEAD)
    if head is None:
        unit.change(_START, **NOTHING._asdict())  # without a MAC, because only record_creation starts a valid chain
        head = unit.first(_HEAD)
        assert head is not None
    return head


def _put(unit: TenantUnit, head: Head, after: Head) -> None:
    after = successor_of(unit.macs, unit.tenant_id, head, after)
    unit.change_later(_ADVANCE, **after._asdict())
    unit.expect(_HEAD, after)


def record_installation(unit: SystemUnit, acting: Acting, event: Event, subject: str = "", **detail: Any) -> None:
    """Like :func:`record`, but in the installation's chain."""
    record(unit.of(INSTALLATION), acting, event, subject, **detail)


def digest(chain: int, values: dict[str, Any]) -> str:
    """Returns the hash of an event: SHA-256 over its members in a fixed order, including the previous hash."""
    members = [chain, *(values[name] for name in COLUMNS if name != "hash")]
    return hashlib.sha256(orjson.dumps(members)).hexdigest()


# Such rejections are a missing permission, a credential for the wrong kind of route, or a missing seat. The action was
# rolled back, so each rejection is recorded in a separate unit of work. Their number is limited, because a caller can
# repeat a rejected request: one event per minute for each caller and kind, with the number of rejections since the
# previous one. Successful requests never call this.

REFUSAL_EVERY_MS = 60_000
MOST_REMEMBERED = 10_000  # remembered callers and kinds


class Refusals:
    """The rejections that this process recorded within the last minute."""

    def __init__(self, clock: Clock, store: Store) -> None:
        self._clock = clock
        self._store = store
        #: When an event with the key was last recorded, and how many were skipped since then.
        self._recorded: dict[tuple[Any, ...], tuple[int, int]] = {}

    def count(self, *key: Any) -> int | None:
        """Returns the number of rejections that were skipped since the last event with this key. None if this one
        should be skipped too."""
        now = self._clock.now_ms()
        is_new = key not in self._recorded
        at, kept_back = self._recorded.get(key, (-REFUSAL_EVERY_MS, 0))
        if 0 <= now - at < REFUSAL_EVERY_MS:
            self._recorded[key] = at, kept_back + 1
            return None
        if is_new and len(self._recorded) >= MOST_REMEMBERED:
            self._recorded = {
                one: (at, kept) for one, (at, kept) in self._recorded.items() if 0 <= now - at < REFUSAL_EVERY_MS
            }
            if len(self._recorded) >= MOST_REMEMBERED:
                return None
        self._recorded[key] = now, 0
        return kept_back

    async def record_refusal(self, request: Request, refusal: Refusal, route: str) -> None:
        """Records the rejection of a known caller. Ignores all other callers."""
        if isinstance(refusal, NoSeat):
            event = Event.SEAT_REFUSED
        elif isinstance(refusal, Forbidden):
            event = Event.ACCESS_REFUSED
        else:
            return
        if isinstance(request.caller, Principal):
            chain = request.caller.tenant_id
        elif isinstance(request.caller, AdminCaller):
            chain = INSTALLATION
        else:
            return
        await self.put(request, chain, request.caller.actor, event, refusal.logged or refusal.message, route)

    async def put(self, request: Request, chain: int, actor: str, event: Event, why: str, route: str) -> None:
        """Records a rejection in that chain, unless one for this caller, event, and route was recorded within a minute.
        An unavailable database doesn't change the response."""
        kept_back = self.count(chain, actor, event, route)
        if kept_back is None:
            return
        origin = request.origin._replace(actor=actor)
        more = {"kept_back": kept_back} if kept_back else {}

        with contextlib.suppress(StoreUnavailable):
            await self._store.of(chain).write_quickly(
                lambda unit: record(unit, origin, event, actor, why=why, route=route, **more)
            )
