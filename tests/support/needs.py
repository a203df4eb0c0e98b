"""What a test file needs beside Python, by the modules of the tests that it imports, however far away.

A module that starts programs which a machine may lack names them: ``PROGRAMS = ("chromium",)``. One that imports
``subprocess`` or ``multiprocessing`` starts some. Who uses PostgreSQL says so by a fixture or a parameter.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_STARTING = ("subprocess", "multiprocessing")
_BY_FIXTURE = "tests/support/postgres.py"


def more_than_python(item: pytest.Item) -> bool:
    """Whether a test starts programs, or uses a store that is one."""
    file = item.nodeid.partition("::")[0]
    if programs([file]) or _STARTS in _all_of(file):
        return True
    fixtures = set(getattr(item, "fixturenames", ()))
    given = getattr(getattr(item, "callspec", None), "params", {})
    return not fixtures.isdisjoint(("postgres", "own_postgres")) or "postgresql" in map(str, given.values())


_STARTS = "starts programs"


def programs(places: Iterable[str]) -> set[str]:
    """Those that the tests there need; without places, all tests."""
    files = [file for place in places for file in _files(place.partition("::")[0])]
    return {name for file in files for name in _all_of(file)} - {_STARTS}


def _files(place: str) -> Iterator[str]:
    path = Path(place)
    yield from map(str, path.rglob("test_*.py")) if path.is_dir() else [place]


def _all_of(file: str) -> set[str]:
    folders = [folder for folder in Path(file).parents if folder.parts and folder != Path("tests")]
    seen, ahead = {_BY_FIXTURE}, [file, *(str(conf) for folder in folders if (conf := folder / "conftest.py").exists())]
    found = set[str]()
    while ahead:
        if (one := ahead.pop()) not in seen:
            seen.add(one)
            needed, imported = _read(one)
            found |= needed
            ahead += imported
    return found


@cache
def _read(file: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """What one file needs by itself, and the files of the tests that it imports."""
    needed, imported = set[str](), set[str]()
    for node in ast.walk(ast.parse((_ROOT / file).read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PROGRAMS":
            needed.update(ast.literal_eval(node.value))
        if any(name.partition(".")[0] in _STARTING for name in names):
            needed.add(_STARTS)
        imported.update(filter(None, map(_file_of, names)))
    return frozenset(needed), tuple(imported)


@cache
def _file_of(module: str) -> str | None:
    if not module.startswith("tests."):
        return None
    path = module.replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if (_ROOT / file).exists()), None)


if __name__ == "__main__":
    print(*sorted(programs(sys.argv[1:] or ["tests"])))
