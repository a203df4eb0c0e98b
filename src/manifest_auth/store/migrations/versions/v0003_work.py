"""Templates with versions and steps, jobs with what is recorded in them, files; purposes of one-time links."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

#: Of these one client may have most. A plan made for the average client would look through all rows of that one.
_GROWING = (
    "users", "templates", "template_versions", "template_steps", "template_events", "jobs", "job_assignments",
    "job_steps", "job_events", "job_records", "files",
)  # fmt: skip
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("id", BIG, sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("uploaded_by", BIG, nullable=False),
        sa.Column("uploaded_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_files_tenant_id")),
        sa.ForeignKeyConstraint(["uploaded_by"], ["users.id"], name=op.f("fk_files_uploaded_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("key", name=op.f("uq_files_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_files_used_at_uploaded_at"), "files", ["used_at", "uploaded_at"], unique=False)
    op.create_table(
        "templates",
        sa.Column("id", BIG, sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("versions", sa.Integer(), nullable=False),
        sa.Column("published", sa.Integer(), nullable=True),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("created_by", BIG, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_templates_created_by")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_templates_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_templates")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_templates_tenant_id_changed_at_id"), "templates", ["tenant_id", "changed_at", "id"], unique=False
    )
    op.create_index(op.f("ix_templates_tenant_id_id"), "templates", ["tenant_id", "id"], unique=False)
    op.create_index(
        op.f("ix_templates_tenant_id_name_key_id"), "templates", ["tenant_id", "name_key", "id"], unique=False
    )
    _index_marked("templates", "archived", "id")
    _index_marked("templates", "archived_name_key", "name_key", "id")
    _index_marked("templates", "archived_changed_at", "changed_at", "id")
    op.create_table(
        "template_events",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("template_id", BIG, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("move", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("by", BIG, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["by"], ["users.id"], name=op.f("fk_template_events_by")),
        sa.ForeignKeyConstraint(["template_id"], ["templates.id"], name=op.f("fk_template_events_template_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_template_events_tenant_id")),
        sa.PrimaryKeyConstraint("template_id", "number", name=op.f("pk_template_events")),
    )
    op.create_table(
        "template_versions",
        sa.Column("id", BIG, sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("template_id", BIG, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_by", BIG, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_template_versions_created_by")),
        sa.ForeignKeyConstraint(["template_id"], ["templates.id"], name=op.f("fk_template_versions_template_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_template_versions_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_template_versions")),
        sa.UniqueConstraint("template_id", "number", name=op.f("uq_template_versions_template_id_number")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_template_versions_status_tenant_id_template_id"),
        "template_versions",
        ["status", "tenant_id", "template_id"],
        unique=False,
    )
    op.create_table(
        "jobs",
        sa.Column("id", BIG, sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("template_id", BIG, nullable=False),
        sa.Column("version_id", BIG, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Text(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("created_by", BIG, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.Column("canceled_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_jobs_created_by")),
        sa.ForeignKeyConstraint(["template_id"], ["templates.id"], name=op.f("fk_jobs_template_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_jobs_tenant_id")),
        sa.ForeignKeyConstraint(["version_id"], ["template_versions.id"], name=op.f("fk_jobs_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_jobs_tenant_id_asset_id_id"), "jobs", ["tenant_id", "asset_id", "id"], unique=False)
    op.create_index(op.f("ix_jobs_tenant_id_changed_at_id"), "jobs", ["tenant_id", "changed_at", "id"], unique=False)
    op.create_index(op.f("ix_jobs_tenant_id_id"), "jobs", ["tenant_id", "id"], unique=False)
    op.create_index(op.f("ix_jobs_tenant_id_name_key_id"), "jobs", ["tenant_id", "name_key", "id"], unique=False)
    op.create_index(op.f("ix_jobs_tenant_id_priority_id"), "jobs", ["tenant_id", "priority", "id"], unique=False)
    op.create_index(
        op.f("ix_jobs_tenant_id_status_changed_at_id"),
        "jobs",
        ["tenant_id", "status", "changed_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_jobs_tenant_id_priority_name_key_id"),
        "jobs",
        ["tenant_id", "priority", "name_key", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_jobs_tenant_id_status_name_key_id"), "jobs", ["tenant_id", "status", "name_key", "id"], unique=False
    )
    op.create_index(op.f("ix_jobs_tenant_id_status_id"), "jobs", ["tenant_id", "status", "id"], unique=False)
    op.create_index(
        op.f("ix_jobs_tenant_id_status_priority_id"), "jobs", ["tenant_id", "status", "priority", "id"], unique=False
    )
    op.create_index(op.f("ix_jobs_tenant_id_template_id_id"), "jobs", ["tenant_id", "template_id", "id"], unique=False)
    op.create_table(
        "template_steps",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("version_id", BIG, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("instructions", sa.Text(), nullable=False),
        sa.Column("requires_evidence", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_template_steps_tenant_id")),
        sa.ForeignKeyConstraint(["version_id"], ["template_versions.id"], name=op.f("fk_template_steps_version_id")),
        sa.PrimaryKeyConstraint("version_id", "number", name=op.f("pk_template_steps")),
    )
    op.create_table(
        "job_assignments",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("job_id", BIG, nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("assigned_by", BIG, nullable=False),
        sa.Column("assigned_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["assigned_by"], ["users.id"], name=op.f("fk_job_assignments_assigned_by")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_assignments_job_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_job_assignments_tenant_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_job_assignments_user_id")),
        sa.PrimaryKeyConstraint("job_id", "user_id", name=op.f("pk_job_assignments")),
    )
    op.create_index(op.f("ix_job_assignments_user_id_job_id"), "job_assignments", ["user_id", "job_id"], unique=False)
    op.create_table(
        "job_events",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("job_id", BIG, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("move", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("by", BIG, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["by"], ["users.id"], name=op.f("fk_job_events_by")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_events_job_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_job_events_tenant_id")),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_job_events")),
    )
    op.create_table(
        "job_records",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("job_id", BIG, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("file_id", BIG, nullable=True),
        sa.Column("recorded_by", BIG, nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_job_records_file_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_records_job_id")),
        sa.ForeignKeyConstraint(["recorded_by"], ["users.id"], name=op.f("fk_job_records_recorded_by")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_job_records_tenant_id")),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_job_records")),
    )
    op.create_index(op.f("ix_job_records_file_id"), "job_records", ["file_id"], unique=False)
    op.create_index(
        op.f("ix_job_records_job_id_step_number"), "job_records", ["job_id", "step", "number"], unique=False
    )
    op.create_table(
        "job_steps",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("job_id", BIG, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("completed_by", BIG, nullable=False),
        sa.Column("completed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["completed_by"], ["users.id"], name=op.f("fk_job_steps_completed_by")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_steps_job_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_job_steps_tenant_id")),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_job_steps")),
    )
    op.add_column("invitations", sa.Column("purpose", sa.Text(), server_default="invitation", nullable=False))
    op.add_column("users", sa.Column("description", sa.Text(), server_default="", nullable=False))
    op.create_index(op.f("ix_users_tenant_id_id"), "users", ["tenant_id", "id"], unique=False)
    op.create_index(op.f("ix_users_tenant_id_last_name_id"), "users", ["tenant_id", "last_name", "id"], unique=False)
    _index_marked("users", "deactivated", "id")
    _index_marked("users", "deactivated_email_key", "email_key", "id")
    _index_marked("users", "deactivated_last_name", "last_name", "id")
    if op.get_bind().dialect.name == "postgresql":
        for table in _GROWING:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN tenant_id SET (n_distinct = 20)")


def _index_marked(table: str, name: str, *columns: str) -> None:
    """An index of the rows alone that are archived or deactivated."""
    condition = sa.text(f"{name.partition('_')[0]}_at IS NOT NULL")
    op.create_index(
        op.f(f"ix_{table}_{name}"),
        table,
        ["tenant_id", *columns],
        unique=False,
        sqlite_where=condition,
        postgresql_where=condition,
    )
