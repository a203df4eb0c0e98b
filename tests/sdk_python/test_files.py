"""The files of a release: their content, and that they are built only from this tree."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.architecture.links import ROOT
from tests.sdk_python.environment import clean, files, install, wheel
from tools.sdk import generated, parts, python_library

SOURCE = ROOT / "sdk" / "python" / "src" / "manifest_auth_client"
#: Hosts in examples (RFC 2606), and in the license's text.
_EXAMPLES = re.compile(r"(\S+\.)?example(\.com)?|www\.apache\.org")


def contents() -> dict[str, dict[str, bytes]]:
    """Every file of the wheel and of the source archive, by its name there."""
    with zipfile.ZipFile(wheel()) as archive:
        found = {"wheel": {name: archive.read(name) for name in archive.namelist()}}
    [path] = files().glob("*.tar.gz")
    with tarfile.open(path) as tar:
        members = [member for member in tar.getmembers() if member.isfile()]
        found["source"] = {member.name: tar.extractfile(member).read() for member in members}  # type: ignore[union-attr]
    return found


def test_the_modules_of_this_tree_are_in_both_and_no_test_is() -> None:
    ours = {
        path.relative_to(SOURCE.parent).as_posix() for path in SOURCE.rglob("*") if path.suffix in (".py", ".typed")
    }
    found = contents()
    assert {name for name in found["wheel"] if ".dist-info/" not in name} == ours
    assert {name.partition("/src/")[2] for name in found["source"] if "/src/" in name} == ours
    for names in found.values():
        assert not [name for name in names if re.search(r"(^|/)(tests?|suite|conftest)(/|\.|_)", name)]
        assert [name for name in names if name.endswith("LICENSE")]


def test_no_host_is_named_but_those_of_examples() -> None:
    for names in contents().values():
        for name, raw in names.items():
            hosts = re.findall(r"https?://([a-z0-9.-]+)", raw.decode())
            assert [host for host in hosts if not _EXAMPLES.fullmatch(host)] == [], name


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    python_library.build(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in files().iterdir()
    }


def test_it_needs_httpx2_alone(tmp_path: Path) -> None:
    venv.create(tmp_path / "environment", with_pip=False, symlinks=True)
    program = tmp_path / "environment" / "bin" / "python"
    install(program, str(wheel()))
    loads = (
        "import sys; from manifest_auth_client import *; from manifest_auth_client.testing import *;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'joserfc', 'fastapi', 'starlette'}))"
    )
    done = subprocess.run([program, "-c", loads], capture_output=True, text=True, env=clean(), check=True)
    assert done.stdout.strip() == ""
    names = {path.name.partition("-")[0] for path in (tmp_path / "environment").rglob("*.dist-info")}
    listed = parts.document(wheel())["components"]
    assert names - {"manifest_auth_client"} <= {part["name"].replace("-", "_") for part in listed}


def test_the_list_of_parts_has_each_with_its_pin() -> None:
    pins = (ROOT / "constraints.txt").read_text("utf-8")
    for file in files().iterdir():
        listed = parts.document(file)
        assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.6")
        own = listed["metadata"]["component"]
        assert own["purl"] == f"pkg:pypi/manifest-auth-client@{own['version']}"
        assert own["hashes"][0]["content"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert "httpx2" in [part["name"] for part in listed["components"]]
        for part in listed["components"]:
            assert f"{part['name']}=={part['version']}" in pins


@pytest.mark.parametrize("path", sorted(generated.modules()), ids=lambda path: path.name)
def test_what_the_library_repeats_of_the_server_is_todays(path: Path) -> None:
    assert path.read_text("utf-8") == generated.modules()[path], "./dev docs writes it"


def test_a_list_of_another_day_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SOURCE, tmp_path / "package")
    monkeypatch.setattr(generated, "PACKAGE", tmp_path / "package")
    monkeypatch.setattr(sys, "argv", ["generated.py", "--check"])
    assert generated.main() == 0
    module = tmp_path / "package" / "errors.py"
    module.write_text(module.read_text("utf-8").replace("OVERLOADED", "BUSY"), "utf-8")
    assert generated.main() == 1


def test_the_version_is_told_in_one_place() -> None:
    version = wheel().name.split("-")[1]
    changes = (ROOT / "sdk/python/CHANGELOG.md").read_text("utf-8")
    assert re.findall(r"^## (\S+)", changes, re.MULTILINE)[0] == version
    assert f"manifest_auth_client-{version}-py3-none-any.whl" in (ROOT / "docs/sdk-python.md").read_text("utf-8")
    assert json.dumps(parts.document(wheel())).count(version) >= 2
