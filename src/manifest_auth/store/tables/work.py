"""Tables of templates and their versions, jobs and their records, and files.

Events and records are numbered from 1 within their template or job, by a counter in its row. Only one of two concurrent
changes increments the counter, and a page of such a list is a range of numbers.

Clients differ greatly in size, so PostgreSQL's statistics are set to expect large ones (``n_distinct`` of
``tenant_id``). A plan for the average client would scan all rows of the largest.
"""

from __future__ import annotations

from sqlalchemy import REAL, Column, Double, ForeignKeyConstraint, Index, Integer, Text, UniqueConstraint

from manifest_auth.store.tables.columns import BigInt, numbered, owned_table, partial_index, row_of, tenant, time


def _by(name: str) -> tuple[Column[int], ForeignKeyConstraint]:
    """Returns the columns of the user who acted."""
    return row_of("users", name)


templates = owned_table(
    "templates",
    *numbered(),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),  # lower case, for order and search
    Column("description", Text, nullable=False),
    Column("versions", Integer, nullable=False),  # number of versions, and number of the latest
    Column("published", Integer),  # number of the published version
    Column("events", Integer, nullable=False),  # number of events
    *_by("created_by"),
    time("created_at"),
    time("changed_at"),
    time("archived_at", nullable=True),
    Index(None, "tenant_id", "name_key", "id"),
    Index(None, "tenant_id", "changed_at", "id"),
    *(
        partial_index(f"ix_templates_archived_{name}", "archived_at", "tenant_id", name, "id")
        for name in ("name_key", "changed_at")
    ),
    partial_index("ix_templates_archived", "archived_at", "tenant_id", "id"),
)

template_versions = owned_table(
    "template_versions",
    *numbered(),
    *row_of("templates", "template_id"),
    Column("number", Integer, nullable=False),  # 1, 2, 3 … within the template
    Column("status", Text, nullable=False),  # see work.VersionStatus
    Column("revision", Integer, nullable=False),  # counts the edits of the draft
    *_by("created_by"),
    time("created_at"),
    time("published_at", nullable=True),
    UniqueConstraint("tenant_id", "template_id", "number"),
    # If the tenant came first, SQLite would scan all of a tenant's versions to find those of a few keys.
    Index(None, "status", "tenant_id", "template_id"),
)

template_steps = owned_table(
    "template_steps",
    tenant(),
    *row_of("template_versions", "version_id", is_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3 … within the version
    Column("title", Text, nullable=False),
    Column("instructions", Text, nullable=False),
    Column("requires_evidence", Integer, nullable=False),
)

template_events = owned_table(  # who changed the state of a template or version, when, and with which comment
    "template_events",
    tenant(),
    *row_of("templates", "template_id", is_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("move", Text, nullable=False),  # see work.TemplateMove
    Column("version", Integer),  # number of the version
    Column("comment", Text, nullable=False),
    *_by("by"),
    time("at"),
)

jobs = owned_table(
    "jobs",
    *numbered(),
    *row_of("templates", "template_id"),
    *row_of("template_versions", "version_id"),
    Column("version", Integer, nullable=False),  # the version's number
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("asset_id", Text),  # id in another system, for display and filters
    Column("priority", Integer, nullable=False),  # see work.Priority
    Column("status", Text, nullable=False),  # see work.JobStatus
    Column("steps", Integer, nullable=False),  # number of steps of the version
    Column("done", Integer, nullable=False),  # number of completed steps, always the first ones
    Column("records", Integer, nullable=False),
    Column("events", Integer, nullable=False),
    *_by("created_by"),
    time("created_at"),
    time("changed_at"),
    time("started_at", nullable=True),
    time("completed_at", nullable=True),
    time("canceled_at", nullable=True),
    Index(None, "tenant_id", "status", "id"),
    Index(None, "tenant_id", "priority", "id"),
    Index(None, "tenant_id", "name_key", "id"),
    Index(None, "tenant_id", "changed_at", "id"),
    Index(None, "tenant_id", "asset_id", "id"),
    Index(None, "tenant_id", "template_id", "id"),
    Index(None, "tenant_id", "status", "name_key", "id"),
    Index(None, "tenant_id", "status", "priority", "id"),
    Index(None, "tenant_id", "status", "changed_at", "id"),
    Index(None, "tenant_id", "priority", "name_key", "id"),
)

job_assignments = owned_table(
    "job_assignments",
    tenant(),
    *row_of("jobs", "job_id", is_key=True),
    *row_of("users", "user_id", is_key=True),
    *_by("assigned_by"),
    time("assigned_at"),
    Index(None, "tenant_id", "user_id", "job_id"),
)

job_steps = owned_table(  # completed steps only
    "job_steps",
    tenant(),
    *row_of("jobs", "job_id", is_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    *_by("completed_by"),
    time("completed_at"),
)

job_events = owned_table(
    "job_events",
    tenant(),
    *row_of("jobs", "job_id", is_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("move", Text, nullable=False),  # see work.JobMove
    Column("step", Integer),
    Column("comment", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON: what changed, before and after
    *_by("by"),
    time("at"),
)

files = owned_table(  # evidence; the bytes are in the file storage under `key`
    "files",
    *numbered(),
    Column("key", Text, nullable=False),  # random
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInt, nullable=False),
    Column("sha256", Text, nullable=False),
    *_by("uploaded_by"),
    time("uploaded_at"),
    time("used_at", nullable=True),  # when a job first recorded it; unused files are deleted after a day
    Index(None, "used_at", "uploaded_at"),
)

job_records = owned_table(
    "job_records",
    tenant(),
    *row_of("jobs", "job_id", is_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("step", Integer, nullable=False),
    Column("kind", Text, nullable=False),  # see work.RecordKind
    Column("text", Text),  # text or choice
    Column("value", Double().with_variant(REAL(), "sqlite")),  # a number, or 0 or 1 for a boolean
    Column("unit", Text),
    *row_of("files", "file_id", nullable=True),
    *_by("recorded_by"),
    time("recorded_at"),
    Index(None, "tenant_id", "job_id", "step", "number"),
    Index(None, "tenant_id", "file_id"),
)
