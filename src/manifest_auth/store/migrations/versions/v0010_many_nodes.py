"""Prepares the store for many nodes: keys that begin with the tenant, announcements as rows, upgrades node by node."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from manifest_auth.store.migrations import tenant_keys

revision = "0010"
down_revision = "0009"
READABLE_BY = "0010"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    keys_begin_with_the_tenant()
    announcements()
    schema_state()


def keys_begin_with_the_tenant() -> None:
    """Primary keys, unique constraints and foreign keys of tenants' tables begin with `tenant_id`."""
    store, step = op.get_bind(), context.config.attributes.get("step", lambda *_: None)
    if store.dialect.name == "sqlite":
        op.execute("DROP VIEW seats_taken")  # no table is renamed under a view
        tenant_keys.on_sqlite(store, step)
        op.execute(
            "CREATE VIEW seats_taken AS SELECT roles, count(*) AS users FROM users"
            " WHERE deactivated_at IS NULL AND kind = 'person' GROUP BY roles"
        )
    else:
        tenant_keys.on_postgres(store, step)
    op.create_index(op.f("ix_service_accounts_user_id"), "service_accounts", ["user_id"])
    _passkey_owners()


def _passkey_owners() -> None:
    """A credential id is unique over all clients (WebAuthn Level 3, section 7.1, step 26)."""
    op.create_table(
        "passkey_owners",
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_passkey_owners")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "credential_id"],
            ["passkeys.tenant_id", "passkeys.credential_id"],
            name=op.f("fk_passkey_owners_tenant_id_credential_id"),
            ondelete="CASCADE",
        ),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_passkey_owners_tenant_id_credential_id"), "passkey_owners", ["tenant_id", "credential_id"])
    op.execute("INSERT INTO passkey_owners (credential_id, tenant_id) SELECT credential_id, tenant_id FROM passkeys")


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
    op.create_table(
        "schema_state",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("schema", "readable_by")),
        sa.Column("at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("schema", name=op.f("pk_schema_state")),
        sqlite_strict=True,
    )
