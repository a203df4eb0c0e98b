"""Tables of the installation: values, keys, admins, license, throttles, nodes, clients, audit trail and quotas."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, column, table

from manifest_auth.store.tables.columns import (
    BigInt,
    global_table,
    id_column,
    owned_table,
    row_of,
    sealed,
    tenant,
    time,
)

installation = global_table(  # values of the whole installation: its id, whether the demo filled it
    "installation",
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

schema_state = global_table(  # one row: the schema, and the oldest compatible one
    "schema_state",
    Column("schema", Text, primary_key=True),
    Column("readable_by", Text, nullable=False),
    time("at"),  # when the schema was upgraded to it
)


def _keys(name: str, *parts: Any) -> Table:
    """Creates a table of signing keys, see sessions/tokens/keys.py."""
    return global_table(
        name,
        Column("id", Text, primary_key=True),  # the `kid`
        Column("purpose", Text, nullable=False),
        Column("algorithm", Text, nullable=False),
        sealed("secret", f"{name}/{{id}}/secret"),
        time("created_at"),
        time("retired_at", nullable=True),  # signs nothing from then on
        time("expires_at", nullable=True),  # verifies nothing from then on
        *parts,
    )


signing_keys = _keys("signing_keys", Index(None, "purpose"))
id_token_keys = _keys("id_token_keys")  # for apps: programs that don't know them can't read these keys

submitted_forms = global_table(  # forms of pages, see pages/submissions.py
    "submitted_forms",
    Column("key", Text, primary_key=True),  # the form token's, which is valid once on all nodes
    Column("person", Text, nullable=False),  # who sent it, see `PageCall.person`
    time("made_at"),
    Column("answer", LargeBinary),  # encrypted like `kept`; NULL while the form is processed
    Column("kept", LargeBinary),  # what a page shows for ten minutes, or the fields that wait for a sign-in
    Index(None, "made_at"),
    Index(None, "person", "made_at"),
)

system_admins = global_table(
    "system_admins",
    id_column(),
    Column("username", Text, nullable=False),
    Column("username_key", Text, nullable=False, unique=True),  # case-folded
    Column("password_hash", Text, nullable=False),
    time("created_at"),
    time("disabled_at", nullable=True),
    time("last_sign_in_at", nullable=True),
)

admin_sessions = global_table(
    "admin_sessions",
    Column("id", Text, primary_key=True),
    Column("admin_id", BigInt, ForeignKey("system_admins.id"), nullable=False),
    time("created_at"),
    time("ends_at"),
    time("ended_at", nullable=True),
    Column("end_reason", Text),
    time("last_used_at"),
    Column("address", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("refresh_current", Text, nullable=False),
    Column("refresh_previous", Text),
    time("refresh_changed_at"),
    Column("cookie_hash", Text),  # SHA-256 of the cookie's value; null: the session has tokens and no cookie
    time("cookie_seen_at", nullable=True),
    time("proved_at", nullable=True),  # when password and code were last verified
    Index(None, "admin_id"),
    Index(None, "ends_at"),
    Index(None, "cookie_hash", unique=True),
)

throttles = global_table(  # failures by key, a hash of addresses and emails
    "throttles",
    Column("key", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    time("allowed_at"),
    time("updated_at"),
    Index(None, "updated_at"),
)

tenants = global_table(
    "tenants",
    id_column(),
    Column("identifier", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("settings", Text, nullable=False),  # JSON, see tenants.TenantSettings
    time("created_at"),
    time("suspended_at", nullable=True),
    time("delete_at", nullable=True),  # when a client marked for deletion is deleted permanently
    Column("suspended_by_deletion", Integer),  # 1: the mark for deletion suspended it; null: not marked
)

licences = global_table(  # one row: the current license
    "licences",
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("license_key", Text, nullable=False),
    time("installed_at"),
    time("latest_seen_at"),  # the newest time ever recorded: setting the clock back does not revive a license
)

revoked_licences = global_table(  # ids that an installed license revoked; they are never accepted again
    "revoked_licences",
    Column("license_id", Text, primary_key=True),
    Column("revoked_by", Text, nullable=False),
    time("revoked_at"),
)

# A view: how many active users have which roles, across all clients. It belongs to the installation and contains only
# numbers, so a tenant's unit of work can read it. Seats are counted in the transaction that adds a user.
seats_taken = table("seats_taken", column("roles", Integer), column("users", Integer))


client_logos = owned_table(  # too large for the clients' settings
    "client_logos",
    tenant(),
    Column("hash", Text, nullable=False),  # first 16 hex digits of the SHA-256 of ``png``: part of its address
    Column("png", LargeBinary, nullable=False),
    Column("width", Integer, nullable=False),  # pixels
    Column("height", Integer, nullable=False),
)

# Tables for messages between nodes. They stay empty on SQLite, where the log's index shows commits.

announcements = global_table(  # what caches must drop, written with the change and kept for 20 minutes
    "announcements",
    id_column(),
    Column("xid", BigInt, nullable=False),  # the transaction; all below the oldest running one have ended
    Column("client", BigInt, nullable=False),  # 0: the installation
    time("at"),  # by the server's clock
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Index(None, "xid"),
    Index(None, "at"),
)

nodes = global_table(  # running web processes; times are by the server's clock
    "nodes",
    Column("id", Text, primary_key=True),
    time("started_at"),
    time("seen_at"),  # the last beat
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("skew_ms", BigInt, nullable=False),  # how far the process's clock is ahead of the server's
)


# Tables of the audit trail: ``tenant_id`` 0 is the installation's chain, so there is no foreign key.


audit_heads = owned_table(
    "audit_heads",
    Column("tenant_id", BigInt, primary_key=True, autoincrement=False),
    Column("sequence", BigInt, nullable=False),
    Column("hash", Text, nullable=False),
    time("at"),  # the last event
    # The chain that was created before this one; in chain 0: the newest chain.
    Column("previous_chain", BigInt, nullable=False),
    time("gone_at", nullable=True),  # when the client's events were deleted with the client
    Column("doubts", Text, nullable=False),  # earlier heads without a valid MAC, see audit/events.py
    Column("mac", Text, nullable=False),  # over all other columns
)

audit_events = owned_table(
    "audit_events",
    Column("tenant_id", BigInt, primary_key=True, autoincrement=False),
    Column("sequence", BigInt, primary_key=True, autoincrement=False),
    time("at"),
    Column("event", Text, nullable=False),
    Column("actor", Text, nullable=False),  # `user:7`, `admin:1`, `anonymous`, `system`
    Column("subject", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON, no secrets
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index(None, "tenant_id", "at", "sequence"),  # a client's events, by time
    Index(None, "at", "tenant_id", "sequence"),  # events of all clients
)

audit_anchors = owned_table(  # the last event of a chain that retention removed: the remaining events start after it
    "audit_anchors",
    Column("tenant_id", BigInt, primary_key=True, autoincrement=False),
    Column("sequence", BigInt, nullable=False),
    Column("hash", Text, nullable=False),
    Column("mac", Text, nullable=False),
)


file_totals = owned_table(  # size of a client's files, updated in the transaction that adds or drops one
    "file_totals",
    tenant(),
    Column("bytes", BigInt, nullable=False),
)

daily_figures = owned_table(  # counted from the trail, or measured hourly, see clients/daily_figures.py
    "daily_figures",
    tenant(goes_with=True),
    Column("day", BigInt, primary_key=True, autoincrement=False),  # since 1970 UTC; 0: how far the trail was counted
    Column("figure", Text, primary_key=True),
    Column("part", Text, primary_key=True),  # empty for the whole
    Column("number", BigInt, nullable=False),
)

uploads = owned_table(  # files in transit, by the key of their future bytes; they count in the quota
    "uploads",
    tenant(goes_with=True),
    Column("key", Text, primary_key=True),
    *row_of("users", "user_id", goes_with=True),
    Column("size", BigInt, nullable=False),  # as declared, or the maximum
    time("expires_at"),  # later than its request can last
    Index(None, "expires_at"),
)
