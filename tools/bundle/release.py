"""Releases the last commit: first checks every requirement, and then tags the commit.

``./dev release X.Y.Z`` prints a line for each unmet requirement of ``docs/releasing.md``. Only the check of advisories
needs the network.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.bundle import archive, build, lock, sign

ROOT = lock.ROOT
#: An advisory that ``docs/advisories.md`` addresses: the first cell of a row.
_ANSWERED = re.compile(r"^\| ([A-Z][A-Z0-9]*-[\w-]+) \|", re.MULTILINE)


def files_stand(root: Path, version: str) -> list[str]:
    """Problems with the tree, its version, its changelog, and its docs."""
    return [
        *_git_refuses(root, version),
        *_version_refuses(root, version),
        *changelog_refuses((root / "CHANGELOG.md").read_text("utf-8"), version),
        *_schema_refuses(root),
        *_last_release_refuses(root),
        *_store_refuses(root, version),
        *_keys_refuse(root),
    ]


def _git_refuses(root: Path, version: str) -> list[str]:
    found = []
    if _git(root, "status", "--porcelain"):
        found.append("files differ from the last commit")
    if _git(root, "tag", "--list", f"v{version}"):
        found.append(f"v{version} is there already")
    return found


def _version_refuses(root: Path, version: str) -> list[str]:
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version):
        return [f"{version} is no version of three numbers"]
    said = f'__version__ = "{version}"\n' in (root / "src/manifest_auth/__init__.py").read_text("utf-8")
    return [] if said else [f"src/manifest_auth/__init__.py does not say {version}"]


def changelog_refuses(text: str, version: str) -> list[str]:
    """Checks that the version's section has a date and says how to upgrade and how to go back."""
    found = re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    if found is None:
        return [f"CHANGELOG.md has no section [{version}] with a date"]
    return [f"CHANGELOG.md says nothing under {title} of {version}" for title in ("Upgrade", "Back")
            if not re.search(rf"^### {title}\n+[^#\s]", found[1], re.MULTILINE)]  # fmt: skip


def _schema_refuses(root: Path) -> list[str]:
    versions = root / "src/manifest_auth/store/migrations/versions"
    schema = max(path.name[1:5] for path in versions.glob("v????_*.py"))
    rows = (root / "docs/operations/backup.md").read_text("utf-8")
    return (
        []
        if re.search(rf"^\| {schema} \|", rows, re.MULTILINE)
        else [f"docs/operations/backup.md has no row of schema {schema}"]
    )


def _last_release_refuses(root: Path) -> list[str]:
    """Checks that ``tests/releases/releases.txt``, which the upgrade tests read, lists the last release."""
    tags = _git(root, "tag", "--list", "v*", "--sort=-version:refname").split()
    if not tags:
        return []  # this is the first release
    path = root / "tests/releases/releases.txt"
    listed = path.read_text("utf-8") if path.exists() else ""
    return (
        []
        if _git(root, "rev-parse", f"{tags[0]}^{{commit}}")[:12] in listed
        else [f"releases.txt does not list {tags[0]}"]
    )


def _store_refuses(root: Path, version: str) -> list[str]:
    """Checks for the recorded store of this version, from which later upgrade tests start."""
    path = f"tests/store/store_{version}.json"
    return [] if (root / path).exists() else [f"{path} is missing: python -m tests.store.record writes it"]


def _keys_refuse(root: Path) -> list[str]:
    """Checks for the keys with which this release verifies the next one."""
    return [] if sign.listed((root / "release.keys").read_text("utf-8")) else ["release.keys lists no key"]


def bundles_differ(root: Path, cache: Path, output: Path) -> list[str]:
    """Builds the bundle into ``output`` and again elsewhere, and checks that both are identical."""
    first = build.build(root, output, cache)
    with tempfile.TemporaryDirectory() as place:
        again = build.build(root, Path(place), cache)
        return [] if first.read_bytes() == again.read_bytes() else ["two builds of the bundle differ"]


def advisories_unanswered(bundle: Path, answers: str, audit: Callable[[Path], str]) -> list[str]:
    """Known advisories for the bundle's libraries that ``docs/advisories.md`` doesn't address. ``audit`` returns the
    JSON output of ``pip-audit`` for a requirements file."""
    with tempfile.TemporaryDirectory() as place:
        folder, _ = archive.unpack(bundle, Path(place))
        lines = (folder / "requirements.txt").read_text("utf-8").splitlines()
        pins = [line.split()[0] for line in lines if not line.startswith((" ", "manifest-auth"))]
        asked = Path(place) / "pins"
        asked.write_text("\n".join(pins) + "\n", "utf-8")
        told = json.loads(audit(asked))
    answered = set(_ANSWERED.findall(answers))
    return [
        f"advisory {known['id']} of {each['name']} {each['version']} is not answered in docs/advisories.md"
        for each in told["dependencies"]
        for known in each.get("vulns", ())
        if not answered & {known["id"], *known.get("aliases", ())}
    ]


def _pip_audit(asked: Path) -> str:
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(asked), "--no-deps", "--disable-pip"]
    done = subprocess.run(
        [*command, "--format=json", "--progress-spinner=off"], capture_output=True, text=True, check=False
    )
    if done.returncode > 1 or not done.stdout:  # 1 means that advisories were found
        raise OSError(f"pip-audit: {done.stderr.strip()}")
    return done.stdout


def _tests_fail(root: Path) -> list[str]:
    for command in (["test"], ["endurance", "--rounds", "50"]):
        if subprocess.run(["./dev", *command], cwd=root, check=False).returncode != 0:
            return [f"./dev {' '.join(command)} is not green"]
    return []


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="./dev release", description=__doc__)
    parser.add_argument("version", metavar="X.Y.Z")
    version = parser.parse_args(arguments).version
    output = ROOT / "dist"
    answers = (ROOT / "docs/advisories.md").read_text("utf-8")
    steps: list[Callable[[], list[str]]] = [
        lambda: files_stand(ROOT, version),
        lambda: bundles_differ(ROOT, lock.CACHE, output),
        lambda: advisories_unanswered(next(output.glob(f"manifest-auth-{version}-*.tar")), answers, _pip_audit),
        lambda: _tests_fail(ROOT),
    ]
    for step in steps:
        if refusals := step():
            print(*(f"dev release: {each}" for each in refusals), sep="\n", file=sys.stderr)
            return 1
    _git(ROOT, "tag", "--annotate", f"v{version}", "--message", f"Manifest Auth {version}")
    print(f"v{version} is tagged; sign dist with ./dev sign --key FILE, push the tag, publish the bundle")
    return 0


if __name__ == "__main__":
    sys.exit(main())
