"""Recording of audit events, in the transaction of the act, chained so that a removed or altered event is noticed.

Each tenant has its own chain; chain 0 is the installation's. An event's hash covers its members and the previous
event's hash; the chain's head has a MAC (:mod:`.chain_macs`). ``detail`` never contains secrets.
"""

from __future__ import annotations

import enum
import hashlib
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, insert, select, update

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


class Event(enum.Enum):
    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_REFUSED = "sign_in_refused"
    ACCESS_REFUSED = "access_refused"
    SEAT_REFUSED = "seat_refused"
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
    BRANDING_CHANGED = "branding_changed"
    CLIENT_SUSPENDED = "client_suspended"
    CLIENT_RESTORED = "client_restored"
    CLIENT_DELETION_STARTED = "client_deletion_started"
    CLIENT_DELETED = "client_deleted"
    USER_CREATED = "user_created"
    USER_CHANGED = "user_changed"
    USER_ROLES_CHANGED = "user_roles_changed"
    ADMIN_GAINED = "admin_gained"
    ADMIN_ROLE_WITHHELD = "admin_role_withheld"
    CREDENTIALS_DROPPED = "credentials_dropped"
    USER_DEACTIVATED = "user_deactivated"
    USER_RESTORED = "user_restored"
    USER_INVITED = "user_invited"
    INVITATION_ACCEPTED = "invitation_accepted"
    PASSWORD_RESET_STARTED = "password_reset_started"
    PASSWORD_RESET = "password_reset"
    EMAIL_CHANGE_STARTED = "email_change_started"
    EMAIL_CHANGED = "email_changed"
    EMAIL_CHANGE_UNDONE = "email_change_undone"
    MAIL_FAILED = "mail_failed"
    IDENTITY_LINKED = "identity_linked"
    IDENTITY_CONFIRMED = "identity_confirmed"
    IDENTITY_UNLINKED = "identity_unlinked"
    PROVIDER_CREATED = "provider_created"
    PROVIDER_CHANGED = "provider_changed"
    PROVIDER_SWITCHED_OFF = "provider_switched_off"
    PROVIDER_SWITCHED_ON = "provider_switched_on"
    PROVIDER_TRIED = "provider_tried"
    PROVIDER_DELETED = "provider_deleted"
    DOMAIN_CLAIMED = "domain_claimed"
    DOMAIN_PROVED = "domain_proved"
    DOMAIN_FAILING = "domain_failing"
    DOMAIN_LAPSED = "domain_lapsed"
    DOMAIN_CONTESTED = "domain_contested"
    DOMAIN_MOVED = "domain_moved"
    DOMAIN_VOUCHED = "domain_vouched"
    DOMAIN_RELEASED = "domain_released"
    ASSERTION_REPLAYED = "assertion_replayed"
    SIGN_IN_CODE_REUSED = "sign_in_code_reused"
    SETUP_CODE_MADE = "setup_code_made"
    SETUP_CODE_FAILED = "setup_code_failed"
    ADMIN_CREATED = "admin_created"
    ADMIN_DISABLED = "admin_disabled"
    ADMIN_ENABLED = "admin_enabled"
    ADMIN_PASSWORD_RESET = "admin_password_reset"
    SECOND_FACTOR_BEGUN = "second_factor_begun"
    SECOND_FACTOR_ENROLLED = "second_factor_enrolled"
    SECOND_FACTOR_REMOVED = "second_factor_removed"
    SECOND_FACTOR_FAILED = "second_factor_failed"
    SECOND_FACTOR_RESET = "second_factor_reset"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_RENAMED = "passkey_renamed"
    PASSKEY_REMOVED = "passkey_removed"
    PASSKEY_COUNTER_REGRESSED = "passkey_counter_regressed"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    RECOVERY_CODE_USED = "recovery_code_used"
    BROWSER_TRUSTED = "browser_trusted"
    BROWSER_TRUST_ENDED = "browser_trust_ended"
    REAUTHENTICATED = "reauthenticated"
    REAUTHENTICATION_FAILED = "reauthentication_failed"
    DEVICE_APP_CREATED = "device_app_created"
    DEVICE_APP_CHANGED = "device_app_changed"
    DEVICE_APP_REMOVED = "device_app_removed"
    PAIRING_BEGUN = "pairing_begun"
    PAIRING_CLAIMED = "pairing_claimed"
    DEVICE_APPROVED = "device_approved"
    DEVICE_DENIED = "device_denied"
    DEVICE_CODE_REUSED = "device_code_reused"
    SERVICE_ACCOUNT_CREATED = "service_account_created"
    SERVICE_ACCOUNT_CHANGED = "service_account_changed"
    SERVICE_ACCOUNT_DISABLED = "service_account_disabled"
    SERVICE_ACCOUNT_ENABLED = "service_account_enabled"
    SERVICE_ACCOUNT_DELETED = "service_account_deleted"
    SERVICE_TOKEN_ISSUED = "service_token_issued"
    SERVICE_SIGNED_IN = "service_signed_in"
    API_KEY_CREATED = "api_key_created"
    API_KEY_ROTATED = "api_key_rotated"
    API_KEY_REVOKED = "api_key_revoked"
    API_KEY_EXPIRED = "api_key_expired"
    CLIENT_SECRET_CREATED = "client_secret_created"
    CLIENT_SECRET_REVOKED = "client_secret_revoked"
    DEVICE_ENROLMENT_BEGUN = "device_enrolment_begun"
    DEVICE_ENROLMENT_DROPPED = "device_enrolment_dropped"
    DEVICE_ENROLLED = "device_enrolled"
    DEVICE_REMOVED = "device_removed"
    BADGE_ISSUED = "badge_issued"
    BADGE_ENDED = "badge_ended"
    BADGE_PIN_SET = "badge_pin_set"
    BADGE_PIN_RESET = "badge_pin_reset"
    BADGE_PIN_DEAD = "badge_pin_dead"
    INSTALLATION_CHANGED = "installation_changed"
    THROTTLES_CLEARED = "throttles_cleared"
    KEYS_MADE = "keys_made"
    KEYS_ROTATED = "keys_rotated"
    KEY_RETIRED = "key_retired"
    SECRETS_REENCRYPTED = "secrets_reencrypted"
    SECRET_KEY_LOST = "secret_key_lost"
    LICENSE_INSTALLED = "license_installed"
    LICENSE_REFUSED = "license_refused"
    LICENSE_STATE_CHANGED = "license_state_changed"
    BACKED_UP = "backed_up"
    RESTORED = "restored"
    SCHEMA_UPGRADED = "schema_upgraded"
    AUDIT_SWEPT = "audit_swept"
    AUDIT_RESTARTED = "audit_restarted"
    AUDIT_EXPORTED = "audit_exported"
    DIRECTORY_CLAIMED = "directory_claimed"
    DIRECTORY_PROVED = "directory_proved"
    DIRECTORY_VOUCHED = "directory_vouched"
    DIRECTORY_GRANTED = "directory_granted"
    DIRECTORY_REVOKED = "directory_revoked"
    DIRECTORY_RELEASED = "directory_released"
    PROVIDER_NAME_PINNED = "provider_name_pinned"


#: Of the installation alone: no client's chain ever has one.
OF_THE_INSTALLATION = frozenset({
    Event.CLIENT_DELETED, Event.SETUP_CODE_MADE, Event.SETUP_CODE_FAILED, Event.ADMIN_CREATED, Event.ADMIN_DISABLED,
    Event.ADMIN_ENABLED, Event.ADMIN_PASSWORD_RESET, Event.INSTALLATION_CHANGED, Event.KEYS_MADE, Event.KEYS_ROTATED,
    Event.KEY_RETIRED, Event.SECRETS_REENCRYPTED, Event.SECRET_KEY_LOST, Event.LICENSE_INSTALLED, Event.LICENSE_REFUSED,
    Event.LICENSE_STATE_CHANGED, Event.BACKED_UP, Event.RESTORED, Event.SCHEMA_UPGRADED, Event.PROVIDER_NAME_PINNED,
})  # fmt: skip


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
    check_was_asked(acting, event.value, subject)
    if event in OF_THE_INSTALLATION and unit.tenant_id != INSTALLATION:
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
