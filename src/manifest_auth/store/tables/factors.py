"""Tables of second factors: of users, with trusted browsers and challenges, and of system admins."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from manifest_auth.store.tables.columns import OWNED, BigInt, metadata, row_of, sealed, tenant, time


def _table(name: str, *parts: Any) -> Table:
    """A table whose rows belong to a user."""
    return Table(name, metadata, tenant(), *parts, info=OWNED, sqlite_strict=True)


user_totps = _table(  # one for each user (RFC 6238), see accounts/factors/one_time_codes.py
    "user_totps",
    *row_of("users", "user_id", is_key=True),
    sealed("secret", "user_totps/{tenant_id}/{user_id}/secret", nullable=True),  # null: no app counts yet
    sealed("next_secret", "user_totps/{tenant_id}/{user_id}/next_secret", nullable=True),  # waits for its first code
    Column("next_session_id", Text),  # that made it: no other one sees or confirms it
    time("created_at"),
    Column("last_step", BigInt, nullable=False),  # of the last used code: no code works twice
    time("last_used_at", nullable=True),
)

passkeys = _table(  # WebAuthn Level 3 credentials, see accounts/factors/passkey_rows.py
    "passkeys",
    Column("id", Text, primary_key=True),  # 96 random bits
    *row_of("users", "user_id"),
    Column("credential_id", Text, nullable=False),  # base64url
    Column("public_key", LargeBinary, nullable=False),  # COSE
    Column("algorithm", Integer, nullable=False),
    Column("counter", BigInt, nullable=False),
    Column("transports", Text, nullable=False),  # separated by blanks, hints for the browser
    Column("aaguid", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("backup_eligible", Integer, nullable=False),  # never changes
    Column("backup_state", Integer, nullable=False),
    Column("rp_id", Text, nullable=False),
    time("created_at"),
    time("last_used_at", nullable=True),
    UniqueConstraint("tenant_id", "credential_id"),
    Index(None, "tenant_id", "user_id"),
)

passkey_owners = Table(  # the client that has a credential: no two accounts of the installation have the same
    "passkey_owners",
    metadata,
    Column("credential_id", Text, primary_key=True),
    Column("tenant_id", BigInt, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "credential_id"], ["passkeys.tenant_id", "passkeys.credential_id"], ondelete="CASCADE"
    ),
    Index(None, "tenant_id", "credential_id"),
    sqlite_strict=True,
)

passkey_handles = _table(  # `user.id` of WebAuthn: 64 random bytes that tell nothing about the person
    "passkey_handles",
    *row_of("users", "user_id", is_key=True),
    Column("handle", Text, nullable=False),  # base64url
)

recovery_codes = _table(
    "recovery_codes",
    *row_of("users", "user_id", is_key=True),
    Column("key", Text, primary_key=True),  # SHA-256 of a code, which has 120 random bits
    time("created_at"),
    time("used_at", nullable=True),
)

trusted_browsers = _table(  # browsers that are not asked for the second factor for a while
    "trusted_browsers",
    Column("id", Text, primary_key=True),  # 96 random bits
    *row_of("users", "user_id"),
    Column("key", Text, nullable=False),  # SHA-256 of the cookie's value
    Column("user_agent", Text, nullable=False),
    Column("address", Text, nullable=False),
    time("created_at"),
    time("ends_at"),
    Index(None, "tenant_id", "user_id"),
    Index(None, "ends_at"),
)

sign_in_challenges = _table(  # a sign-in that waits for its second factor, see accounts/factors/challenges.py
    "sign_in_challenges",
    Column("key", Text, primary_key=True),  # SHA-256 of the challenge
    *row_of("users", "user_id"),
    Column("purpose", Text, nullable=False),  # `session`, `code` or `link`: what a right answer leads to
    Column("method", Text, nullable=False),
    Column("amr", Text, nullable=False),  # proved so far, separated by blanks
    time("authenticated_at", nullable=True),
    Column("proof", Text, nullable=False),  # SHA-256 of the user's password hash at that time, empty without one
    Column("provider_id", BigInt),
    Column("link_id", BigInt),
    Column("enrols", Integer, nullable=False),  # 1: a factor has to be enrolled, 0: one is there
    sealed("secrets", "sign_in_challenges/{key}/secrets"),  # JSON, see accounts/factors/challenges.py
    Column("tries", Integer, nullable=False),
    time("expires_at"),
    time("used_at", nullable=True),
    Index(None, "key"),
    Index(None, "tenant_id", "user_id"),
    Index(None, "expires_at"),
)

used_passkey_challenges = Table(  # challenges of anonymous callers that a right answer has used up
    "used_passkey_challenges",
    metadata,
    Column("key", Text, primary_key=True),  # SHA-256
    time("expires_at"),
    Index(None, "expires_at"),
    sqlite_strict=True,
)


admin_second_factors = Table(  # TOTP (RFC 6238), see accounts/admins/second_factor.py
    "admin_second_factors",
    metadata,
    Column("admin_id", BigInt, ForeignKey("system_admins.id"), primary_key=True, autoincrement=False),
    sealed("secret", "admin_second_factors/{admin_id}/secret"),
    time("created_at"),
    time("confirmed_at", nullable=True),  # required at sign-in from then on
    Column("last_step", BigInt, nullable=False),  # of the last used code: no code works twice
    sqlite_strict=True,
)

admin_recovery_codes = Table(
    "admin_recovery_codes",
    metadata,
    Column("admin_id", BigInt, ForeignKey("system_admins.id"), primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),  # SHA-256 of admin and code
    time("used_at", nullable=True),
    sqlite_strict=True,
)
