"""``./dev release`` rejects what isn't ready, and lists the reasons."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bundle import making
from tests.support.matrix import matrix
from tools.bundle import archive, release

pytestmark = pytest.mark.needs("gcc", "git", "openssl")

VERSION = "1.2.0"
_LISTED = "tests/releases/releases.txt"
_SECTION = f"""# Changes

## [{VERSION}] - 2026-12-01

### Upgrade

- Nothing to do.

### Back

- Start the program before.

## [1.1.0] - 2026-11-01
"""


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """A repository that is ready for a release."""
    files = {
        "CHANGELOG.md": _SECTION,
        "release.keys": "# Keys\nfirst AAAA\n",
        "docs/operations/backup.md": "| schema | |\n| --- | --- |\n| 0005 | the first |\n| 0006 | the newest |\n",
        "src/manifest_auth/__init__.py": f'__version__ = "{VERSION}"\n',
        "src/manifest_auth/store/migrations/versions/v0005_first.py": "",
        "src/manifest_auth/store/migrations/versions/v0006_second.py": "",
        f"tests/store/store_{VERSION}.json": "{}",
        _LISTED: "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    making.git(tmp_path, "init", "--quiet")
    _commit(tmp_path)
    making.git(tmp_path, "tag", "v1.1.0")
    (tmp_path / _LISTED).write_text(f"1.1.0 {making.git(tmp_path, 'rev-parse', 'HEAD')}")
    _commit(tmp_path)
    return tmp_path


def _commit(folder: Path) -> None:
    making.git(folder, "add", "--all")
    making.git(folder, "commit", "--quiet", "--allow-empty", "--message", "Next")


def _change(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new))
        _commit(root)

    return change


def _not_committed(root: Path) -> None:
    (root / "new").write_text("")


def _tagged(root: Path) -> None:
    making.git(root, "tag", f"v{VERSION}")
    (root / _LISTED).write_text(making.git(root, "rev-parse", "HEAD"))
    _commit(root)


def _remove(root: Path, name: str) -> None:
    (root / name).unlink()
    _commit(root)


CASES = {
    "differ from the last commit": _not_committed,
    f"v{VERSION} is there already": _tagged,
    f"does not say {VERSION}": _change("src/manifest_auth/__init__.py", VERSION, "1.2.1"),
    "no section": _change("CHANGELOG.md", f"## [{VERSION}] - 2026-12-01", "## [Unreleased]"),
    "nothing under Upgrade": _change("CHANGELOG.md", "- Nothing to do.\n", ""),
    "nothing under Back": _change("CHANGELOG.md", "### Back", "### Other"),
    "no row of schema 0006": _change("docs/operations/backup.md", "| 0006 |", "| 0007 |"),
    "does not list v1.1.0": lambda root: _remove(root, _LISTED),
    f"store_{VERSION}.json is missing": lambda root: _remove(root, f"tests/store/store_{VERSION}.json"),
    "release.keys lists no key": _change("release.keys", "first AAAA\n", ""),
}  # fmt: skip


def test_a_ready_release_is_accepted(ready: Path) -> None:
    assert release.files_stand(ready, VERSION) == []


@matrix("told", CASES)
def test_missing_steps_are_named(ready: Path, told: str) -> None:
    CASES[told](ready)
    [refusal] = release.files_stand(ready, VERSION)
    assert told in refusal


@matrix("version", ["1.2", "v1.2.0", "01.2.0", "1.2.0rc1"])
def test_a_version_has_three_numbers(ready: Path, version: str) -> None:
    assert f"{version} is no version of three numbers" in release.files_stand(ready, version)


def test_advisories_need_an_answer(tmp_path: Path) -> None:
    folder = tmp_path / "bundle" / "manifest-auth"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text(
        "manifest-auth[s3]==1.2.0 \\\n    --hash=sha256:1\nlxml==6 \\\n    --hash=sha256:2\n"
    )
    archive.pack(folder, tmp_path / "bundle.tar", 0)
    asked: list[str] = []

    def audit(pins: Path) -> str:
        asked.append(pins.read_text())
        known = [{"id": "PYSEC-2026-1", "aliases": ["CVE-2026-10"]}, {"id": "GHSA-aaaa-bbbb-cccc", "aliases": []}]
        return json.dumps({"dependencies": [{"name": "lxml", "version": "6", "vulns": known}]})

    def unanswered(answers: str) -> list[str]:
        return release.advisories_unanswered(tmp_path / "bundle.tar", answers, audit)

    assert len(unanswered("none")) == 2
    [left] = unanswered("| CVE-2026-10 | lxml | not called |\n")
    assert left == "advisory GHSA-aaaa-bbbb-cccc of lxml 6 is not answered in docs/advisories.md"
    assert unanswered("| CVE-2026-10 | lxml | x |\n| GHSA-aaaa-bbbb-cccc | lxml | y |\n") == []
    assert asked[0] == "lxml==6\n"  # the public packages, in these versions
