"""Tables of the installation: values, keys, system admins, licence, throttles, and clients."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, column, table

from manifest_auth.store.tables.columns import BigInt, at, id_column, metadata, sealed, time

installation = Table(  # values of the whole installation: its id, whether --demo filled it
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

schema_state = Table(  # one row: the schema, and the oldest one whose programs may use this store
    "schema_state",
    metadata,
    Column("schema", Text, primary_key=True),
    Column("readable_by", Text, nullable=False),
    time("at"),  # of the upgrade to it
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", Text, primary_key=True),  # the `kid`
    Column("purpose", Text, nullable=False),
    Column("algorithm", Text, nullable=False),
    sealed("secret", "signing_keys/{id}/secret"),  # see sessions/tokens/keys.py
    at("created_at"),
    at("retired_at", nullable=True),  # signs nothing from then on
    at("expires_at", nullable=True),  # verifies nothing from then on
    Index(None, "purpose"),
)

system_admins = Table(
    "system_admins",
    metadata,
    id_column(),
    Column("username", Text, nullable=False),
    Column("username_key", Text, nullable=False, unique=True),  # case-folded
    Column("password_hash", Text, nullable=False),
    at("created_at"),
    at("disabled_at", nullable=True),
    at("last_sign_in_at", nullable=True),
    sqlite_autoincrement=True,
)

admin_sessions = Table(
    "admin_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("admin_id", BigInt, ForeignKey("system_admins.id"), nullable=False),
    at("created_at"),
    at("ends_at"),
    at("ended_at", nullable=True),
    Column("end_reason", Text),
    at("last_used_at"),
    Column("address", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("refresh_current", Text, nullable=False),
    Column("refresh_previous", Text),
    at("refresh_changed_at"),
    Column("cookie_hash", Text),  # SHA-256 of the cookie's value; null: the session has tokens and no cookie
    at("cookie_seen_at", nullable=True),
    at("proved_at", nullable=True),  # when password and code were verified last; null: before it was stored
    Index(None, "admin_id"),
    Index(None, "ends_at"),
    Index(None, "cookie_hash", unique=True),
)

throttles = Table(  # failures by key, a hash of addresses and e-mails
    "throttles",
    metadata,
    Column("key", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    at("allowed_at"),
    at("updated_at"),
    Index(None, "updated_at"),
)

tenants = Table(
    "tenants",
    metadata,
    id_column(),
    Column("identifier", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("settings", Text, nullable=False),  # JSON, see tenants.TenantSettings
    at("created_at"),
    at("suspended_at", nullable=True),
    at("delete_at", nullable=True),  # when a client marked for deletion is deleted for good
    Column("suspended_by_deletion", Integer),  # 1: the mark for deletion suspended it; null: not marked
    sqlite_autoincrement=True,
)

licences = Table(  # one row: the licence in force
    "licences",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("license_key", Text, nullable=False),
    at("installed_at"),
    at("latest_seen_at"),  # the newest time ever recorded: setting the clock back does not revive a licence
)

revoked_licences = Table(  # ids that an installed licence revoked; they are never accepted again
    "revoked_licences",
    metadata,
    Column("license_id", Text, primary_key=True),
    Column("revoked_by", Text, nullable=False),
    at("revoked_at"),
)

# A view: how many active users have which roles, over all clients. It belongs to the installation and contains only
# numbers, so a tenant's unit of work may read it: seats are counted in the transaction that adds a user.
seats_taken = table("seats_taken", column("roles", Integer), column("users", Integer))
