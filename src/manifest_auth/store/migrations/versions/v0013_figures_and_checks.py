"""Figures of each day, the last check of each provider, forms that pages carry out once, and forwarded addresses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
READABLE_BY = "0012"


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "daily_figures",
        sa.Column("tenant_id", big, sa.ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
        sa.Column("day", big, nullable=False),
        sa.Column("figure", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("number", big, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "day", "figure", "part"),
        sqlite_strict=True,
    )
    op.create_table(
        "provider_checks",
        sa.Column("tenant_id", big, sa.ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
        sa.Column("provider_id", big, nullable=False),
        sa.Column("checked_at", big, nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "provider_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "provider_id"], ["providers.tenant_id", "providers.id"], ondelete="CASCADE"
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "submitted_forms",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("made_at", big, nullable=False),
        sa.Column("answer", sa.LargeBinary()),
        sa.Column("kept", sa.LargeBinary()),
        sa.Index("ix_submitted_forms_made_at", "made_at"),
        sa.Index("ix_submitted_forms_person_made_at", "person", "made_at"),
        sqlite_strict=True,
    )
    right = sa.Column("may_forward_address", sa.Integer(), nullable=False, server_default="0")
    op.add_column("service_accounts", right)
