"""Code rules that linters don't have: time and randomness as arguments, package docstrings, small files, and layers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.links import ROOT
from tests.support.matrix import matrix

SOURCE = ROOT / "src" / "manifest_auth"
FILES = sorted(SOURCE.rglob("*.py"))
MOST_LINES = 600

#: Time and random values come from clock.py, so that tests can set and predict them.
_BANNED_MODULES = {"random", "secrets", "uuid"}
_BANNED_NAMES = {
    "time.time",
    "time.time_ns",
    "os.urandom",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
}
#: File: what it can use, and the reason.
_EXCEPTIONS: dict[str, set[str]] = {
    "runtime/clock.py": {"time.time_ns", "secrets"},  # the only source of them
}


def _names(tree: ast.Module) -> Iterator[str]:
    """The names that a file uses, as ``module`` for an import and ``module.name`` for a name imported from one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            owner = node.value
            if isinstance(owner, ast.Name):
                yield f"{owner.id}.{node.attr}"
            elif isinstance(owner, ast.Attribute):
                yield f"{owner.attr}.{node.attr}"


def banned(source: str) -> set[str]:
    """The names for time and randomness that a source text uses."""
    return set(_names(ast.parse(source))) & (_BANNED_MODULES | _BANNED_NAMES)


def _name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@matrix("path", FILES, ids=_name)
def test_time_and_randomness_come_only_from_the_clock(path: Path) -> None:
    assert banned(path.read_text("utf-8")) <= _EXCEPTIONS.get(_name(path), set())


@matrix(
    "source",
    [
        "import time\ntime.time()",
        "from time import time_ns",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime\ndatetime.now(UTC)",
        "import random",
        "from secrets import token_bytes",
        "import uuid",
        "from uuid import uuid4",
        "import os\nos.urandom(8)",
    ],
)
def test_the_ban_sees_every_spelling(source: str) -> None:
    assert banned(source)


def test_no_exception_outlives_its_reason() -> None:
    for name, allowed in _EXCEPTIONS.items():
        assert banned((SOURCE / name).read_text("utf-8")) == allowed


def test_no_file_is_too_long() -> None:
    folders = ("src", "sdk", "tests", "bench")
    long = {
        path.relative_to(ROOT).as_posix(): count
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if (count := len(path.read_text("utf-8").splitlines())) > MOST_LINES
    }
    assert not long


def test_every_package_and_file_describes_its_purpose() -> None:
    silent = [
        _name(path)
        for path in FILES
        if "migrations" not in path.parts and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert not silent


def _written(path: Path) -> set[str]:
    """The columns of ``users`` that a file's statements set."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "values"):
            continue
        if any(ast.unparse(inner) in ("update(users)", "update(users_table)") for inner in ast.walk(node.func)):
            found |= {word.arg or "" for word in node.keywords} | {ast.unparse(given) for given in node.args}
    return found


def test_only_one_place_makes_active_admins_and_it_voids_credentials() -> None:
    """No other code gives the role Admin to an existing user, so every path removes anything that others have
    planted."""
    writers = {_name(path) for path in FILES if _written(path) & {"roles", "deactivated_at"}}
    # A service account can't be an Admin, and its statements apply to no person.
    assert writers == {"accounts/users.py", "accounts/service_accounts/rows.py"}
    others = {_name(path): _written(path) for path in FILES if _written(path) and _name(path) not in writers}
    assert set(others) == {"accounts/factors/changes.py"}
    assert not [name for written in others.values() for name in written if "roles" in name or "deactivated" in name]


def by_position(source: str, records: set[str]) -> set[str]:
    """The records with more than five members that a source text creates with positional arguments."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and len(node.args) > 5)
    return {ast.unparse(call.func).rpartition(".")[2] for call in calls} & records


def _records(source: str) -> Iterator[str]:
    """Classes that consist only of named members."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            written = [*map(ast.unparse, node.bases), *map(ast.unparse, node.decorator_list)]
            if any(text.startswith(("NamedTuple", "msgspec.Struct", "Wire", "Items", "dataclass")) for text in written):
                yield node.name


def test_tuples_with_many_members_are_built_by_keyword() -> None:
    sources = {_name(path): path.read_text("utf-8") for path in FILES}
    records = {name for source in sources.values() for name in _records(source)} - {"Route"}
    assert "Principal" in records
    assert by_position("Place(1, 2, 3, 4, 5)\nx.Row(1, 2, 3, 4, 5, 6)", {"Place", "Row"}) == {"Row"}
    assert {name: found for name, source in sources.items() if (found := by_position(source, records))} == {}


def _first_line_is_a_sentence(source: str) -> bool:
    """Whether the first line of a file's docstring is a whole sentence. An empty file has none."""
    line = (ast.get_docstring(ast.parse(source), clean=False) or "").partition("\n")[0]
    return not source.strip() or (line.endswith(".") and not re.search(r"[.?!] [A-Z`]", line))


@matrix("folder", ["src", "sdk", "tests"])
def test_the_first_line_of_a_file_is_one_sentence_that_ends_there(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    assert [file for file in files if not _first_line_is_a_sentence(file.read_text("utf-8"))] == []


@matrix("text", ["Opens files, and", "Opens files", "Opens files. Closes them.", ""])
def test_another_first_line_is_found(text: str) -> None:
    assert not _first_line_is_a_sentence(f'"""{text}\ncloses them.\n"""')
