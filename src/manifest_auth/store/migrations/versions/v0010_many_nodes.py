"""Prepares the store for many nodes: keys that begin with the tenant, announcements as rows, upgrades node by node."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    keys_begin_with_the_tenant()
    announcements()
    schema_state()


def keys_begin_with_the_tenant() -> None:
    """Primary keys, unique constraints and foreign keys of tenants' tables begin with `tenant_id`."""


def announcements() -> None:
    """What nodes tell each other, and which processes there are."""
    op.create_table(
        "announcements",
        sa.Column("id", BIG, sa.Identity(), nullable=False),
        *(sa.Column(name, BIG, nullable=False) for name in ("xid", "client", "at")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_announcements")),
        sqlite_strict=True, sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index(op.f("ix_announcements_xid"), "announcements", ["xid"])
    op.create_index(op.f("ix_announcements_at"), "announcements", ["at"])
    op.create_table(
        "nodes",
        sa.Column("id", sa.Text(), nullable=False),
        *(sa.Column(name, BIG, nullable=False) for name in ("started_at", "seen_at", "skew_ms")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("host", "version", "schema", "state")),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
        sqlite_strict=True,
    )  # fmt: skip
    if op.get_bind().dialect.name == "postgresql":
        # Rewritten four times a second: a new version of a row fits on the page of the old one, and no index changes.
        op.execute("ALTER TABLE nodes SET (fillfactor = 20)")


def schema_state() -> None:
    """Which programs may read this store."""
