"""Tables of apps and devices.

Apps with their secrets, grants and notices; devices of people with their pairings; enrolled devices, badges and PINs.

Programs that don't know these tables delete clients and users, so every row is deleted with its owner.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ForeignKeyConstraint, Index, Integer, Table, Text, UniqueConstraint

from manifest_auth.store.tables.columns import BigInt, owned_table, row_of, sealed, tenant, time

#: States of a grant: its device waits, was approved, was denied, or has had its session.
PENDING, APPROVED, DENIED, USED = "pending", "approved", "denied", "used"


def _table(name: str, *parts: Any) -> Table:
    return owned_table(name, tenant(goes_with=True), *parts)


apps = _table(  # apps of a client, except its default one; named before there were other kinds
    "device_apps",
    Column("id", Text, primary_key=True),  # the client id
    Column("name", Text, nullable=False),
    time("created_at"),
    Column("created_by", Text, nullable=False),  # the actor, as in the audit trail
    # Programs that don't know the following columns treat every app as a device app.
    Column("kind", Text, nullable=False, server_default="device"),  # `web`, `browser`, `native` or `device`
    Column("redirect_uris", Text, nullable=False, server_default=""),  # lists are separated by spaces
    Column("post_logout_uris", Text, nullable=False, server_default=""),
    Column("allowed_origins", Text, nullable=False, server_default=""),
    Column("scopes", Text, nullable=False, server_default=""),  # that it can request
    Column("roles", Integer, nullable=False, server_default="0"),  # bit mask: who can sign in; 0: everyone
    Column("consent", Integer, nullable=False, server_default="0"),  # 1: users are asked
    Column("second_factor", Integer, nullable=False, server_default="0"),  # 1: always required
    Column("access_s", Integer, nullable=False, server_default="900"),  # lifetime of its access tokens
    Column("refresh_days", Integer, nullable=False, server_default="30"),
    Column("id_token_alg", Text, nullable=False, server_default="RS256"),
    Column("backchannel_uri", Text),  # notified of the end of its sessions
    Column("jwks", Text),  # JSON (RFC 7517): public keys of its assertions
    time("last_used_at", nullable=True),
    time("removed_at", nullable=True),  # the row stays until no notice of its sessions needs it
    Index(None, "id"),
)


def _of_app(*, is_key: bool = False) -> tuple[Column[str], ForeignKeyConstraint]:
    """Returns the columns of the app that a row belongs to, and is deleted with."""
    there = ["device_apps.tenant_id", "device_apps.id"]
    goes_with = ForeignKeyConstraint(["tenant_id", "app_id"], there, ondelete="CASCADE")
    return Column("app_id", Text, primary_key=is_key, nullable=False), goes_with


app_secrets = _table(
    "app_secrets",
    Column("id", Text, primary_key=True),  # 96 random bits
    *_of_app(),
    Column("hash", Text, nullable=False),  # SHA-256 of the secret, which has 256 random bits
    Column("hint", Text, nullable=False),  # its last four characters
    time("created_at"),
    Column("created_by", Text, nullable=False),
    time("ends_at", nullable=True),  # null: never
    Index(None, "tenant_id", "app_id"),
    Index(None, "ends_at"),
)

app_grants = _table(  # apps that a user allowed
    "app_grants",
    *row_of("users", "user_id", is_key=True, goes_with=True),
    *_of_app(is_key=True),
    Column("scopes", Text, nullable=False),
    time("given_at"),
    time("consented_at", nullable=True),  # null: the user was never asked
    time("last_used_at"),
    time("recorded_at", nullable=True),  # when the audit trail last recorded it
    Index(None, "tenant_id", "app_id"),
)

logout_notices = _table(  # one for each session whose end an app must learn
    "logout_notices",
    Column("session_id", Text, primary_key=True),
    Column("parent_id", Text, nullable=False),  # the browser's session, whose end counts too
    Column("user_id", BigInt, nullable=False),  # no foreign key: sessions of deleted users end too
    Column("app_id", Text, nullable=False),
    time("due_at"),  # the planned end of the session, then the next attempt
    Column("tries", Integer, nullable=False, server_default="0"),
    Index(None, "due_at"),
)

device_grants = _table(  # a device that waits for a person, by code (RFC 8628) or by scanning
    "device_grants",
    Column("key", Text, primary_key=True),  # SHA-256 of the device code
    Column("user_code", Text),  # HMAC; null for scanning
    Column("app_id", Text, nullable=False),
    Column("device_name", Text, nullable=False),  # as the device reports it
    Column("address", Text, nullable=False),  # the device's address
    Column("user_agent", Text, nullable=False),
    Column("digits", Text, nullable=False),  # two digits that the device shows; empty for a code
    Column("state", Text, nullable=False),
    *row_of("users", "user_id", nullable=True, goes_with=True),  # who approved it
    Column("role_cap", Integer),  # its session's cap, fixed at approval
    Column("provider_id", BigInt),  # the provider that opened the approving session; null: none
    time("approved_at", nullable=True),
    time("session_ends_at", nullable=True),
    Column("session_id", Text),
    time("answered_at", nullable=True),  # when it first got its tokens
    Column("interval_s", Integer, nullable=False),  # between two polls
    time("polled_at", nullable=True),
    time("created_at"),
    time("expires_at"),
    UniqueConstraint("tenant_id", "user_code"),
    Index(None, "tenant_id", "app_id", "expires_at"),
    Index(None, "expires_at"),
)

pairings = _table(  # a person's code, which a device scans
    "pairings",
    Column("id", Text, primary_key=True),  # 128 random bits
    *row_of("users", "user_id", goes_with=True),
    Column("session_id", Text, nullable=False),  # the person's session
    Column("code", Text, nullable=False),  # SHA-256 of what is scanned
    Column("typed", Text, nullable=False),  # HMAC of what is typed
    Column("grant_key", Text),  # the grant of the device that claimed it; null: none yet
    time("created_at"),
    time("code_ends_at"),
    time("expires_at"),
    Index(None, "tenant_id", "code"),
    Index(None, "tenant_id", "typed"),
    Index(None, "tenant_id", "user_id", "expires_at"),
    Index(None, "expires_at"),
)

device_enrolments = _table(  # a code that enrolls one shared device
    "device_enrolments",
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),  # the new device's name
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

enrolled_devices = _table(  # shared devices that belong to the client
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
    time("temporary_until", nullable=True),  # set for a PIN from a manager, even after it was replaced at a device
    Column("given_by", Text),  # the manager, as in the audit trail
    Column("given", Integer, nullable=False, server_default="0"),  # 1: as issued by a manager; replaced at first use
    Column("wrong", Integer, nullable=False, server_default="0"),  # consecutive wrong attempts
    time("wrong_at", nullable=True),
    time("dead_at", nullable=True),  # after too many wrong attempts
)
