"""Lists of rows as one parameter of a statement, so that both stores can cache it as prepared.

An INSERT … SELECT from the list writes any number of rows in one round trip, and may have a condition on each row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, Text, bindparam, cast, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias


class _parameter_rows(FunctionElement[Any]):  # noqa: N801 - a function of SQL
    inherit_cache = True
    name = "given"


@compiles(_parameter_rows)
def _in_sqlite(element: _parameter_rows, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_parameter_rows, "postgresql")
def _in_postgres(element: _parameter_rows, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements(CAST({compiler.process(element.clauses, **options)} AS JSON))"


def row_list(name: str) -> TableValuedAlias:
    """The rows of the parameter ``name``, see :func:`rows`, to select from."""
    return _parameter_rows(bindparam(name, type_=Text())).table_valued("value", name=f"given_{name}")


def cell(source: TableValuedAlias, position: int, column: Column[Any]) -> ColumnElement[Any]:
    """The cell at this position of each row, with the type of the column."""
    return cast(source.c.value.op("->>")(literal_column(str(int(position)))), column.type)


def rows(values: Iterable[Sequence[Any]]) -> str:
    """The value of a parameter of :func:`row_list`."""
    return orjson.dumps([list(row) for row in values]).decode()
