"""Every revision after the first only adds, so that the previous release works with the upgraded database."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, text

from manifest_auth.store import migrate
from tests.releases import listed, next_release
from tests.store import old_stores
from tests.store.expand_rules import faults, shape_of
from tests.support.matrix import matrix
from tests.support.postgres import Databases

_NEW = [schema for schema in migrate.SCHEMAS if schema > listed.FIRST]


def revision(schema: str) -> Any:
    """The module of a revision."""
    return import_module(f"manifest_auth.store.migrations.versions.{migrate.FILES[schema]}")


def test_the_first_one_is_that_of_the_first_release() -> None:
    assert migrate.SCHEMAS[0] == revision(listed.FIRST).READABLE_BY == listed.FIRST


def test_programs_of_the_release_before_can_use_the_store() -> None:
    before = listed.FIRST
    for schema in _NEW:
        readable_by = revision(schema).READABLE_BY
        assert before <= readable_by <= listed.before(schema), schema
        before = readable_by


async def test_they_only_add(empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does the revision that other tests use to upgrade the current schema."""
    next_release.learn(tmp_path, monkeypatch)
    for schema in (*_NEW, next_release.SCHEMA):
        assert await old_stores.within(empty_url, lambda connection: _faults(connection, schema)) == []  # noqa: B023


def _faults(connection: Connection, schema: str) -> list[str]:
    command.upgrade(old_stores.alembic(connection), revision(schema).down_revision)
    before = shape_of(connection)
    command.upgrade(old_stores.alembic(connection), schema)
    return faults(before, shape_of(connection), frozenset(getattr(revision(schema), "DROPS", ())))


BEFORE = (
    "CREATE TABLE parents (id bigint PRIMARY KEY, name varchar(20) NOT NULL DEFAULT '', note text)",
    "CREATE INDEX ix_parents_name ON parents (name)",
    "CREATE UNIQUE INDEX ix_parents_note ON parents (note)",
    "CREATE VIEW named AS SELECT id, name FROM parents",
)
WRONG = {
    "DROP TABLE parents CASCADE": "parents is dropped",
    "ALTER TABLE parents RENAME TO elders": "parents is dropped or renamed",
    "ALTER TABLE parents DROP COLUMN note": "parents.note is dropped",
    "ALTER TABLE parents RENAME COLUMN note TO remark": "parents.note is dropped or renamed",
    "DROP VIEW named": "named is dropped",
    "DROP VIEW named; ALTER TABLE parents ALTER COLUMN name TYPE varchar(10)": "parents.name has another type",
    "ALTER TABLE parents ALTER COLUMN note SET NOT NULL": "parents.note is narrower",
    "ALTER TABLE parents ALTER COLUMN name DROP DEFAULT": "parents.name has another default",
    "ALTER TABLE parents ADD COLUMN age integer NOT NULL": "parents.age must be nullable",
    "ALTER TABLE parents ADD COLUMN at timestamptz NOT NULL DEFAULT now()": "parents.at must be nullable",
    "ALTER TABLE parents ADD COLUMN at double precision DEFAULT random()": "parents.at must be nullable",
    "ALTER TABLE parents ADD CHECK (name <> 'x')": "parents: check",
    "ALTER TABLE parents ADD UNIQUE (name)": "parents: unique",
    "ALTER TABLE parents ADD FOREIGN KEY (id) REFERENCES parents": "parents: foreign key",
    "CREATE UNIQUE INDEX ix_new ON parents (name)": "parents: unique index ix_new is new",
    "CREATE INDEX ix_new ON parents (note)": "parents: index ix_new is new",
    "DROP INDEX ix_parents_note": "parents: unique index ix_parents_note is gone",
    "CREATE TABLE children (id bigint REFERENCES parents)": "children: foreign key",
}
RIGHT = (
    "ALTER TABLE parents ADD COLUMN age integer",
    "ALTER TABLE parents ADD COLUMN age integer NOT NULL DEFAULT 0",
    "ALTER TABLE parents ADD COLUMN kind text NOT NULL DEFAULT 'person'",
    "ALTER TABLE parents ALTER COLUMN name DROP NOT NULL",
    "CREATE TABLE children (id bigint REFERENCES parents ON DELETE CASCADE, age integer NOT NULL CHECK (age > 0))",
    "CREATE OR REPLACE VIEW named AS SELECT id, name, note FROM parents",
)


@matrix("statement", [*WRONG, *RIGHT])
async def test_what_is_rejected(statement: str, postgres: Databases) -> None:
    def changed(connection: Connection) -> list[str]:
        for one in BEFORE:
            connection.execute(text(one))
        before = shape_of(connection)
        for one in statement.split("; "):
            connection.execute(text(one))
        return faults(before, shape_of(connection))

    found = await old_stores.within(postgres.empty_database(), changed)
    if statement in RIGHT:
        assert found == []
    else:
        assert any(fault.startswith(WRONG[statement]) for fault in found), found
