"""Finds the license of each wheel, checks it against the list of allowed licenses, and copies its text."""

from __future__ import annotations

import re
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

from license_expression import get_spdx_licensing
from packaging.utils import canonicalize_name

ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "Unlicense",
}  # fmt: skip
#: Licenses of packages without an SPDX expression in their metadata, taken from their license texts.
READ = {
    "jinja2": "BSD-3-Clause",
    "protobuf": "BSD-3-Clause",
    "pyasn1-modules": "BSD-2-Clause",
    "pyopenssl": "Apache-2.0",
    "python-dateutil": "Apache-2.0 AND BSD-3-Clause",
    "s3transfer": "Apache-2.0",
    "scim2-server": "Apache-2.0",
    "segno": "BSD-3-Clause",
    "signxml": "Apache-2.0",
    "uvloop": "MIT OR Apache-2.0",
    "zxcvbn-rs-py": "MIT",
}
_TEXT = re.compile(
    r"[^/]+\.dist-info/(?:licenses/)?((?:[^/]+/)*[^/]*(?:LICEN[CS]E|COPYING|NOTICE)[^/]*)", re.IGNORECASE
)
_SPDX = get_spdx_licensing()


class LicenceRefused(Exception):
    """A license that is not on the list or can't be read. The text names the package."""


def metadata_of(wheel: Path) -> Message:
    """The metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        return Parser().parsestr(archive.read(name).decode())


def expression(metadata: Message) -> str:
    """The license as an SPDX expression that contains only licenses on the list. Raises LicenceRefused."""
    name = canonicalize_name(str(metadata["Name"]))
    said = READ.get(name) or str(metadata["License-Expression"] or metadata["License"] or "none")
    parsed = _SPDX.parse(said) if not _SPDX.validate(said).errors else None
    if parsed is None or not set(map(str, parsed.symbols)) <= ALLOWED:
        raise LicenceRefused(f"{name}: its licence is not on the list of tools/bundle/licences.py: {said[:60]}")
    return str(parsed)


def copy_texts(wheel: Path, folder: Path) -> None:
    """Copies a wheel's license texts into a folder with its name. Raises LicenceRefused if there are none."""
    texts = 0
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if (found := _TEXT.fullmatch(name)) and not name.endswith("/"):
                file = folder / wheel.name.split("-")[0] / found[1].replace("/", "-")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(archive.read(name))
                texts += 1
    said = str(metadata_of(wheel)["License"] or "")
    if not texts and "\n" in said:  # the metadata has the whole text
        file = folder / wheel.name.split("-")[0] / "LICENSE"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(said, "utf-8")
    elif not texts:
        raise LicenceRefused(f"{wheel.name}: it brings no text of its licence")
