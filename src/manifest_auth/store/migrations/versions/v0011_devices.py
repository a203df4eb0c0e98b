"""Adds devices of people and shared devices: apps, grants, pairings, enrolments, devices, badges, PINs.

Sessions, one-time codes and authenticator apps that wait for their first code name the session that they came from.
Uploads on their way and identities of deleted providers have rows. Identities say whether their user is to be told of a
change of their provider.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
READABLE_BY = "0010"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _sessions()
    _of_people()
    _of_the_client()
    _table(
        "former_identities", "id", _time("id"), *_user("former_identities"), _texts("kind", "issuer", "subject", "how"),
        indexes=(("tenant_id", "user_id"),),
    )  # fmt: skip
    _table(
        "uploads", "key", _texts("key"), *_user("uploads"), sa.Column("size", BIG, nullable=False),
        _time("expires_at"), indexes=(("expires_at",),),
    )  # fmt: skip


def _sessions() -> None:
    op.add_column("sessions", _integer("role_cap", null=True))
    op.add_column("sessions", _time("device_ends_at", null=True))
    op.add_column("sessions", _integer("idle_s", null=True))
    for name in ("app_id", "device_id", "label", "parent_id"):
        op.add_column("sessions", _text(name, null=True))
    op.add_column("sessions", _integer("has_children", null=True))
    op.add_column("sign_in_codes", _text("parent_id", null=True))
    op.add_column("user_totps", _text("next_session_id", null=True))
    op.add_column("identities", _integer("untold", null=True))


def _of_people() -> None:
    _table("device_apps", "id", _texts("id", "name", "created_by"), _time("created_at"), indexes=(("id",),))
    _table(
        "device_grants", "key",
        _texts("key", "app_id", "device_name", "address", "user_agent", "digits", "state"),
        _text("user_code", null=True), *_user("device_grants", null=True), _integer("role_cap", null=True),
        _time("provider_id", null=True),
        _time("approved_at", null=True), _time("session_ends_at", null=True), _text("session_id", null=True),
        _time("answered_at", null=True), _integer("interval_s"), _time("polled_at", null=True),
        _time("created_at"), _time("expires_at"),
        sa.UniqueConstraint("tenant_id", "user_code", name=op.f("uq_device_grants_tenant_id_user_code")),
        indexes=(("tenant_id", "app_id", "expires_at"), ("expires_at",)),
    )  # fmt: skip
    _table(
        "pairings", "id", _texts("id", "session_id", "code", "typed"), *_user("pairings"),
        _text("grant_key", null=True), _time("created_at"), _time("code_ends_at"), _time("expires_at"),
        indexes=(("tenant_id", "code"), ("tenant_id", "typed"), ("tenant_id", "user_id", "expires_at"),
                 ("expires_at",)),
    )  # fmt: skip


def _of_the_client() -> None:
    _table(
        "device_enrolments", "id", _texts("id", "name", "place", "code", "typed", "created_by"),
        _time("created_at"), _time("expires_at"), _time("used_at", null=True),
        indexes=(("tenant_id", "code"), ("tenant_id", "typed"), ("expires_at",)),
    )  # fmt: skip
    _table(
        "enrolled_devices", "id", _texts("id", "name", "place", "token", "enrolled_by"), _time("enrolled_at"),
        _time("seen_at"), _time("removed_at", null=True),
        indexes=(("token",), ("tenant_id", "enrolled_at", "id"), ("seen_at",), ("removed_at",)),
    )  # fmt: skip
    _table(
        "badges", "id", _texts("id", "kind", "code", "issued_by"), *_user("badges"), _time("issued_at"),
        _time("ends_at"), _time("ended_at", null=True), _time("last_used_at", null=True),
        indexes=(("tenant_id", "code"), ("tenant_id", "user_id"), ("ends_at",)),
    )  # fmt: skip
    _table(
        "badge_pins", "user_id", _texts("hash"), *_user("badge_pins"),
        sa.Column("pepper", sa.LargeBinary(), nullable=False), _time("set_at"), _time("temporary_until", null=True),
        _text("given_by", null=True),
        sa.Column("given", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("wrong", sa.Integer(), nullable=False, server_default="0"), _time("wrong_at", null=True),
        _time("dead_at", null=True),
    )  # fmt: skip


def _table(name: str, key: str, *parts: Any, indexes: tuple[tuple[str, ...], ...] = ()) -> None:
    """A table of tenants; its primary key is the tenant and ``key``. Its rows go with their tenant."""
    there = op.f(f"fk_{name}_tenant_id")
    columns = [one for part in parts for one in (part if isinstance(part, list) else [part])]
    op.create_table(
        name,
        _time("tenant_id"),
        *columns,
        sa.PrimaryKeyConstraint("tenant_id", key, name=op.f(f"pk_{name}")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=there, ondelete="CASCADE"),
        sqlite_strict=True,
    )
    for index in indexes:
        op.create_index(op.f(f"ix_{name}_{'_'.join(index)}"), name, list(index))


def _user(name: str, *, null: bool = False) -> tuple[Any, Any]:
    """The user that a row is of, in the same tenant; it goes with them."""
    there, named = ["users.tenant_id", "users.id"], op.f(f"fk_{name}_tenant_id_user_id")
    key = sa.ForeignKeyConstraint(["tenant_id", "user_id"], there, name=named, ondelete="CASCADE")
    return _time("user_id", null=null), key


def _time(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, BIG, nullable=null, autoincrement=False)


def _integer(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=null)


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [_text(name) for name in names]


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)
