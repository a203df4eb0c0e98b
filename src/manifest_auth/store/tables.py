"""All tables on one page.

Conventions: times are whole milliseconds since 1970 UTC (``…_at``), the same number in both stores; texts are UTF-8;
a table that belongs to a tenant has a ``tenant_id`` and says so in ``info``, and :mod:`.statements` lets no statement
touch it that is not bound to one tenant. Ids are never reused.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigInt = BigInteger().with_variant(Integer, "sqlite")
OWNED = {"owner": "tenant"}


def _id() -> Column[int]:
    return Column("id", BigInt, Identity(), primary_key=True)


def _at(name: str, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _tenant(**options: Any) -> Column[int]:
    return Column("tenant_id", BigInt, ForeignKey("tenants.id"), nullable=False, **options)


# -- the installation ------------------------------------------------------------------------------------------------

installation = Table(  # facts about the whole installation: its id, whether it was filled by --demo
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", Text, primary_key=True),  # the `kid`
    Column("purpose", Text, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("secret", LargeBinary, nullable=False),  # encrypted, see tokens/keys.py
    _at("created_at"),
    _at("retired_at", nullable=True),  # signs nothing new from then on
    _at("expires_at", nullable=True),  # verifies nothing from then on
    Index(None, "purpose"),
)

system_admins = Table(
    "system_admins",
    metadata,
    _id(),
    Column("username", Text, nullable=False),
    Column("username_key", Text, nullable=False, unique=True),  # case-folded
    Column("password_hash", Text, nullable=False),
    _at("created_at"),
    _at("disabled_at", nullable=True),
    _at("last_sign_in_at", nullable=True),
    sqlite_autoincrement=True,
)

admin_sessions = Table(
    "admin_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("admin_id", BigInt, ForeignKey("system_admins.id"), nullable=False),
    _at("created_at"),
    _at("ends_at"),
    _at("ended_at", nullable=True),
    Column("end_reason", Text),
    _at("last_used_at"),
    Column("address", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("refresh_current", Text, nullable=False),
    Column("refresh_previous", Text),
    _at("refresh_changed_at"),
    Index(None, "admin_id"),
    Index(None, "ends_at"),
)

throttles = Table(  # failures by key; a key is a hash, since it is made of addresses and e-mails that may not exist
    "throttles",
    metadata,
    Column("key", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    _at("allowed_at"),
    _at("updated_at"),
    Index(None, "updated_at"),
)

tenants = Table(
    "tenants",
    metadata,
    _id(),
    Column("identifier", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("settings", Text, nullable=False),  # JSON, see tenants.TenantSettings
    _at("created_at"),
    _at("suspended_at", nullable=True),
    sqlite_autoincrement=True,
)

# -- what belongs to a tenant ----------------------------------------------------------------------------------------

users = Table(
    "users",
    metadata,
    _id(),
    _tenant(),
    Column("email", Text, nullable=False),
    Column("email_key", Text, nullable=False),  # case-folded
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("roles", Integer, nullable=False),  # bit mask, see permissions.Role
    Column("password_hash", Text),
    _at("password_changed_at", nullable=True),
    _at("created_at"),
    _at("deactivated_at", nullable=True),
    _at("last_sign_in_at", nullable=True),
    UniqueConstraint("tenant_id", "email_key"),
    Index(None, "email_key"),
    info=OWNED,
    sqlite_autoincrement=True,
)

password_history = Table(
    "password_history",
    metadata,
    _id(),
    _tenant(),
    Column("user_id", BigInt, ForeignKey("users.id"), nullable=False),
    Column("password_hash", Text, nullable=False),
    _at("replaced_at"),
    Index(None, "user_id"),
    info=OWNED,
    sqlite_autoincrement=True,
)

sessions = Table(  # one sign-in; access token, refresh token and cookie are three keys to this row
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),  # `sid`: 128 random bits
    _tenant(),
    Column("user_id", BigInt, ForeignKey("users.id"), nullable=False),
    Column("method", Text, nullable=False),
    _at("created_at"),
    _at("ends_at"),
    _at("ended_at", nullable=True),
    Column("end_reason", Text),
    _at("last_used_at"),
    Column("address", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("cookie_hash", Text, nullable=False, unique=True),  # SHA-256 of the cookie's value
    _at("cookie_seen_at"),
    Column("refresh_current", Text, nullable=False),
    Column("refresh_previous", Text),
    _at("refresh_changed_at"),
    Index(None, "user_id"),
    Index(None, "ends_at"),
    info=OWNED,
)

known_origins = Table(  # devices and addresses from which a user signed in before, see sign_in/throttle.py
    "known_origins",
    metadata,
    Column("user_id", BigInt, ForeignKey("users.id"), primary_key=True),
    Column("origin", Text, primary_key=True),  # SHA-256 of the device's secret or of the address
    _tenant(),
    _at("seen_at"),
    Index(None, "seen_at"),
    info=OWNED,
)

# -- the audit trail; tenant_id 0 is the installation's own chain, so there is no foreign key ------------------------

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("tenant_id", BigInt, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    info=OWNED,
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("tenant_id", BigInt, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    _at("at"),
    Column("event", Text, nullable=False),
    Column("actor", Text, nullable=False),  # `user:7`, `admin:1`, `anonymous`, `system`
    Column("subject", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON, no secrets
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    info=OWNED,
)

licences = Table(  # one row: the licence in force
    "licences",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("license_key", Text, nullable=False),
    _at("installed_at"),
    _at("latest_seen_at"),  # the newest time ever seen: a clock set back does not revive a licence
)

TENANT_OWNED = frozenset(t for t in metadata.tables.values() if t.info.get("owner") == "tenant")
