"""Tables of what nodes tell each other; on SQLite they stay empty, since there the log's index tells of commits."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text

from manifest_auth.store.tables.columns import BigInt, id_column, metadata, time

announcements = Table(  # what caches must drop, written in the transaction of the change and kept for 20 minutes
    "announcements",
    metadata,
    id_column(),
    Column("xid", BigInt, nullable=False),  # the transaction; all below the oldest one that still runs are decided
    Column("client", BigInt, nullable=False),  # 0: of the installation
    time("at"),  # by the server's clock
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Index(None, "xid"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

nodes = Table(  # the web processes that run; times are by the server's clock
    "nodes",
    metadata,
    Column("id", Text, primary_key=True),
    time("started_at"),
    time("seen_at"),  # of the last beat
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("skew_ms", BigInt, nullable=False),  # how far the process's clock is ahead of the server's
)
