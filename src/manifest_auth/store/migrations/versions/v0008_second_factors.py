"""Adds the users' second factors: authenticator apps, passkeys, recovery codes, trusted browsers, and challenges.

Sessions and one-time codes remember what was proved, and when. Sessions that are older have proved nothing.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
READABLE_BY = "0008"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("users", sa.Column("factors", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("users", sa.Column("second_factor_due_at", sa.BigInteger(), nullable=True))
    for table, kind in (("sessions", sa.BigInteger()), ("sign_in_codes", BIG)):
        op.add_column(table, sa.Column("amr", sa.Text(), nullable=False, server_default=""))
        op.add_column(table, sa.Column("authenticated_at", kind, nullable=True))
    _of_user(
        "user_totps", ("user_id",), _blob("secret", null=True), _blob("next_secret", null=True), _number("created_at"),
        _number("last_step"), _number("last_used_at", null=True),
    )  # fmt: skip
    _of_user(
        "passkeys", ("id",), _text("id"), _text("credential_id"), _blob("public_key"), _integer("algorithm"),
        _number("counter"), _text("transports"), _text("aaguid"), _text("name"), _integer("backup_eligible"),
        _integer("backup_state"), _text("rp_id"), _number("created_at"), _number("last_used_at", null=True),
        _unique("passkeys", "credential_id"), indexes=(("tenant_id", "user_id"),),
    )  # fmt: skip
    _of_user("passkey_handles", ("user_id",), _text("handle"), _unique("passkey_handles", "handle"))
    _of_user("recovery_codes", ("user_id", "key"), _text("key"), _number("created_at"), _number("used_at", null=True))
    _of_user(
        "trusted_browsers", ("id",), _text("id"), _text("key"), _text("user_agent"), _text("address"),
        _number("created_at"), _number("ends_at"), indexes=(("tenant_id", "user_id"), ("ends_at",)),
    )  # fmt: skip
    _of_user(
        "sign_in_challenges", ("key",), _text("key"), _text("purpose"), _text("method"), _text("amr"),
        _number("authenticated_at", null=True), _text("proof"), _number("provider_id", null=True),
        _number("link_id", null=True), _integer("enrols"), _blob("secrets"), _integer("tries"),
        _number("expires_at"), _number("used_at", null=True),
        indexes=(("key",), ("tenant_id", "user_id"), ("expires_at",)),
    )  # fmt: skip
    op.create_table(
        "used_passkey_challenges",
        _text("key"),
        _number("expires_at"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_used_passkey_challenges")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_used_passkey_challenges_expires_at"), "used_passkey_challenges", ["expires_at"])


def _of_user(name: str, key: tuple[str, ...], *parts: Any, indexes: tuple[tuple[str, ...], ...] = ()) -> None:
    """A table whose rows belong to a user; its primary key is the tenant and ``key``."""
    op.create_table(
        name,
        _number("tenant_id"),
        _number("user_id"),
        *parts,
        sa.PrimaryKeyConstraint("tenant_id", *key, name=op.f(f"pk_{name}")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f(f"fk_{name}_tenant_id")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name=op.f(f"fk_{name}_tenant_id_user_id")
        ),
        sqlite_strict=True,
    )
    for index in indexes:
        op.create_index(op.f(f"ix_{name}_{'_'.join(index)}"), name, list(index))


def _number(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, BIG, nullable=null, autoincrement=False)


def _integer(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False)


def _blob(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=null)


def _unique(table: str, column: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(column, name=op.f(f"uq_{table}_{column}"))
