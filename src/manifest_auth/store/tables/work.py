"""Tables of the work that roles guard: templates and their versions, jobs and what is recorded in them.

What can grow long in one template or job (events, records) is numbered from 1 within it, by a counter in its row: the
counter's change makes two who act at once one winner and one loser, and a page of many lists is a range of numbers.

Clients differ in size by orders, so PostgreSQL is told to expect large ones (``n_distinct`` of ``tenant_id``): what it
knows of the average one would let it look through all rows of the largest.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from manifest_auth.store.tables.columns import OWNED, BigInt, at, metadata, number, only, tenant


def _template(**options: bool) -> Column[int]:
    return Column("template_id", BigInt, ForeignKey("templates.id"), nullable=False, **options)  # type: ignore[arg-type]


def _job(**options: bool) -> Column[int]:
    return Column("job_id", BigInt, ForeignKey("jobs.id"), nullable=False, **options)  # type: ignore[arg-type]


def _by(name: str, nullable: bool = False) -> Column[int]:
    """A user who did something."""
    return Column(name, BigInt, ForeignKey("users.id"), nullable=nullable)


templates = Table(
    "templates",
    metadata,
    number(),
    tenant(),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),  # lower case, for order and search
    Column("description", Text, nullable=False),
    Column("versions", Integer, nullable=False),  # how many there are: the latest one's number
    Column("published", Integer),  # number of the published version
    Column("events", Integer, nullable=False),  # how many stand in the log
    _by("created_by"),
    at("created_at"),
    at("changed_at"),
    at("archived_at", nullable=True),
    Index(None, "tenant_id", "name_key", "id"),
    Index(None, "tenant_id", "changed_at", "id"),
    Index(None, "tenant_id", "id"),
    *(
        only(f"ix_templates_archived_{name}", "archived_at", "tenant_id", name, "id")
        for name in ("name_key", "changed_at")
    ),
    only("ix_templates_archived", "archived_at", "tenant_id", "id"),
    info=OWNED,
    sqlite_autoincrement=True,
)

template_versions = Table(
    "template_versions",
    metadata,
    number(),
    tenant(),
    _template(),
    Column("number", Integer, nullable=False),  # 1, 2, 3 … within the template
    Column("status", Text, nullable=False),  # see work.VersionStatus
    Column("revision", Integer, nullable=False),  # counts the edits of the draft
    _by("created_by"),
    at("created_at"),
    at("published_at", nullable=True),
    UniqueConstraint("template_id", "number"),
    # Were the tenant first, SQLite would look among all of a tenant's versions for those of a few keys.
    Index(None, "status", "tenant_id", "template_id"),
    info=OWNED,
    sqlite_autoincrement=True,
)

template_steps = Table(
    "template_steps",
    metadata,
    tenant(),
    Column("version_id", BigInt, ForeignKey("template_versions.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3 … within the version
    Column("title", Text, nullable=False),
    Column("instructions", Text, nullable=False),
    Column("requires_evidence", Integer, nullable=False),
    info=OWNED,
)

template_events = Table(  # who moved a template or one of its versions, when, and with which words
    "template_events",
    metadata,
    tenant(),
    _template(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("move", Text, nullable=False),  # see work.TemplateMove
    Column("version", Integer),  # number of the version that it is about
    Column("comment", Text, nullable=False),
    _by("by"),
    at("at"),
    info=OWNED,
)

jobs = Table(
    "jobs",
    metadata,
    number(),
    tenant(),
    _template(),
    Column("version_id", BigInt, ForeignKey("template_versions.id"), nullable=False),
    Column("version", Integer, nullable=False),  # the version's number
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("asset_id", Text),  # of another system; for people to read and to filter by
    Column("priority", Integer, nullable=False),  # see work.Priority
    Column("status", Text, nullable=False),  # see work.JobStatus
    Column("steps", Integer, nullable=False),  # how many the version has
    Column("done", Integer, nullable=False),  # how many of them are completed: always the first ones
    Column("records", Integer, nullable=False),
    Column("events", Integer, nullable=False),
    _by("created_by"),
    at("created_at"),
    at("changed_at"),
    at("started_at", nullable=True),
    at("completed_at", nullable=True),
    at("canceled_at", nullable=True),
    Index(None, "tenant_id", "id"),
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
    info=OWNED,
    sqlite_autoincrement=True,
)

job_assignments = Table(
    "job_assignments",
    metadata,
    tenant(),
    _job(primary_key=True),
    Column("user_id", BigInt, ForeignKey("users.id"), primary_key=True),
    _by("assigned_by"),
    at("assigned_at"),
    Index(None, "user_id", "job_id"),
    info=OWNED,
)

job_steps = Table(  # the completed ones
    "job_steps",
    metadata,
    tenant(),
    _job(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _by("completed_by"),
    at("completed_at"),
    info=OWNED,
)

job_events = Table(
    "job_events",
    metadata,
    tenant(),
    _job(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("move", Text, nullable=False),  # see work.JobMove
    Column("step", Integer),
    Column("comment", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON: what changed, before and after
    _by("by"),
    at("at"),
    info=OWNED,
)

files = Table(  # evidence; the bytes lie in the file store under `key`
    "files",
    metadata,
    number(),
    tenant(),
    Column("key", Text, nullable=False, unique=True),  # random
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    _by("uploaded_by"),
    at("uploaded_at"),
    at("used_at", nullable=True),  # first recorded in a job; until then it is nobody's and goes after a day
    Index(None, "used_at", "uploaded_at"),
    info=OWNED,
    sqlite_autoincrement=True,
)

job_records = Table(
    "job_records",
    metadata,
    tenant(),
    _job(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("step", Integer, nullable=False),
    Column("kind", Text, nullable=False),  # see work.RecordKind
    Column("text", Text),  # of a text or a choice
    Column("value", Double),  # of a number; 0 or 1 of a boolean
    Column("unit", Text),
    Column("file_id", BigInt, ForeignKey("files.id")),
    _by("recorded_by"),
    at("recorded_at"),
    Index(None, "job_id", "step", "number"),
    Index(None, "file_id"),
    info=OWNED,
)
