"""Tables of devices: apps, grants and pairings of people; enrolled devices, badges and their PINs.

Programs that do not know them delete clients and users, so every row goes with its own.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, Integer, Table, Text, UniqueConstraint

from manifest_auth.store.tables.columns import BigInt, owned_table, row_of, sealed, tenant, time

#: States of a grant: of a device that waits, was let in, was refused, or has had its session.
PENDING, APPROVED, DENIED, USED = "pending", "approved", "denied", "used"


def _table(name: str, *parts: Any) -> Table:
    return owned_table(name, tenant(goes_with=True), *parts)


device_apps = _table(  # public OAuth clients of a tenant, beside the one that every tenant has
    "device_apps",
    Column("id", Text, primary_key=True),  # the client id
    Column("name", Text, nullable=False),
    time("created_at"),
    Column("created_by", Text, nullable=False),  # the actor, as in the audit trail
    Index(None, "id"),
)

device_grants = _table(  # a device that waits for a person, by code (RFC 8628) or by scanning
    "device_grants",
    Column("key", Text, primary_key=True),  # SHA-256 of the device code
    Column("user_code", Text),  # HMAC; null: by scanning
    Column("app_id", Text, nullable=False),
    Column("device_name", Text, nullable=False),  # as it calls itself
    Column("address", Text, nullable=False),  # of the device
    Column("user_agent", Text, nullable=False),
    Column("digits", Text, nullable=False),  # two digits that the device shows; empty: by code
    Column("state", Text, nullable=False),
    *row_of("users", "user_id", nullable=True, goes_with=True),  # who let it in
    Column("role_cap", Integer),  # of its session, as of the approval
    Column("provider_id", BigInt),  # that opened the session by which it was let in; null: none did
    time("approved_at", nullable=True),
    time("session_ends_at", nullable=True),
    Column("session_id", Text),
    time("answered_at", nullable=True),  # when it got its tokens first
    Column("interval_s", Integer, nullable=False),  # between two polls
    time("polled_at", nullable=True),
    time("created_at"),
    time("expires_at"),
    UniqueConstraint("tenant_id", "user_code"),
    Index(None, "tenant_id", "app_id", "expires_at"),
    Index(None, "expires_at"),
)

pairings = _table(  # a person who shows a code, which a device scans
    "pairings",
    Column("id", Text, primary_key=True),  # 128 random bits
    *row_of("users", "user_id", goes_with=True),
    Column("session_id", Text, nullable=False),  # of the person
    Column("code", Text, nullable=False),  # SHA-256 of what is scanned
    Column("typed", Text, nullable=False),  # HMAC of what is typed
    Column("grant_key", Text),  # the grant of the device that holds it; null: none does yet
    time("created_at"),
    time("code_ends_at"),
    time("expires_at"),
    Index(None, "tenant_id", "code"),
    Index(None, "tenant_id", "typed"),
    Index(None, "tenant_id", "user_id", "expires_at"),
    Index(None, "expires_at"),
)

device_enrolments = _table(  # a code with which one shared device is enrolled
    "device_enrolments",
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),  # of the device to come
    Column("place", Text, nullable=False),
    Column("code", Text, nullable=False),  # SHA-256 of what is scanned
    Column("typed", Text, nullable=False),  # HMAC of what is typed
    Column("created_by", Text, nullable=False),
    time("created_at"),
    time("expires_at"),
    time("used_at", nullable=True),
    Index(None, "tenant_id", "code"),
    Index(None, "tenant_id", "typed"),
    Index(None, "expires_at"),
)

enrolled_devices = _table(  # shared devices, which belong to the client
    "enrolled_devices",
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("token", Text, nullable=False),  # SHA-256 of its token, which has 256 random bits
    Column("enrolled_by", Text, nullable=False),
    time("enrolled_at"),
    time("seen_at"),
    time("removed_at", nullable=True),
    Index(None, "token"),
    Index(None, "tenant_id", "enrolled_at", "id"),
    Index(None, "seen_at"),
    Index(None, "removed_at"),
)

badges = _table(
    "badges",
    Column("id", Text, primary_key=True),
    *row_of("users", "user_id", goes_with=True),
    Column("kind", Text, nullable=False),  # `standard` or `temporary`
    Column("code", Text, nullable=False),  # SHA-256 of what it shows, which has 128 random bits
    Column("issued_by", Text, nullable=False),
    time("issued_at"),
    time("ends_at"),
    time("ended_at", nullable=True),
    time("last_used_at", nullable=True),
    Index(None, "tenant_id", "code"),
    Index(None, "tenant_id", "user_id"),
    Index(None, "ends_at"),
)

badge_pins = _table(
    "badge_pins",
    *row_of("users", "user_id", is_key=True, goes_with=True),
    Column("hash", Text, nullable=False),  # Argon2id over an HMAC under the next
    sealed("pepper", "badge_pins/{tenant_id}/{user_id}/pepper"),
    time("set_at"),
    time("temporary_until", nullable=True),  # of one that a manager gave, also once it was replaced at a device
    Column("given_by", Text),  # that manager, as in the audit trail
    Column("given", Integer, nullable=False, server_default="0"),  # 1: as a manager gave it; its first use replaces it
    Column("wrong", Integer, nullable=False, server_default="0"),  # wrong ones in a row
    time("wrong_at", nullable=True),
    time("dead_at", nullable=True),  # after too many wrong ones
)
