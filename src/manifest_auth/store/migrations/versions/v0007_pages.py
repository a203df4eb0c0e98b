"""Adds what the pages need.

That is: a client's logo, a user's language, the sessions of system admins that a cookie identifies, and one-time
codes of sign-ins without a provider.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
READABLE_BY = "0007"

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
    _codes_without_a_provider()


def _codes_without_a_provider() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("sign_in_codes", "provider_id", nullable=True)
        return
    for column in ("expires_at", "provider_id"):
        op.drop_index(op.f(f"ix_sign_in_codes_{column}"), table_name="sign_in_codes")
    op.rename_table("sign_in_codes", "old_sign_in_codes")
    op.create_table(
        "sign_in_codes",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("provider_id", BIG, nullable=True),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("challenge", sa.Text(), nullable=False),
        sa.Column("expires_at", BIG, nullable=False),
        sa.Column("used_at", BIG, nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_sign_in_codes_tenant_id")),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_sign_in_codes_provider_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sign_in_codes_user_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sign_in_codes")),
        sqlite_strict=True,
    )
    names = "key, tenant_id, provider_id, user_id, method, challenge, expires_at, used_at, session_id"
    op.execute(f"INSERT INTO sign_in_codes ({names}) SELECT {names} FROM old_sign_in_codes")  # noqa: S608 - our names
    op.drop_table("old_sign_in_codes")
    for column in ("expires_at", "provider_id"):
        op.create_index(op.f(f"ix_sign_in_codes_{column}"), "sign_in_codes", [column])
