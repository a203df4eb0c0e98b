"""A commit always gives the same bundle, which contains exactly the files it lists."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from manifest_auth.runtime.revisions import HEAD
from tests.bundle import making
from tests.bundle.making import NEXT, VERSION
from tests.support.rules import rule

pytestmark = [pytest.mark.needs("gcc", "git", "openssl"), pytest.mark.endurance, pytest.mark.timeout(300)]

_MB = 1e6


@rule("BUNDLE")
def test_two_builds_of_a_commit_are_identical(tmp_path: Path) -> None:
    """In folders with other names, with other file modes, another home, and another time zone."""
    first = making.signed().file
    mask = os.umask(0o077)
    try:
        copy = making.repository(tmp_path / "another folder" / "of another depth")
        second = making.built(copy, HOME=str(tmp_path), TZ="Asia/Tokyo", LC_ALL="C", USER="nobody", PYTHONHASHSEED="7")
    finally:
        os.umask(mask)
    (tmp_path / "key").write_bytes(making.pem(making.KEY))
    making.run(copy, "tools.bundle.sign", "--key", str(tmp_path / "key"))
    assert second.name == first.name
    assert _differing(first, second) == []
    assert hashlib.sha256(second.read_bytes()).digest() == hashlib.sha256(first.read_bytes()).digest()


def _differing(*files: Path) -> list[str]:
    found = []
    for file in files:
        with tarfile.open(file) as archive:
            found.append({each.name: hashlib.sha256(archive.extractfile(each).read()).digest()  # type: ignore[union-attr]
                          for each in archive if each.isfile()})  # fmt: skip
    return sorted(name for name, _ in set(found[0].items()) ^ set(found[1].items()))


def test_the_bundle_is_small_enough_and_describes_itself() -> None:
    bundle = making.signed()
    size = bundle.file.stat().st_size
    print(f"bundle: {size / _MB:.1f} MB")
    assert size <= 150 * _MB
    about = json.loads((bundle.folder / "release.json").read_text())
    assert (about["version"], about["schema"]) == (VERSION, HEAD)
    assert about["commit"] == making.git(bundle.file.parents[1], "rev-parse", "HEAD")[:12]
    assert NEXT not in (bundle.folder / "release.json").read_text()
    with tarfile.open(bundle.file) as archive:
        assert {(each.uid, each.gid, each.uname, each.mtime) for each in archive} == {(0, 0, "", about["time"])}
    assert (bundle.folder / "docs" / "on-premise.html").exists()
    hosts = [line for name in ("requirements.txt", "constraints.txt")
             for line in (bundle.folder / name).read_text().splitlines() if "://" in line]  # fmt: skip
    assert hosts == []


@rule("BUNDLE")
def test_the_list_of_parts_is_valid_and_names_every_wheel() -> None:
    folder = making.signed().folder
    text = (folder / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    listed = {part["bom-ref"]: part for part in json.loads(text)["components"]}
    wheels = {path.name: path for path in (folder / "wheels").iterdir()}
    assert listed.keys() == wheels.keys()
    for name, part in listed.items():
        [digest] = part["hashes"]
        assert digest == {"alg": "SHA-256", "content": hashlib.sha256(wheels[name].read_bytes()).hexdigest()}
        assert part["licenses"], name


def test_every_wheel_but_the_installer_has_its_hash_in_the_requirements() -> None:
    folder = making.signed().folder
    hashes = {line.strip().removesuffix(" \\").removeprefix("--hash=sha256:")
              for line in (folder / "requirements.txt").read_text().splitlines() if "--hash" in line}  # fmt: skip
    wheels = {hashlib.sha256(path.read_bytes()).hexdigest(): path.name for path in (folder / "wheels").iterdir()}
    assert [name.partition("-")[0] for name in (wheels[digest] for digest in wheels.keys() - hashes)] == ["pip"]
    assert hashes <= wheels.keys()


def test_an_uncommitted_change_shows(tmp_path: Path) -> None:
    from tools.bundle import source

    copy = making.repository(tmp_path / "copy")
    assert source.taken(copy, tmp_path / "clean").commit == making.git(copy, "rev-parse", "HEAD")[:12]
    (copy / "LICENSE").write_text("another one")
    (copy / "not-in-git").write_text("left out")
    taken = source.taken(copy, tmp_path / "dirty")
    assert taken.commit.endswith("-dirty")
    assert (taken.folder / "LICENSE").read_text() == "another one"
    assert not (taken.folder / "not-in-git").exists()
