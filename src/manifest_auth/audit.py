"""The audit trail: what happened, in the same transaction as the act, chained so that a removed or altered event shows.

Each tenant has a chain of its own; the installation's acts stand in chain 0. An event's hash covers its members and the
hash of the event before it. Secrets never go into ``detail``.
"""

from __future__ import annotations

import enum
import hashlib
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, insert, select, update

from manifest_auth.context import Context
from manifest_auth.store import SystemUnit, TenantUnit, bound
from manifest_auth.store.tables import audit_events, audit_heads

INSTALLATION = 0
_FIRST = "0" * 64


class Event(enum.Enum):
    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_REFUSED = "sign_in_refused"
    THROTTLED = "throttled"
    SIGNED_OUT = "signed_out"
    SIGNED_OUT_ALL = "signed_out_all"
    SESSION_ENDED = "session_ended"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"
    PASSWORD_CHANGED = "password_changed"
    PASSWORD_REHASHED = "password_rehashed"
    CLIENT_CREATED = "client_created"
    CLIENT_CHANGED = "client_changed"
    CLIENT_SUSPENDED = "client_suspended"
    CLIENT_RESTORED = "client_restored"
    USER_CREATED = "user_created"
    USER_CHANGED = "user_changed"
    USER_ROLES_CHANGED = "user_roles_changed"
    USER_DEACTIVATED = "user_deactivated"
    USER_RESTORED = "user_restored"
    USER_INVITED = "user_invited"
    INVITATION_ACCEPTED = "invitation_accepted"
    PASSWORD_RESET_STARTED = "password_reset_started"
    PASSWORD_RESET = "password_reset"
    IDENTITY_LINKED = "identity_linked"
    IDENTITY_UNLINKED = "identity_unlinked"
    PROVIDER_CREATED = "provider_created"
    PROVIDER_CHANGED = "provider_changed"
    PROVIDER_SWITCHED_OFF = "provider_switched_off"
    PROVIDER_SWITCHED_ON = "provider_switched_on"
    PROVIDER_DELETED = "provider_deleted"
    ASSERTION_REPLAYED = "assertion_replayed"
    SIGN_IN_CODE_REUSED = "sign_in_code_reused"
    ADMIN_CREATED = "admin_created"
    KEYS_ROTATED = "keys_rotated"
    LICENSE_INSTALLED = "license_installed"
    LICENSE_REFUSED = "license_refused"


class _Head(NamedTuple):
    sequence: int
    hash: str


_HEAD = bound(select(audit_heads.c.sequence, audit_heads.c.hash).with_for_update(), _Head)
_START = bound(insert(audit_heads).values(sequence=bindparam("sequence"), hash=bindparam("hash")))
_ADVANCE = bound(
    update(audit_heads)
    .where(audit_heads.c.sequence == bindparam("before"))
    .values(sequence=bindparam("sequence"), hash=bindparam("hash"))
)
_COLUMNS = ("sequence", "at", "event", "actor", "subject", "address", "request_id", "detail", "previous_hash", "hash")
_APPEND = bound(insert(audit_events).values({name: bindparam(name) for name in _COLUMNS}))


class Origin(NamedTuple):
    """Who acts, from where, and when: taken from a request, or made up by the command line."""

    at: int
    actor: str
    address: str
    request_id: str


def origin_of(ctx: Context) -> Origin:
    return Origin(ctx.now, ctx.caller.actor, ctx.address, ctx.request_id)


def record(unit: TenantUnit, origin: Context | Origin, event: Event, subject: str = "", **detail: Any) -> None:
    """Appends one event to the chain of the unit's tenant. ``subject``: whom it concerns, like ``user:7``.

    The chain's head is locked until the transaction ends, so events of one tenant are in one order on every node.
    """
    who = origin if isinstance(origin, Origin) else origin_of(origin)
    head = unit.first(_HEAD)
    before = head.sequence if head else 0
    values: dict[str, Any] = {
        "sequence": before + 1,
        "at": who.at,
        "event": event.value,
        "actor": who.actor,
        "subject": subject,
        "address": who.address,
        "request_id": who.request_id,
        "detail": orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode(),
        "previous_hash": head.hash if head else _FIRST,
    }
    values["hash"] = digest(unit.tenant_id, values)
    if head is None:
        unit.change(_START, sequence=values["sequence"], hash=values["hash"])
    else:
        unit.change(_ADVANCE, before=before, sequence=values["sequence"], hash=values["hash"])
    unit.change(_APPEND, **values)


def record_installation(
    unit: SystemUnit, origin: Context | Origin, event: Event, subject: str = "", **detail: Any
) -> None:
    """As :func:`record`, in the installation's own chain."""
    record(unit.of(INSTALLATION), origin, event, subject, **detail)


def digest(chain: int, values: dict[str, Any]) -> str:
    """The hash of an event: SHA-256 over its members in fixed order, the hash before it among them."""
    members = [chain, *(values[name] for name in _COLUMNS if name != "hash")]
    return hashlib.sha256(orjson.dumps(members)).hexdigest()
