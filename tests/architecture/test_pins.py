"""Pinned parts of the build: the build backend, its additional packages, and the container's base image."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.rules import rule

_EXACT = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9][0-9A-Za-z.+]*\Z")


@rule("DEPENDENCIES")
def test_every_dependency_has_one_version() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for names in project["optional-dependencies"].values() for name in names),
    ]
    lines = [line for line in Path("constraints.txt").read_text("utf-8").splitlines() if line and line[0] != "#"]
    assert [line for line in lines if not _EXACT.match(line.partition(" ;")[0].strip())] == []
    pinned = {canonicalize_name(line.partition("==")[0]): line.partition("==")[2].split(" ")[0] for line in lines}
    needs = [Requirement(line) for line in wanted]
    assert {canonicalize_name(need.name) for need in needs} - pinned.keys() == set()
    released = [need for need in needs if str(need) not in project["optional-dependencies"]["dev"]]
    for need in released:  # the oldest version that it runs with (tests/package)
        assert [each.operator for each in need.specifier] == [">="], need
        assert need.specifier.contains(pinned[canonicalize_name(need.name)]), need


@rule("DEPENDENCIES")
def test_the_build_backend_has_one_version() -> None:
    required = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    assert required
    assert [one for one in required if not _EXACT.match(one)] == []


@rule("DEPENDENCIES")
def test_the_base_image_has_one_version_and_one_digest() -> None:
    text = Path("deploy/Containerfile").read_text("utf-8")
    [base] = re.findall(r"^ARG BASE=(.+)$", text, re.MULTILINE)
    assert re.fullmatch(r"\S+:\d+\.\d+\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", base), base
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}
