"""Changes of keys in 0010: the tables, and the statements for each store.

SQLite rebuilds a table: a new one, its rows, the old one dropped, the new one renamed. Checks of foreign keys are off
meanwhile (:mod:`manifest_auth.store.migrate`), and all are checked at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from manifest_auth.store.migrate import SchemaRefused
from manifest_auth.store.upgrade_steps import Progress


class Rekeyed(NamedTuple):
    """A table of tenants. Names of columns, separated by blanks; of several indexes, by commas."""

    name: str
    key: str  # primary key, behind the tenant; `new`: an id that the database assigns
    points: str = ""  # `column:table` of each foreign key to another such table
    unique: str = ""  # unique with the tenant
    was_unique: str = ""  # without it, up to now
    old: str = ""  # indexes that go
    new: str = ""  # indexes that come
    is_keyed: bool = False  # primary key and foreign keys are as they should be


TABLES = (
    Rekeyed("audit_events", "sequence", is_keyed=True),
    Rekeyed("audit_heads", "", is_keyed=True),
    Rekeyed("audit_anchors", "", is_keyed=True),
    Rekeyed("users", "new", unique="email_key", old="tenant_id id"),
    Rekeyed("known_origins", "user_id origin", "user_id:users", old="origin", new="tenant_id origin"),
    Rekeyed("password_history", "new", "user_id:users", old="user_id", new="tenant_id user_id"),
    Rekeyed("sessions", "id", "user_id:users", was_unique="cookie_hash", old="user_id, provider_id",
            new="id, cookie_hash, tenant_id user_id, tenant_id provider_id"),
    Rekeyed("invitations", "new", "user_id:users", was_unique="key", old="user_id",
            new="key tenant_id, tenant_id user_id"),
    Rekeyed("providers", "new", unique="name", old="issuer", new="issuer tenant_id"),
    Rekeyed("provider_domains", "provider_id domain", "provider_id:providers", old="domain"),
    Rekeyed("identities", "new", "provider_id:providers user_id:users", unique="provider_id subject",
            was_unique="provider_id subject", old="user_id", new="tenant_id user_id"),
    Rekeyed("seen_assertions", "key", is_keyed=True),
    Rekeyed("sign_in_flows", "key", "provider_id:providers", was_unique="request_id", old="provider_id",
            new="key, request_id, tenant_id provider_id"),
    Rekeyed("sign_in_codes", "key", "provider_id:providers user_id:users", old="provider_id",
            new="key, tenant_id provider_id"),
    Rekeyed("refused_tokens", "key"),
    Rekeyed("kept_tokens", "provider_id user_id", "provider_id:providers user_id:users", old="user_id",
            new="tenant_id user_id"),
    Rekeyed("passkeys", "id", "user_id:users", unique="credential_id", was_unique="credential_id", is_keyed=True),
    Rekeyed("passkey_handles", "user_id", "user_id:users", was_unique="handle", is_keyed=True),
    Rekeyed("templates", "new", "created_by:users", old="tenant_id id"),
    Rekeyed("template_versions", "new", "created_by:users template_id:templates", unique="template_id number",
            was_unique="template_id number"),
    Rekeyed("template_steps", "version_id number", "version_id:template_versions"),
    Rekeyed("template_events", "template_id number", "by:users template_id:templates"),
    Rekeyed("files", "new", "uploaded_by:users", was_unique="key"),
    Rekeyed("jobs", "new", "created_by:users template_id:templates version_id:template_versions", old="tenant_id id"),
    Rekeyed("job_assignments", "job_id user_id", "assigned_by:users job_id:jobs user_id:users", old="user_id job_id",
            new="tenant_id user_id job_id"),
    Rekeyed("job_steps", "job_id number", "completed_by:users job_id:jobs"),
    Rekeyed("job_events", "job_id number", "by:users job_id:jobs"),
    Rekeyed("job_records", "job_id number", "file_id:files job_id:jobs recorded_by:users",
            old="job_id step number, file_id", new="tenant_id job_id step number, tenant_id file_id"),
)  # fmt: skip
#: Types of columns in a table of SQLite that is STRICT.
_STRICT = {"BIGINT": "INTEGER", "DOUBLE": "REAL"}


_CANNOT = "this store cannot be upgraded to 0010"
_REFUSED = f"{_CANNOT}: a row names what its client does not have"


def on_sqlite(store: Connection, step: Progress) -> None:
    """Rebuilds the tables. Raises SchemaRefused."""
    store.exec_driver_sql("PRAGMA cache_size=-131072")  # in KiB: rows come in the order of no key
    for place, table in enumerate(TABLES):
        step(table.name, place, len(TABLES) + 1)
        try:
            for statement in _rebuilt(store, table):
                store.exec_driver_sql(statement)
        except IntegrityError as error:  # written by hand: before 0010 such a table took it
            raise SchemaRefused(f"{_CANNOT}: a row of {table.name}: {error.orig}") from error
    step("foreign keys", len(TABLES), len(TABLES) + 1)
    if broken := store.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise SchemaRefused(f"{_REFUSED}: row {broken[1]} of {broken[0]}, in {broken[2]}")


def _rebuilt(store: Connection, table: Rekeyed) -> Iterator[str]:
    name, made = table.name, f"new_{table.name}"
    columns = store.exec_driver_sql(f'PRAGMA table_info("{name}")').all()
    found = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql <> '' AND tbl_name = ? ORDER BY rowid"
    indexes = store.exec_driver_sql(found, (name,)).all()
    parts = [_column(column, table.key == "new") for column in columns]
    if table.key != "new":
        parts.append(f"CONSTRAINT pk_{name} PRIMARY KEY ({_with_tenant(table.key)})")
    if not name.startswith("audit_"):
        parts.append(f"CONSTRAINT fk_{name}_tenant_id FOREIGN KEY (tenant_id) REFERENCES tenants (id)")
    parts += [_foreign_key(name, point) for point in table.points.split()]
    parts += [_unique(name, table.unique)] if table.unique else []
    yield f"CREATE TABLE {made} ({', '.join(parts)}) STRICT"
    names = ", ".join(f'"{column.name}"' for column in columns)
    yield f"INSERT INTO {made} ({names}) SELECT {names} FROM {name} ORDER BY rowid"  # noqa: S608 - our names
    if table.key == "new":  # the newest id that was ever given, also where its row is gone
        yield f"DELETE FROM sqlite_sequence WHERE name = '{made}'"  # noqa: S608 - our names
        yield f"UPDATE sqlite_sequence SET name = '{made}' WHERE name = '{name}'"  # noqa: S608 - our names
    yield f"DROP TABLE {name}"
    yield f"ALTER TABLE {made} RENAME TO {name}"
    gone = {_index_name(name, index) for index in filter(None, table.old.split(", "))}
    # Of two equally good indexes SQLite uses the newer one: first those that come, last those of few rows.
    yield from _new_indexes(table)
    yield from (index.sql for index in indexes if index.name not in gone and " WHERE " not in index.sql)
    if table.key == "new":
        yield f"CREATE UNIQUE INDEX {_index_name(name, 'tenant_id id')} ON {name} (tenant_id, id)"
    yield from (index.sql for index in indexes if index.name not in gone and " WHERE " in index.sql)


def _column(column: Any, is_numbered: bool) -> str:
    """Its definition, from a row of ``PRAGMA table_info``."""
    kind = _STRICT.get(column.type, column.type)
    default = "" if column.dflt_value is None else f" DEFAULT {column.dflt_value}"
    key = " PRIMARY KEY AUTOINCREMENT" if is_numbered and column.name == "id" else ""
    return f'"{column.name}" {kind}{default}{" NOT NULL" if column.notnull else ""}{key}'


def on_postgres(store: Connection, step: Progress) -> None:
    """Changes the constraints in place. Raises SchemaRefused."""
    store.exec_driver_sql("SET LOCAL maintenance_work_mem = '128MB'")
    tables = [table for table in TABLES if not table.is_keyed or table.was_unique]
    for table in tables:
        for point in () if table.is_keyed else table.points.split():
            _alter(store, table, f"DROP CONSTRAINT fk_{table.name}_{point.partition(':')[0]}")
    for place, table in enumerate(tables):
        step(table.name, place, 2 * len(tables))
        _change_keys(store, table)
    for place, table in enumerate(tables, len(tables)):
        step(f"{table.name}, foreign keys", place, 2 * len(tables))
        try:
            for point in () if table.is_keyed else table.points.split():
                _alter(store, table, f"ADD {_foreign_key(table.name, point)}")
        except IntegrityError as error:
            raise SchemaRefused(f"{_REFUSED}: {error.orig}".replace("\n", ": ")) from error


def _change_keys(store: Connection, table: Rekeyed) -> None:
    name, changes = table.name, []
    if not table.is_keyed:
        _alter(store, table, f"DROP CONSTRAINT pk_{name}")
        # Foreign keys of the second factors rest on the unique index of users already: it becomes the key.
        key = "USING INDEX ix_users_tenant_id_id" if name == "users" else f"({_with_tenant(table.key)})"
        changes.append(f"ADD CONSTRAINT pk_{name} PRIMARY KEY {key}")
    if table.was_unique:
        changes.append(f"DROP CONSTRAINT uq_{name}_{table.was_unique.replace(' ', '_')}")
        changes += [f"ADD {_unique(name, table.unique)}"] if table.unique else []
    _alter(store, table, ", ".join(changes))
    for index in filter(None, table.old.split(", ")) if name != "users" else ():
        store.exec_driver_sql(f"DROP INDEX {_index_name(name, index)}")
    for statement in _new_indexes(table):
        store.exec_driver_sql(statement)


def _alter(store: Connection, table: Rekeyed, change: str) -> None:
    store.exec_driver_sql(f"ALTER TABLE {table.name} {change}")


def _with_tenant(columns: str) -> str:
    return ", ".join(f'"{name}"' for name in ("tenant_id", *columns.replace("new", "id").split()))


def _foreign_key(name: str, point: str) -> str:
    column, _, to = point.partition(":")
    return (
        f'CONSTRAINT fk_{name}_tenant_id_{column} FOREIGN KEY (tenant_id, "{column}") REFERENCES {to} (tenant_id, id)'
    )


def _unique(name: str, columns: str) -> str:
    return f"CONSTRAINT uq_{name}_tenant_id_{columns.replace(' ', '_')} UNIQUE ({_with_tenant(columns)})"


def _index_name(name: str, columns: str) -> str:
    return f"ix_{name}_{columns.replace(' ', '_')}"


def _new_indexes(table: Rekeyed) -> Iterator[str]:
    for columns in filter(None, table.new.split(", ")):
        quoted = ", ".join(f'"{column}"' for column in columns.split())
        yield f"CREATE INDEX {_index_name(table.name, columns)} ON {table.name} ({quoted})"
