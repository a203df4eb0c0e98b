"""Logos of clients, which are too large for the clients' settings."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, Table, Text

from manifest_auth.store.tables.columns import OWNED, metadata, tenant

client_logos = Table(
    "client_logos",
    metadata,
    tenant(),
    Column("hash", Text, nullable=False),  # first 16 hex digits of the SHA-256 of ``png``: part of its address
    Column("png", LargeBinary, nullable=False),
    Column("width", Integer, nullable=False),  # pixels
    Column("height", Integer, nullable=False),
    info=OWNED,
    sqlite_strict=True,
)
