"""Shared parts of all tables: the naming of constraints, and common columns."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigInt = BigInteger().with_variant(Integer, "sqlite")


def global_table(name: str, *parts: Any, **info: str) -> Table:
    """Creates a table of the installation. On SQLite it rejects text in a numeric column, and never reuses an ID."""
    assigns = any(isinstance(part, Column) and part.identity is not None for part in parts)
    return Table(name, metadata, *parts, info=info, sqlite_strict=True, sqlite_autoincrement=assigns)


def owned_table(name: str, *parts: Any) -> Table:
    """Creates a table of tenants, see :mod:`.statements`."""
    return global_table(name, *parts, owner="tenant")


def id_column() -> Column[int]:
    """Creates an ID column. The database assigns the IDs and never reuses one."""
    return Column("id", BigInt, Identity(), primary_key=True)


def time(name: str, nullable: bool = False) -> Column[int]:
    """Creates a time column, in whole milliseconds since 1970 UTC."""
    return Column(name, BigInt, nullable=nullable)


def tenant(*, goes_with: bool = False) -> Column[int]:
    """Creates the column of the row's tenant, the first one in every key of the table. ``goes_with``: the same as for
    :func:`row_of`."""
    named = ForeignKey("tenants.id", ondelete="CASCADE" if goes_with else None)
    return Column("tenant_id", BigInt, named, nullable=False, primary_key=True)


def numbered() -> tuple[Column[int], Column[int]]:
    """Creates the key of a tenant's table whose IDs the database assigns. SQLite assigns only single-column keys, so
    ``id`` is the primary key there, and the two columns are unique together."""
    return tenant(), id_column()


def row_of(
    table: str, column: str, to: str = "id", *, is_key: bool = False, nullable: bool = False, goes_with: bool = False
) -> tuple[Column[int], ForeignKeyConstraint]:
    """Creates a column that names a row of another tenant-owned table by its column ``to``, always of the same tenant.
    ``is_key``: it is part of the primary key; ``goes_with``: deleted with that row, even by programs that don't know
    this table."""
    own = Column(column, BigInt, primary_key=is_key, nullable=nullable, autoincrement=False)
    there = [f"{table}.tenant_id", f"{table}.{to}"]
    return own, ForeignKeyConstraint(["tenant_id", column], there, ondelete="CASCADE" if goes_with else None)


def partial_index(name: str, marked: str, *columns: str) -> Index:
    """Creates an index of only the few rows with a time in ``marked``, for lists of them."""
    # PostgreSQL's index has the same condition, from its migration. Stating it here would import SQLAlchemy's
    # PostgreSQL dialect into each process on SQLite: 2 MB, and 25 ms at startup.
    return Index(name, *columns, sqlite_where=text(f"{marked} IS NOT NULL"))


def sealed(name: str, row: str, nullable: bool = False) -> Column[bytes]:
    """Creates a column that is encrypted with the installation's secret key. ``row`` is the template of the row's name,
    to which the value is bound, like ``signing_keys/{id}/secret``; ``keys reencrypt`` uses it to find all such
    columns."""
    return Column(name, LargeBinary, nullable=nullable, info={"sealed": row})


def sealed_for(column: Column[Any], **values: Any) -> str:
    """Returns the name of the row to which a value of a :func:`sealed` column is bound."""
    return str(column.info["sealed"]).format(**values)
