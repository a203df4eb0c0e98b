"""Tables of service accounts: what they have beside their row of ``users``, their secrets, and assertions used up."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text

from manifest_auth.store.tables.columns import OWNED, BigInt, metadata, row_of, tenant, time

service_accounts = Table(  # the row of `users` has name, roles, and whether it is disabled
    "service_accounts",
    metadata,
    tenant(),
    *row_of("users", "user_id", is_key=True),
    Column("description", Text, nullable=False),
    Column("scopes", Integer),  # bit mask, see permissions.Permission; null: all that the roles allow
    Column("addresses", Text, nullable=False),  # networks, separated by commas; empty: any
    Column("may_introspect", Integer, nullable=False),
    Column("jwks", Text),  # JSON (RFC 7517): public keys of its assertions
    Column("created_by", Text, nullable=False),  # the actor, as in the audit trail
    time("deleted_at", nullable=True),
    # The audit trail has one event an hour of its use, and one of tokens for it, each with how many were left out.
    time("use_recorded_at", nullable=True),
    Column("uses_kept_back", BigInt, nullable=False, server_default="0"),
    time("issue_recorded_at", nullable=True),
    Column("issues_kept_back", BigInt, nullable=False, server_default="0"),
    Index(None, "user_id"),  # a client id of OAuth names the account alone
    info=OWNED,
    sqlite_strict=True,
)

service_secrets = Table(  # API keys and client secrets
    "service_secrets",
    metadata,
    tenant(),
    Column("id", Text, primary_key=True),  # 96 random bits
    *row_of("service_accounts", "user_id", "user_id"),
    Column("kind", Text, nullable=False),  # `key` or `sec`, as in the secret
    Column("label", Text, nullable=False),
    Column("hash", Text, nullable=False),  # SHA-256 of the secret, which has 256 random bits
    Column("hint", Text, nullable=False),  # its last four characters
    Column("days", Integer, nullable=False),  # how long it was made for
    time("created_at"),
    Column("created_by", Text, nullable=False),
    time("ends_at"),
    time("ended_at", nullable=True),  # revoked, or found to be over
    Column("rotated_to", Text),  # the one that takes its place
    Column("notices", Integer, nullable=False, server_default="0"),  # how many e-mails said that it ends
    time("last_used_at", nullable=True),
    Column("last_address", Text, nullable=False, server_default=""),
    Index(None, "hash"),
    Index(None, "tenant_id", "user_id"),
    Index(None, "ends_at"),
    info=OWNED,
    sqlite_strict=True,
)

used_assertions = Table(  # `jti` of assertions (RFC 7523), each good for once on all nodes
    "used_assertions",
    metadata,
    tenant(),
    Column("key", Text, primary_key=True),  # SHA-256 of account and `jti`
    time("expires_at"),
    Index(None, "expires_at"),
    info=OWNED,
    sqlite_strict=True,
)
