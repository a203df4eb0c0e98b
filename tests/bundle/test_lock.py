"""A bundle contains only the files in the lock, and only licenses that allow redistribution."""

from __future__ import annotations

import hashlib
import tomllib
import zipfile
from email.message import Message
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.links import ROOT
from tests.support.matrix import matrix
from tests.support.rules import rule
from tools.bundle import licences, lock
from tools.bundle.lock import Locked, LockError


def test_the_lock_has_a_wheel_of_every_library_for_every_python_and_machine() -> None:
    locked = lock.read()
    names = {each.name for each in locked}
    for python, machine in product(lock.PYTHONS, lock.MACHINES):
        assert {each.name for each in lock.for_python(locked, python, machine)} == names


def test_it_has_the_pinned_versions_of_all_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = project["dependencies"] + extras["s3"] + extras["otel"] + extras["scim"]
    locked = {(each.name, each.version) for each in lock.read()}
    assert {canonicalize_name(Requirement(need).name) for need in needed} <= {name for name, _ in locked}
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = dict(line.partition(" ;")[0].split("==") for line in lines)
    for name, version in locked:
        assert name == lock.INSTALLER or pins[name] == version, f"{name}: python -m tools.bundle.lock"


def test_it_names_no_host() -> None:
    assert "/" not in "".join(line for line in lock.LOCK.read_text().splitlines(keepends=True) if line[0] != "#")


def test_a_python_without_a_wheel_is_named() -> None:
    locked = [each for each in lock.read() if not (each.name == "lxml" and "-cp312-" in each.file)]
    with pytest.raises(LockError, match=r"no wheel for Python 3\.12 of: lxml$"):
        lock.for_python(locked, "3.12")
    lock.for_python(locked, "3.13")


@rule("BUNDLE")
def test_a_file_with_another_hash_is_named(tmp_path: Path) -> None:
    good, bad = tmp_path / "good-1.0-py3-none-any.whl", tmp_path / "bad-1.0-py3-none-any.whl"
    files = []
    for path in (good, bad):
        path.write_bytes(b"a wheel")
        files.append(Locked(path.name.split("-")[0], "1.0", path.name, hashlib.sha256(b"a wheel").hexdigest()))
    assert lock.fetched(files, tmp_path) == {path.name: path for path in (good, bad)}
    bad.write_bytes(b"another")
    with pytest.raises(LockError, match=r"bad-1\.0-py3-none-any\.whl: its SHA-256 is not the one"):
        lock.fetched(files, tmp_path)


def _said(**fields: str) -> Message:
    message = Message()
    for name, value in {"Name": "some-library", **fields}.items():
        message[name.replace("_", "-")] = value
    return message


@matrix(
    ("fields", "expression"),
    [
        ({"License_Expression": "MIT OR Apache-2.0"}, "MIT OR Apache-2.0"),
        ({"License": "BSD-3-Clause"}, "BSD-3-Clause"),
        ({"Name": "Jinja2"}, "BSD-3-Clause"),
    ],
)
def test_a_license_of_the_list_is_found(fields: dict[str, str], expression: str) -> None:
    assert licences.expression(_said(**fields)) == expression


@matrix(
    "fields",
    [
        {},
        {"License": "some text of a lawyer"},
        {"License": "GPL-3.0-only"},
        {"License_Expression": "MIT AND AGPL-3.0-or-later"},
        {"License_Expression": "MIT OR GPL-2.0-only"},
    ],
)
def test_another_license_is_named(fields: dict[str, str]) -> None:
    with pytest.raises(licences.LicenceRefused, match="some-library"):
        licences.expression(_said(**fields))


def test_a_wheel_without_its_license_stops(tmp_path: Path) -> None:
    wheel = tmp_path / "some_library-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("some_library-1.0.dist-info/METADATA", "Name: some-library\n")
    with pytest.raises(licences.LicenceRefused, match="no text"):
        licences.copy_texts(wheel, tmp_path / "texts")
