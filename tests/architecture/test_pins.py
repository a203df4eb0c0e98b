"""Pinned parts of the build: the build backend, the packages beside it, and the container's base image."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

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
    pinned = {_plain(line.partition("==")[0]) for line in lines}
    assert {_plain(re.split(r"[\[; ]", name)[0]) for name in wanted} - pinned == set()


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


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
