"""Tables of quotas: a running total for each client, and what is on its way."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text

from manifest_auth.store.tables.columns import OWNED, BigInt, metadata, row_of, tenant, time

file_totals = Table(  # size of a client's files, updated in the transaction that adds or drops one
    "file_totals",
    metadata,
    tenant(),
    Column("bytes", BigInt, nullable=False),
    info=OWNED,
    sqlite_strict=True,
)

uploads = Table(  # files on their way, by the key under which their bytes will be; they count in the quota
    "uploads",
    metadata,
    tenant(goes_with=True),
    Column("key", Text, primary_key=True),
    *row_of("users", "user_id", goes_with=True),
    Column("size", BigInt, nullable=False),  # as declared, or the most that it can be
    time("expires_at"),  # later than its request can last
    Index(None, "expires_at"),
    info=OWNED,
    sqlite_strict=True,
)
