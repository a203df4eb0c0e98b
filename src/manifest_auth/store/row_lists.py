"""Rows that a statement is given as one parameter, so that it writes any number of them at once and both stores keep it
prepared: an INSERT … SELECT from the list costs one round trip, and may ask for a condition that each row must meet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, Text, bindparam, cast, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias


class _given(FunctionElement[Any]):  # noqa: N801 - a function of SQL
    inherit_cache = True
    name = "given"


@compiles(_given)
def _in_sqlite(element: _given, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_given, "postgresql")
def _in_postgres(element: _given, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements(CAST({compiler.process(element.clauses, **options)} AS JSON))"


def row_list(name: str) -> TableValuedAlias:
    """The rows that the parameter ``name`` holds, see :func:`rows`. Something to select from."""
    return _given(bindparam(name, type_=Text())).table_valued("value", name=f"given_{name}")


def cell(source: TableValuedAlias, position: int, column: Column[Any]) -> ColumnElement[Any]:
    """The cell at this position of each row, of the type of the column that it is for."""
    return cast(source.c.value.op("->>")(literal_column(str(int(position)))), column.type)


def rows(values: Iterable[Sequence[Any]]) -> str:
    """What a parameter of :func:`row_list` takes."""
    return orjson.dumps([list(row) for row in values]).decode()
