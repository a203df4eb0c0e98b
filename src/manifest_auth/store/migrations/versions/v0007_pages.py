"""Pages: a client's logo, a user's language, and the sessions of system admins that a cookie identifies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("users", sa.Column("language", sa.Text(), nullable=True))
    for name, kind in (("cookie_hash", sa.Text()), ("cookie_seen_at", sa.BigInteger()), ("proved_at", sa.BigInteger())):
        op.add_column("admin_sessions", sa.Column(name, kind, nullable=True))
    op.create_index(op.f("ix_admin_sessions_cookie_hash"), "admin_sessions", ["cookie_hash"], unique=True)
    op.create_table(
        "client_logos",
        sa.Column("tenant_id", BIG, nullable=False, autoincrement=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_client_logos_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_client_logos")),
        sqlite_strict=True,
    )
