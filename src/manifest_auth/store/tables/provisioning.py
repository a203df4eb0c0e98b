"""Tables of SCIM (RFC 7643): connections with their tokens, and the users and groups that they provision.

Programs that don't know these tables delete clients and users, so every row is deleted with its owner.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, Integer, Table, Text, UniqueConstraint

from manifest_auth.store.tables.columns import BigInt, id_column, owned_table, row_of, tenant, time


def _table(name: str, *parts: Any) -> Table:
    return owned_table(name, tenant(goes_with=True), *parts)


def _of_connection() -> tuple[Any, ...]:
    return row_of("scim_connections", "connection_id", goes_with=True)


scim_connections = _table(
    "scim_connections",
    id_column(),
    Column("name", Text, nullable=False),
    # The provider whose subjects are the users' external IDs; no foreign key, so that it can be deleted.
    Column("provider_id", BigInt),
    Column("group_roles", Text, nullable=False),  # JSON: the roles of each group
    Column("default_roles", Integer, nullable=False),  # bit mask, see permissions.Role
    Column("adopt_users", Integer, nullable=False),  # 1: it can take over existing accounts
    Column("may_manage_admins", Integer, nullable=False),  # 1: last saved by an Admin or a system admin, who allowed it
    *row_of("service_accounts", "service_id", "user_id", nullable=True, goes_with=True),  # calls with its own tokens
    time("created_at"),
    Column("created_by", Text, nullable=False),  # the actor, as in the audit trail
    time("changed_at"),
    time("last_call_at", nullable=True),
    Column("failures", BigInt, nullable=False, server_default="0"),
    time("last_failure_at", nullable=True),
    Column("last_failure", Text, nullable=False, server_default=""),
    UniqueConstraint("tenant_id", "name"),
    Index(None, "tenant_id", "service_id"),
)

scim_tokens = _table(
    "scim_tokens",
    Column("id", Text, primary_key=True),  # 96 random bits
    *_of_connection(),
    Column("hash", Text, nullable=False),  # SHA-256 of the token, which has 256 random bits
    Column("hint", Text, nullable=False),  # its last four characters
    time("created_at"),
    Column("created_by", Text, nullable=False),
    time("ends_at"),
    time("ended_at", nullable=True),  # revoked
    time("last_used_at", nullable=True),
    Index(None, "hash"),
    Index(None, "tenant_id", "connection_id"),
)

scim_users = _table(  # the accounts that a connection created or adopted, each by one connection
    "scim_users",
    *row_of("users", "user_id", is_key=True, goes_with=True),
    *_of_connection(),
    Column("user_name", Text, nullable=False),
    Column("user_name_key", Text),  # see text/canonical.py: email_key; null: removed
    Column("external_id", Text),
    Column("attributes", Text, nullable=False),  # JSON: attributes without an effect, as sent
    Column("granted", Integer, nullable=False, server_default="0"),  # bit mask of the roles that this connection added
    Column("version", BigInt, nullable=False, server_default="1"),  # counts changes, for ETags
    time("created_at"),
    time("changed_at"),
    # The account's `deactivated_at` if this connection deactivated it. It differs if a person did.
    time("deactivated_at", nullable=True),
    time("removed_at", nullable=True),  # the row stays, so that the same person gets the same ID again
    UniqueConstraint("tenant_id", "connection_id", "user_name_key"),
    Index(None, "tenant_id", "connection_id", "external_id"),
    Index(None, "tenant_id", "connection_id", "user_id"),
)

scim_emails = _table(  # all email addresses of these users, for filters
    "scim_emails",
    *row_of("users", "user_id", is_key=True, goes_with=True),
    Column("email_key", Text, primary_key=True),
    Column("type", Text, primary_key=True),  # lowercase; empty: none
    Index(None, "tenant_id", "email_key", "type", "user_id"),
)

scim_groups = _table(
    "scim_groups",
    id_column(),
    *_of_connection(),
    Column("display_name", Text, nullable=False),
    Column("display_name_key", Text, nullable=False),
    Column("external_id", Text),
    Column("version", BigInt, nullable=False, server_default="1"),
    time("created_at"),
    time("changed_at"),
    Index(None, "tenant_id", "connection_id", "id"),
    Index(None, "tenant_id", "connection_id", "display_name_key"),
    Index(None, "tenant_id", "connection_id", "external_id"),
)

scim_members = _table(
    "scim_members",
    *row_of("scim_groups", "group_id", is_key=True, goes_with=True),
    *row_of("users", "user_id", is_key=True, goes_with=True),
    time("added_at"),
    Index(None, "tenant_id", "user_id", "group_id"),
)
