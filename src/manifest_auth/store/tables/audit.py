"""Tables of the audit trail.

``tenant_id`` 0 is the installation's chain, so there is no foreign key.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text

from manifest_auth.store.tables.columns import OWNED, BigInt, metadata, time

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("tenant_id", BigInt, primary_key=True, autoincrement=False),
    Column("sequence", BigInt, nullable=False),
    Column("hash", Text, nullable=False),
    time("at"),  # of the last event
    # The chain that was created before; in chain 0: the newest chain.
    Column("previous_chain", BigInt, nullable=False),
    time("gone_at", nullable=True),  # when the client's events were deleted with the client
    Column("doubts", Text, nullable=False),  # earlier heads without a valid MAC, see audit/events.py
    Column("mac", Text, nullable=False),  # over all other columns
    info=OWNED,
    sqlite_strict=True,
)

audit_events = Table(
    "audit_events",
    metadata,
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
    info=OWNED,
    sqlite_strict=True,
)

audit_anchors = Table(  # the last event of a chain that retention removed: the remaining events start after it
    "audit_anchors",
    metadata,
    Column("tenant_id", BigInt, primary_key=True, autoincrement=False),
    Column("sequence", BigInt, nullable=False),
    Column("hash", Text, nullable=False),
    Column("mac", Text, nullable=False),
    info=OWNED,
    sqlite_strict=True,
)
