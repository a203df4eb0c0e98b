"""Which programs a test needs beside Python: found by following its names through fixtures and imports.

A file of the tests that runs programs which a machine may lack names them: ``PROGRAMS = ("chromium",)``. What uses
``subprocess`` or ``multiprocessing`` starts some. Types, and tests of other files, are not followed: to name one is
not to use it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_STARTING = ("subprocess", "multiprocessing")
_STARTS = "starts programs"
Place = tuple[str, str]  # a file, and a name at its top


def more_than_python(item: pytest.Item) -> bool:
    """Whether a test starts programs, or uses a store that is one."""
    given = getattr(getattr(item, "callspec", None), "params", {})
    file = item.nodeid.partition("::")[0]
    return "postgresql" in map(str, given.values()) or bool(_needed(file, getattr(item, "originalname", "")))


def programs(paths: Iterable[str]) -> set[str]:
    """Those that the tests there run."""
    found = set[str]()
    for path in paths:
        place, _, test = path.partition("::")
        files = map(str, Path(place).rglob("test_*.py")) if Path(place).is_dir() else [place]
        for file in files:
            tests = [test.partition("[")[0]] if test else [name for name in _read(file).used if name.startswith("test")]
            found |= set[str]().union(*(_needed(file, name) for name in tests))
    return found - {_STARTS}


@dataclass
class _File:
    """``used``: by each name at its top, what it uses: names, and names of modules with one of theirs; ``asked``: by
    each function, what may be fixtures; ``imported``: where names come from."""

    used: dict[str, set[Place]] = field(default_factory=dict)
    asked: dict[str, set[str]] = field(default_factory=dict)
    imported: dict[str, Place] = field(default_factory=dict)
    always: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)


@cache
def _needed(file: str, test: str) -> frozenset[str]:
    conftests = [path for folder in Path(file).parents if (path := f"{folder}/conftest.py") and (_ROOT / path).exists()]
    homes = [file, *conftests]
    ahead: list[Place] = [
        (file, test),
        (file, "pytestmark"),
        *((home, name) for home in homes for name in _read(home).always),
    ]
    seen, found = set[Place](), set[str]()
    while ahead:
        if (place := ahead.pop()) in seen:
            continue
        seen.add(place)
        module, name = _read(place[0]), place[1]
        if name in module.imported:
            ahead += _ways(*module.imported[name], found)
            continue
        found |= module.programs
        for base, attribute in module.used.get(name, ()):
            if attribute.startswith("test_"):
                continue
            if base in module.used:
                ahead.append((place[0], base))
            elif base in module.imported:
                ahead += _ways(*module.imported[base], found, attribute)
        for asked in module.asked.get(name, ()):
            ahead += [
                (home, asked) for home in (place[0], *homes) if asked in {**_read(home).used, **_read(home).imported}
            ][:1]
    return frozenset(found)


def _ways(module: str, name: str, found: set[str], attribute: str = "") -> Iterator[Place]:
    """Where an imported name stands; ``attribute``: what of it is used, where it is a module."""
    if module.partition(".")[0] in _STARTING:
        found.add(_STARTS)
    if (file := _file_of(f"{module}.{name}" if name else module)) and attribute:
        yield file, attribute
    elif file := _file_of(module):
        yield file, name


@cache
def _file_of(module: str) -> str | None:
    path = module.replace(".", "/")
    return next(
        (f for f in (f"{path}.py", f"{path}/__init__.py") if path.startswith("tests/") and (_ROOT / f).exists()), None
    )


@cache
def _read(file: str) -> _File:
    found = _File()
    tree = ast.parse((_ROOT / file).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.imported |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found.imported |= {alias.asname or alias.name.partition(".")[0]: (alias.name, "") for alias in node.names}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            _define(found, node.name, node)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                _define(found, ast.unparse(target), node.value)
                if ast.unparse(target) == "PROGRAMS":
                    found.programs = set(ast.literal_eval(node.value))
    return found


def _define(found: _File, name: str, node: ast.AST) -> None:
    found.used.setdefault(name, set()).update(_names(node))
    marks = getattr(node, "decorator_list", [node] if name == "pytestmark" else [])
    strings = [each.value for mark in marks for each in ast.walk(mark) if isinstance(each, ast.Constant)]
    found.asked.setdefault(name, set()).update(each for each in strings if isinstance(each, str))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        found.asked[name] |= {each.arg for each in (*node.args.args, *node.args.kwonlyargs)}
        if any("autouse=True" in ast.unparse(mark) for mark in marks):
            found.always.add(name)


def _names(node: ast.AST) -> Iterator[Place]:
    """Names that are used below, but for annotations; with the attribute that is asked of each."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        yield node.value.id, node.attr
        return
    if isinstance(node, ast.Name):
        yield node.id, ""
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, ast.AST):
                    yield from _names(each)


if __name__ == "__main__":
    print(*sorted(programs(sys.argv[1:] or ["tests"])))
