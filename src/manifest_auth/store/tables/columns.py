"""What all tables are made with: the naming of constraints, and the columns that many of them have."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Index, Integer, LargeBinary, MetaData, text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigInt = BigInteger().with_variant(Integer, "sqlite")
OWNED = {"owner": "tenant"}


def number() -> Column[int]:
    """An id, given by the database and never given again."""
    return Column("id", BigInt, Identity(), primary_key=True)


def at(name: str, nullable: bool = False) -> Column[int]:
    """A time, whole milliseconds since 1970 UTC."""
    return Column(name, BigInteger, nullable=nullable)


def time(name: str, nullable: bool = False) -> Column[int]:
    """As :func:`at`, for a STRICT table of SQLite, which knows ``INTEGER`` alone."""
    return Column(name, BigInt, nullable=nullable)


def tenant(**options: Any) -> Column[int]:
    """Whose row it is."""
    return Column("tenant_id", BigInt, ForeignKey("tenants.id"), nullable=False, **options)


def only(name: str, marked: str, *columns: str) -> Index:
    """An index of the rows alone that have the time ``marked``, which are few: lists of them need not pass the rest."""
    # PostgreSQL's index has the same condition, from its migration. To say so here as well would load all that the
    # library knows of PostgreSQL into each process on SQLite: two megabytes, and 25 ms of its start.
    return Index(name, *columns, sqlite_where=text(f"{marked} IS NOT NULL"))


def sealed(name: str, row: str, nullable: bool = False) -> Column[bytes]:
    """What only the installation's secret key opens. ``row`` names the row that it is sealed for by other columns of
    it, like ``signing_keys/{id}/secret``; ``keys reencrypt`` finds all such columns by that."""
    return Column(name, LargeBinary, nullable=nullable, info={"sealed": row})


def sealed_for(column: Column[Any], **values: Any) -> str:
    """The name of the row that a value of a :func:`sealed` column is sealed for."""
    return str(column.info["sealed"]).format(**values)
