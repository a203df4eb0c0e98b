"""Every statement that adds a user or grants a role checks for a seat.

A new statement without this check fails here, and so does SQL that bypasses the store.
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import manifest_auth
from manifest_auth.accounts import users
from tests.support.statements import every_statement

SOURCE = Path(manifest_auth.__file__).parent
WRITES = re.compile(r"\s*(?:INSERT INTO|UPDATE|REPLACE INTO|INSERT OR \w+ INTO)\s+users\b", re.IGNORECASE)
#: Statements that change a user's need for a seat. The first three take one, and the last releases one.
TAKING = {"_ADD", "_SET_ROLES", "_RESTORE"}
GIVING = {"_DEACTIVATE"}
#: Statements on service accounts, which take no seat (the view `seats_taken` counts people).
WITHOUT_SEAT = {
    f"manifest_auth.accounts.service_accounts.rows.{name}" for name in ("_ADD_USER", "_CHANGE_USER", "_SWITCH")
}


def matters(sql: str) -> bool:
    """Whether it adds a user, or sets a user's roles or ``deactivated_at``."""
    if not WRITES.match(sql):
        return False
    return not sql.lstrip().upper().startswith("UPDATE") or bool(
        re.search(r"\b(roles|deactivated_at)\s*=", re.split(r"\bWHERE\b", sql)[0])
    )


def test_the_statements_that_a_seat_hangs_on() -> None:
    found = {name for name, statement in every_statement().items() if matters(statement.sqlite.sql)}
    assert found == {f"manifest_auth.accounts.users.{name}" for name in TAKING | GIVING} | WITHOUT_SEAT


def test_each_operation_that_runs_one_asks_for_the_seat_before() -> None:
    callers: dict[str, bool] = {}
    for node in ast.parse(inspect.getsource(users)).body:
        if isinstance(node, ast.FunctionDef):
            names = [one for one in ast.walk(node) if isinstance(one, ast.Name)]
            lines = {one.id: one.lineno for one in names if one.id in TAKING}
            asked = [
                one.lineno
                for one in ast.walk(node)
                if isinstance(one, ast.Call) and ast.unparse(one.func) in ("counter.seat", "counter.seats")
            ]
            callers |= {name: bool(asked) and asked[0] < line for name, line in lines.items()}
    assert callers == dict.fromkeys(TAKING, True)


def test_no_one_writes_users_past_the_statements() -> None:
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and WRITES.match(node.value):
                found.add(path.relative_to(SOURCE).as_posix())
    assert found == set()


def test_only_what_fills_an_empty_store_is_let_off() -> None:
    using = {
        path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if "UNCOUNTED" in path.read_text("utf-8")
    }
    assert using - {"licence/__init__.py", "licence/gate.py"} == {"maintenance/demo/filling.py"}
