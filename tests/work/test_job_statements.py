"""Indexes that SQLite uses for jobs, so that reads grow with their result, not with the tenant or the job."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from manifest_auth.store import Global, TenantScoped
from manifest_auth.work import job_operations, jobs, records
from tests.support.matrix import matrix
from tests.support.stores import fresh_store

#: Statement: the index that it searches, and the columns it uses.
LOOKS_UP: list[tuple[TenantScoped[Any], str]] = [
    (records._COUNT, "ix_job_records_tenant_id_job_id_step_number (tenant_id=? AND job_id=? AND step=?)"),
    (records._OF_STEPS, "ix_job_records_tenant_id_job_id_step_number (tenant_id=? AND job_id=? AND step=?)"),
    (records._NUMBERED, "sqlite_autoindex_job_records_1 (tenant_id=? AND job_id=? AND number>? AND number<?)"),
    (jobs._NUMBERED, "sqlite_autoindex_job_events_1 (tenant_id=? AND job_id=? AND number>? AND number<?)"),
    (job_operations._OF, "sqlite_autoindex_job_assignments_1 (tenant_id=? AND job_id=?)"),
    (records._OF, "sqlite_autoindex_job_steps_1 (tenant_id=? AND job_id=?)"),
]
#: Conditions and order of a list: the index that it uses.
LISTS: dict[tuple[tuple[str, ...], str], str] = {
    ((), "ID"): "ix_jobs_tenant_id_id (tenant_id=? AND id>?)",
    ((), "NAME"): "ix_jobs_tenant_id_name_key_id (tenant_id=? AND name_key>?)",
    ((), "PRIORITY"): "ix_jobs_tenant_id_priority_id (tenant_id=? AND priority>?)",
    ((), "CHANGED_AT"): "ix_jobs_tenant_id_changed_at_id (tenant_id=? AND changed_at>?)",
    (("status",), "ID"): "ix_jobs_tenant_id_status_id (tenant_id=? AND status=? AND id>?)",
    (("status",), "PRIORITY"): "ix_jobs_tenant_id_status_priority_id (tenant_id=? AND status=? AND priority>?)",
    (("status",), "CHANGED_AT"): "ix_jobs_tenant_id_status_changed_at_id (tenant_id=? AND status=? AND changed_at>?)",
    (("priority",), "ID"): "ix_jobs_tenant_id_priority_id (tenant_id=? AND priority=? AND id>?)",
    (("template",), "ID"): "ix_jobs_tenant_id_template_id_id (tenant_id=? AND template_id=? AND id>?)",
    (("asset",), "ID"): "ix_jobs_tenant_id_asset_id_id (tenant_id=? AND asset_id=? AND id>?)",
    **{
        (conditions, sort): f"{index} "
        for sort in jobs.LISTING.sorts
        for conditions, index in (
            (("assigned",), "ix_job_assignments_tenant_id_user_id_job_id"),
            (("assigned", "status"), "ix_job_assignments_tenant_id_user_id_job_id"),
            (("asset",), "ix_jobs_tenant_id_asset_id_id"),
            (("template",), "ix_jobs_tenant_id_template_id_id"),
        )
        if (conditions, sort) not in {(("template",), "ID"), (("asset",), "ID")}
    },
}


#: A scan of all the tenant's rows in the order of a column.
WALKED = [f"tenant_id=? AND {name}" for name in ("name_key", "priority", "changed_at")]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> sqlite3.Connection:
    path: Path = tmp_path_factory.mktemp("store") / "m.db"
    fresh_store(path)
    return sqlite3.connect(path)


def plan(opened: sqlite3.Connection, statement: TenantScoped[Any] | Global[Any]) -> str:
    """SQLite's query plan."""
    values = [None] * len(statement.sqlite.order)
    return "\n".join(row[3] for row in opened.execute(f"EXPLAIN QUERY PLAN {statement.sqlite.sql}", values))


@matrix(("statement", "index"), LOOKS_UP)
def test_what_belongs_to_jobs_is_looked_up(
    opened: sqlite3.Connection, statement: TenantScoped[Any], index: str
) -> None:
    assert f"USING INDEX {index}" in plan(opened, statement).replace("COVERING ", "")


@matrix(("listed", "index"), LISTS.items(), ids=map(str, LISTS))
def test_pages_are_read_from_the_index_that_fits(
    opened: sqlite3.Connection, listed: tuple[tuple[str, ...], str], index: str
) -> None:
    conditions, sort = listed
    found = plan(opened, jobs.LISTING._page(sort, False, True, conditions))
    assert index in found
    if conditions:  # otherwise, the result is all of the tenant's rows in order
        assert not any(f"({walked}>?)" in found for walked in WALKED)
