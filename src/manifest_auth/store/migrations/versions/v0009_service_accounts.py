"""Adds service accounts with their API keys and client secrets, and assertions used up.

Every user there is, is a person; seats are counted for persons alone.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
READABLE_BY = "0009"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("users", sa.Column("kind", sa.Text(), nullable=False, server_default="person"))
    op.execute("DROP VIEW seats_taken")
    op.execute(
        "CREATE VIEW seats_taken AS SELECT roles, count(*) AS users FROM users"
        " WHERE deactivated_at IS NULL AND kind = 'person' GROUP BY roles"
    )
    _table(
        "service_accounts", ("user_id",), _number("user_id"), _text("description"), _integer("scopes", null=True),
        _text("addresses"), _integer("may_introspect"), _text("jwks", null=True), _text("created_by"),
        _number("deleted_at", null=True), _number("use_recorded_at", null=True),
        sa.Column("uses_kept_back", BIG, nullable=False, server_default="0"), _number("issue_recorded_at", null=True),
        sa.Column("issues_kept_back", BIG, nullable=False, server_default="0"),
        _belongs_to("service_accounts", "users", "id"),
    )  # fmt: skip
    _table(
        "service_secrets", ("id",), _text("id"), _number("user_id"), _text("kind"), _text("label"), _text("hash"),
        _text("hint"), _integer("days"), _number("created_at"), _text("created_by"), _number("ends_at"),
        _number("ended_at", null=True), _text("rotated_to", null=True),
        sa.Column("notices", sa.Integer(), nullable=False, server_default="0"),
        _number("last_used_at", null=True), sa.Column("last_address", sa.Text(), nullable=False, server_default=""),
        _belongs_to("service_secrets", "service_accounts", "user_id"),
        indexes=(("hash",), ("tenant_id", "user_id"), ("ends_at",)),
    )  # fmt: skip
    _table("used_assertions", ("key",), _text("key"), _number("expires_at"), indexes=(("expires_at",),))


def _table(name: str, key: tuple[str, ...], *parts: Any, indexes: tuple[tuple[str, ...], ...] = ()) -> None:
    """A table of tenants; its primary key is the tenant and ``key``."""
    op.create_table(
        name,
        _number("tenant_id"),
        *parts,
        sa.PrimaryKeyConstraint("tenant_id", *key, name=op.f(f"pk_{name}")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f(f"fk_{name}_tenant_id")),
        sqlite_strict=True,
    )
    for index in indexes:
        op.create_index(op.f(f"ix_{name}_{'_'.join(index)}"), name, list(index))


def _belongs_to(name: str, table: str, column: str) -> sa.ForeignKeyConstraint:
    """The account that a row is of, in the same tenant."""
    there = [f"{table}.tenant_id", f"{table}.{column}"]
    return sa.ForeignKeyConstraint(["tenant_id", "user_id"], there, name=op.f(f"fk_{name}_tenant_id_user_id"))


def _number(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, BIG, nullable=null, autoincrement=False)


def _integer(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=null)


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)
