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
from manifest_auth.store import SystemUnit, TenantUnit, bound, upsert
from manifest_auth.store.tables import audit_events, audit_heads

INSTALLATION = 0


class Event(enum.Enum):
    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_REFUSED = "sign_in_refused"
    THROTTLED = "throttled"
    EVENTS_LEFT_OUT = "events_left_out"
    SIGNED_OUT = "signed_out"
    SIGNED_OUT_ALL = "signed_out_all"
    SESSION_ENDED = "session_ended"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"
    PASSWORD_CHANGED = "password_changed"
    PASSWORD_CHECK_FAILED = "password_check_failed"
    PASSWORD_REHASHED = "password_rehashed"
    CLIENT_CREATED = "client_created"
    CLIENT_CHANGED = "client_changed"
    CLIENT_SUSPENDED = "client_suspended"
    CLIENT_RESTORED = "client_restored"
    CLIENT_DELETION_STARTED = "client_deletion_started"
    CLIENT_DELETED = "client_deleted"
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
    ADMIN_DISABLED = "admin_disabled"
    ADMIN_ENABLED = "admin_enabled"
    ADMIN_PASSWORD_RESET = "admin_password_reset"
    SECOND_FACTOR_ENROLLED = "second_factor_enrolled"
    SECOND_FACTOR_REMOVED = "second_factor_removed"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    INSTALLATION_CHANGED = "installation_changed"
    THROTTLES_CLEARED = "throttles_cleared"
    KEYS_MADE = "keys_made"
    KEYS_ROTATED = "keys_rotated"
    KEY_RETIRED = "key_retired"
    SECRETS_REENCRYPTED = "secrets_reencrypted"
    LICENSE_INSTALLED = "license_installed"
    LICENSE_REFUSED = "license_refused"
    BACKED_UP = "backed_up"
    RESTORED = "restored"
    AUDIT_SWEPT = "audit_swept"


class Point(NamedTuple):
    """Where a chain has come to: its last event's number and hash."""

    sequence: int
    hash: str


#: Before the first event.
BEGINNING = Point(0, "0" * 64)


_HEAD = bound(select(audit_heads.c.sequence, audit_heads.c.hash).with_for_update(), Point)
_START = bound(  # of two who begin a chain at once, the second waits for the first
    upsert(audit_heads)
    .values(sequence=BEGINNING.sequence, hash=BEGINNING.hash)
    .on_conflict_do_nothing(index_elements=["tenant_id"])
)
_ADVANCE = bound(
    update(audit_heads)
    .where(audit_heads.c.sequence == bindparam("before"))
    .values(sequence=bindparam("sequence"), hash=bindparam("hash"))
)
COLUMNS = ("sequence", "at", "event", "actor", "subject", "address", "request_id", "detail", "previous_hash", "hash")
_APPEND = bound(insert(audit_events).values({name: bindparam(name) for name in COLUMNS}))


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
    head = lock(unit)
    values: dict[str, Any] = {
        "sequence": head.sequence + 1,
        "at": who.at,
        "event": event.value,
        "actor": who.actor,
        "subject": subject,
        "address": who.address,
        "request_id": who.request_id,
        "detail": orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode(),
        "previous_hash": head.hash,
    }
    values["hash"] = digest(unit.tenant_id, values)
    unit.change(_ADVANCE, before=head.sequence, sequence=values["sequence"], hash=values["hash"])
    unit.change(_APPEND, **values)


def lock(unit: TenantUnit) -> Point:
    """The head of the unit's chain, which nobody else changes until the transaction ends."""
    head = unit.first(_HEAD)
    if head is None:
        unit.change(_START)
        head = unit.first(_HEAD)
        assert head is not None
    return head


def record_installation(
    unit: SystemUnit, origin: Context | Origin, event: Event, subject: str = "", **detail: Any
) -> None:
    """As :func:`record`, in the installation's own chain."""
    record(unit.of(INSTALLATION), origin, event, subject, **detail)


def digest(chain: int, values: dict[str, Any]) -> str:
    """The hash of an event: SHA-256 over its members in fixed order, the hash before it among them."""
    members = [chain, *(values[name] for name in COLUMNS if name != "hash")]
    return hashlib.sha256(orjson.dumps(members)).hexdigest()
