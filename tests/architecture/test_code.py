"""Rules of the house that no linter knows: time and chance as arguments, door signs, small files, floors."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.links import ROOT

SOURCE = ROOT / "src" / "manifest_auth"
FILES = sorted(SOURCE.rglob("*.py"))
MOST_LINES = 300

#: Time and chance come from clock.py, so that tests can move the one and foresee the other.
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
#: File: what it may use, and why.
_EXCEPTIONS: dict[str, set[str]] = {
    "clock.py": {"time.time_ns", "secrets"},  # the one place that they come from
    # The number of the installation is made once, by a migration that runs before anything of the house is built.
    "store/migrations/versions/v0001_first_schema.py": {"secrets"},
}

#: A room is entered through its ``__init__``, the door sign. These files are doors of their own, and why:
_SIDE_DOORS = {
    "manifest_auth.store.tables": "whoever owns a table writes its statements",
    "manifest_auth.store.copying": "a backup is a copy of the store itself, which no statement makes",
    "manifest_auth.store.migrate": "loaded only by those who upgrade; it brings Alembic along",
    "manifest_auth.tokens.refresh": "its rule, `judge`, is pure and asked before a unit of work is opened",
    "manifest_auth.passwords.builds": "doctor asks which build is in use, without a hasher",
    "manifest_auth.sign_in.finish": "an admin's hash that was replaced meanwhile is told apart by the same word",
    "manifest_auth.sign_in.throttle": "admins are throttled by the same rule, before any method of sign-in",
    "manifest_auth.sign_in.counting": "sign-ins and refreshes of admins are counted by the same rule",
    "manifest_auth.sign_in.strangers": "attempts at the admins' door are written down by the same budget",
    "manifest_auth.sign_in.held": "system admins see whom the throttle holds back, and let them go",
    "manifest_auth.sign_in.oidc": "whoever sets a provider up is told, and tries, how we are known there",
    "manifest_auth.sign_in.saml": "whoever sets a provider up is told how we are known there",
    "manifest_auth.sign_in.dynamics": "whoever sets a provider up is told, and tries, how we are known there",
    "manifest_auth.sign_in.directory": "whoever sets a provider up of Microsoft tries the cloud that it is in",
    "manifest_auth.sign_in.entra": "the house holds what the process knows of Entra tokens; its type is named there",
    "manifest_auth.sign_in.saml_threads": "the house holds the thread of SAML responses; its type is named there",
    "manifest_auth.sign_in.another_address": "those who manage a user ask for another address by the same rule",
    "manifest_auth.sign_in.granting": "what goes with a link is one rule",
    "manifest_auth.sign_in.voiding": "what ends when a user becomes an Admin is one rule, whoever gives the role",
    "manifest_auth.sign_in.identity_routes": "an admin's list of somebody's identities has the form of one's own",
}
#: The shell puts the house together, so it knows the parts of rooms; web is the vocabulary of routes, in five files.
_SHELL = ("__main__", "app", "cli", "front_door", "serving", "identify")


def _names(tree: ast.Module) -> Iterator[str]:
    """What a file uses, as ``module`` for an import and ``module.name`` for a name taken from one."""
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
    """The names of time and chance that a source text uses."""
    return set(_names(ast.parse(source))) & (_BANNED_MODULES | _BANNED_NAMES)


def _name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_time_and_chance_come_from_the_clock_alone(path: Path) -> None:
    assert banned(path.read_text("utf-8")) <= _EXCEPTIONS.get(_name(path), set())


@pytest.mark.parametrize(
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


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    folders = ("src", "tests", "bench")
    long = {
        path.relative_to(ROOT).as_posix(): count
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if (count := len(path.read_text("utf-8").splitlines())) > MOST_LINES
    }
    assert not long


def test_every_room_has_a_door_sign_and_every_file_says_what_it_is_for() -> None:
    silent = [
        _name(path)
        for path in FILES
        if "migrations" not in path.parts and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert not silent


def _written(path: Path) -> set[str]:
    """The columns of ``users`` that statements of a file set."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "values"):
            continue
        if any(ast.unparse(inner) in ("update(users)", "update(users_table)") for inner in ast.walk(node.func)):
            found |= {word.arg or "" for word in node.keywords} | {ast.unparse(given) for given in node.args}
    return found


def test_who_is_an_active_admin_is_written_in_one_place_that_voids_the_account() -> None:
    """A user who is there gains the role Admin nowhere else, so no path to it forgets what others may have planted."""
    writers = {_name(path) for path in FILES if _written(path) & {"roles", "deactivated_at"}}
    assert writers == {"users/roles.py"}
    others = {_name(path): _written(path) for path in FILES if _written(path) and _name(path) != "users/roles.py"}
    assert set(others) == {"users/users.py", "users/credentials.py"}
    assert not [name for written in others.values() for name in written if "roles" in name or "deactivated" in name]


def _modules(node: ast.ImportFrom) -> Iterator[str]:
    """The modules that an import brings in: the one it names, or those whose names it takes. A door sign may hand out
    something that is called like one of its files (the table ``providers``)."""
    module = node.module or ""
    folder = SOURCE.parent.joinpath(*module.split("."))
    for alias in node.names:
        is_file = (folder / f"{alias.name}.py").exists() and alias.name not in _handed_out(folder / "__init__.py")
        yield f"{module}.{alias.name}" if is_file else module


def _handed_out(door_sign: Path) -> set[str]:
    """The names in ``__all__``."""
    for node in ast.parse(door_sign.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def side_doors_used() -> dict[str, set[str]]:
    """Modules inside rooms that files of other rooms import, and by which files."""
    rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")} - {"web"}
    found: dict[str, set[str]] = {}
    for path in FILES:
        own = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if own in _SHELL:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for module in _modules(node) if isinstance(node, ast.ImportFrom) else ():
                parts = module.split(".")
                if parts[0] == "manifest_auth" and len(parts) > 2 and parts[1] in rooms - {own}:
                    found.setdefault(module, set()).add(_name(path))
    return found


def test_rooms_are_entered_through_their_door_signs() -> None:
    assert {module: files for module, files in side_doors_used().items() if module not in _SIDE_DOORS} == {}


def test_no_side_door_stays_open_unused() -> None:
    assert set(_SIDE_DOORS) <= set(side_doors_used())


def test_imports_go_down_only() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
