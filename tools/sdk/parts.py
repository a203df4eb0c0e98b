"""Lists the parts of a client library as a CycloneDX document.

``parts.py FILE…`` writes ``FILE.cdx.json`` next to each file. For a wheel, its metadata lists the dependencies. They
and their dependencies get the versions pinned in ``constraints.txt``, with which the library is tested. The npm package
has no dependencies.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tarfile
import zipfile
from email.parser import Parser
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: The environment of the oldest Python that the library supports, which needs the most packages.
_OLDEST = {"extra": "", "python_version": "3.11", "python_full_version": "3.11.0", "sys_platform": "linux"}
PINS = Path(__file__).parents[2] / "constraints.txt"


def document(file: Path) -> dict[str, Any]:
    """The list of parts of a wheel, a source archive (``.tar.gz``), or an npm package (``.tgz``)."""
    if file.suffix == ".tgz":
        with tarfile.open(file) as archive:
            package = json.load(archive.extractfile("package/package.json"))  # type: ignore[arg-type]
        assert not package.get("dependencies"), "list them here"
        kind, name, version, licence, needs = "npm", package["name"], package["version"], package["license"], []
    else:
        said = Parser().parsestr(_metadata(file))
        kind, name, version, licence = "pypi", said["Name"], said["Version"], said["License-Expression"]
        needs = said.get_all("Requires-Dist", [])
    parts = [_component("pypi", part, pin) for part, pin in sorted(_closure(needs).items())]
    own = _component(kind, name, version) | {
        "licenses": [{"expression": licence}],
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(file.read_bytes()).hexdigest()}],
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": own},
        "components": parts,
    }


def _metadata(file: Path) -> str:
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as wheel:
            [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
            return wheel.read(name).decode()
    with tarfile.open(file) as archive:
        [member] = [member for member in archive.getmembers() if re.fullmatch(r"[^/]+/PKG-INFO", member.name)]
        return archive.extractfile(member).read().decode()  # type: ignore[union-attr]


def _closure(needs: list[str]) -> dict[str, str]:
    """The packages needed without extras, and their dependencies, each with its pinned version."""
    pins = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", PINS.read_text("utf-8"), re.MULTILINE))
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    found: dict[str, str] = {}
    ahead = [Requirement(line) for line in needs]
    while ahead:
        need = ahead.pop()
        name = canonicalize_name(need.name)
        if name in found or (need.marker is not None and not need.marker.evaluate(_OLDEST)):
            continue
        found[name] = pins[name]
        ahead += [Requirement(line) for line in metadata.requires(name) or ()]
    return found


def _component(kind: str, name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:{kind}/{name}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


if __name__ == "__main__":
    for each in map(Path, sys.argv[1:]):
        text = json.dumps(document(each), indent=2, sort_keys=True)
        each.with_name(f"{each.name}.cdx.json").write_text(f"{text}\n", "utf-8")
