"""References in comments and docstrings of the source exist: ``:func:`.x.y```, ``:mod:`x```, and file names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.architecture.test_code import FILES, SOURCE

_ROLE = re.compile(r":(?:mod|func|class|meth|attr|data|exc):`([\w.]+)`")
_FILE = re.compile(r"(?<![\w./*-])((?:\w+/)*\w+\.py)\b")


def _names(tree: ast.Module) -> Iterator[str]:
    """Everything that a file defines or imports, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def _module(path: Path) -> str:
    return "." + ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


@cache
def _modules() -> dict[str, set[str]]:
    return {_module(path): set(_names(ast.parse(path.read_text("utf-8")))) for path in FILES}


_PATHS = {path.relative_to(SOURCE.parent.parent).as_posix() for path in FILES}


def stale(source: str, module: str) -> set[str]:
    """The dead references in a source text. A name belongs to its own module, or follows the end of another module's
    path: ``.users.find`` is ``find`` in any module whose path ends in ``users``."""
    found = set()
    for target in _ROLE.findall(source):
        parts = target.strip(".").split(".")
        homes = [(module, parts)] if not target.startswith(".") else []
        for count in range(1, len(parts) + 1):
            end = "." + ".".join(parts[:count])
            homes += [(name, parts[count:]) for name in _modules() if name.endswith(end)]
        if not any(set(rest) <= _modules()[name] for name, rest in homes):
            found.add(target)
    beside = "/".join(module.split(".")[1:-1])
    for name in _FILE.findall(source):
        if not {f"src/{beside}/{name}", f"src/manifest_auth/{name}", name} & _PATHS:
            found.add(name)
    return found


def test_every_reference_in_the_source_exists() -> None:
    found = {_module(path): stale(path.read_text("utf-8"), _module(path)) for path in FILES}
    assert {name: missing for name, missing in found.items() if missing} == {}


def test_a_stale_reference_is_found() -> None:
    here = ".manifest_auth.sessions.sessions"
    assert stale(":func:`reed` :mod:`.sesions` ``principals.py`` ``foreign.py`` :func:`.users.absent`", here) == {
        "reed",
        ".sesions",
        "foreign.py",
        ".users.absent",
    }
    assert stale(":func:`open_session` :func:`.users.find` :mod:`.principals` ``http/pipeline.py``", here) == set()
