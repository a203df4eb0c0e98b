"""Running the installation: what admins, the licence and the audit trail need beside what was there."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _admin_plane()
    _trail()
    _licence()  # last: SQLite alters no table under a view


def _admin_plane() -> None:
    """The second factor of system admins; when a client is deleted; the list of a client's sessions."""
    op.create_table(
        "admin_second_factors",
        sa.Column("admin_id", BIG, autoincrement=False, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["admin_id"], ["system_admins.id"], name=op.f("fk_admin_second_factors_admin_id")),
        sa.PrimaryKeyConstraint("admin_id", name=op.f("pk_admin_second_factors")),
    )
    op.create_table(
        "admin_recovery_codes",
        sa.Column("admin_id", BIG, autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["admin_id"], ["system_admins.id"], name=op.f("fk_admin_recovery_codes_admin_id")),
        sa.PrimaryKeyConstraint("admin_id", "key", name=op.f("pk_admin_recovery_codes")),
    )
    op.add_column("tenants", sa.Column("delete_at", sa.BigInteger(), nullable=True))
    op.create_index(
        op.f("ix_sessions_tenant_id_created_at_id"), "sessions", ["tenant_id", "created_at", "id"], unique=False
    )


def _trail() -> None:
    """What retention left of a chain begins behind its anchor; events by time."""
    op.create_table(
        "audit_anchors",
        sa.Column("tenant_id", BIG, autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_audit_anchors")),
    )
    op.create_index(
        op.f("ix_audit_events_tenant_id_at_sequence"), "audit_events", ["tenant_id", "at", "sequence"], unique=False
    )
    op.create_index(
        op.f("ix_audit_events_at_tenant_id_sequence"), "audit_events", ["at", "tenant_id", "sequence"], unique=False
    )


def _licence() -> None:
    """Licences that a newer one revoked; how many users hold which roles, over all clients."""
    op.create_table(
        "revoked_licences",
        sa.Column("license_id", sa.Text(), nullable=False),
        sa.Column("revoked_by", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("license_id", name=op.f("pk_revoked_licences")),
    )
    op.execute(
        "CREATE VIEW seats_taken AS SELECT roles, count(*) AS users FROM users WHERE deactivated_at IS NULL"
        " GROUP BY roles"
    )
