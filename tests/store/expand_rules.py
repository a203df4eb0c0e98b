"""Checks the changes that a revision can make while the previous release still uses the database."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from sqlalchemy import Connection, inspect

_CONSTANT = re.compile(r"'[^']*'(::[\w ]+)?|\(?-?\d+\)?(::[\w ]+)?|true|false", re.IGNORECASE)


class Table(NamedTuple):
    """``rules`` are the primary key, unique and foreign keys, checks, and indexes, each as one text."""

    columns: dict[str, Any]
    rules: set[str]


Shape = dict[str, Table]


def shape_of(connection: Connection) -> Shape:
    """Tables and views of a database."""
    found = inspect(connection)
    tables = {name: Table(_columns(found, name), _rules(found, name)) for name in found.get_table_names()}
    return tables | {name: Table(_columns(found, name), set()) for name in found.get_view_names()}


def _columns(found: Any, name: str) -> dict[str, Any]:
    return {column["name"]: column for column in found.get_columns(name)}


def _rules(found: Any, name: str) -> set[str]:
    rules = {f"primary key {found.get_pk_constraint(name)['constrained_columns']}"}
    rules |= {f"check {check['sqltext']}" for check in found.get_check_constraints(name)}
    rules |= {f"unique {one['column_names']}" for one in found.get_unique_constraints(name)}
    for index in found.get_indexes(name):
        rules.add(f"{'unique ' if index['unique'] else ''}index {index['name']}")
    for key in found.get_foreign_keys(name):
        end = (key["options"].get("ondelete") or "").upper()
        rules.add(f"foreign key {key['constrained_columns']} to {key['referred_table']} {end}".strip())
    return rules


def faults(before: Shape, after: Shape, drops: frozenset[str] = frozenset()) -> list[str]:
    """Changes that programs of the previous release can't handle. ``drops`` are columns that they no longer use."""
    found = []
    for name, old in before.items():
        if name not in after:
            found += [] if name in drops else [f"{name} is dropped or renamed"]
            continue
        new = after[name]
        for column, was in old.columns.items():
            if column not in new.columns:
                found += [] if f"{name}.{column}" in drops else [f"{name}.{column} is dropped or renamed"]
            else:
                found += [f"{name}.{column} {what}" for what in _changed(was, new.columns[column])]
        found += [f"{name}: {rule} is new" for rule in new.rules - old.rules]
        found += [f"{name}: {rule} is gone" for rule in old.rules - new.rules if f"{name}: {rule}" not in drops]
        added = {column: new.columns[column] for column in new.columns.keys() - old.columns.keys()}
        found += [f"{name}.{column} {_REQUIRED}" for column, is_now in added.items() if not _may_be_left_out(is_now)]
    for name in after.keys() - before.keys():
        keys = (rule for rule in after[name].rules if rule.startswith("foreign key"))
        found += [f"{name}: {key} keeps older programs from deleting" for key in keys if _holds(key, before)]
    return sorted(found)


_REQUIRED = "must be nullable or have a constant default"


def _may_be_left_out(column: dict[str, Any]) -> bool:
    default = column["default"]
    return default is None if column["nullable"] else default is not None and bool(_CONSTANT.fullmatch(default))


def _changed(was: dict[str, Any], is_now: dict[str, Any]) -> list[str]:
    found = [] if str(was["type"]) == str(is_now["type"]) else ["has another type"]
    found += ["is narrower"] if was["nullable"] and not is_now["nullable"] else []
    return found + (["has another default"] if was["default"] != is_now["default"] else [])


def _holds(key: str, before: Shape) -> bool:
    """Whether a foreign key to an old table stops a delete there."""
    table = key.partition(" to ")[2].partition(" ")[0]
    return table in before and not key.endswith(("CASCADE", "SET NULL"))
