"""Running totals for quotas: one row for each client."""

from __future__ import annotations

from sqlalchemy import Column, Table

from manifest_auth.store.tables.columns import OWNED, BigInt, metadata, tenant

file_totals = Table(  # size of a client's files, updated in the transaction that adds or drops one
    "file_totals",
    metadata,
    tenant(),
    Column("bytes", BigInt, nullable=False),
    info=OWNED,
    sqlite_strict=True,
)
