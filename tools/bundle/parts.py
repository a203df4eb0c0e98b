"""Writes the software bill of materials (SBOM) of a bundle in CycloneDX 1.6.

Each file in ``wheels/`` is a component. The same files give the same list. It is validated against the CycloneDX schema
before it is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from tools.bundle.licences import expression, metadata_of


def document(name: str, version: str, commit: str, at: int, wheels: Iterable[Path]) -> str:
    """The list as JSON. ``at`` is its time, in seconds since 1970. Raises LicenceRefused, and ValueError if it is
    invalid."""
    whole = Component(
        name=name, version=version, type=ComponentType.APPLICATION, bom_ref="bundle",
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
    )  # fmt: skip
    bom = Bom(
        serial_number=uuid5(NAMESPACE_URL, f"manifest-auth/{version}/{commit}"),
        metadata=BomMetaData(component=whole, timestamp=datetime.fromtimestamp(at, UTC)),
    )
    for wheel in sorted(wheels):
        bom.components.add(_component(wheel))
    bom.register_dependency(whole, bom.components)
    text = JsonV1Dot6(bom).output_as_string(indent=2) + "\n"
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"the list of parts is not valid: {wrong}")
    return text


def _component(wheel: Path) -> Component:
    said = metadata_of(wheel)
    name, version = canonicalize_name(str(said["Name"])), str(said["Version"])
    return Component(
        name=name,
        version=version,
        bom_ref=wheel.name,
        purl=PackageURL("pypi", name=name, version=version, qualifiers={"file_name": wheel.name}),
        licenses=[LicenseFactory().make_from_string(expression(said))],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(wheel.read_bytes()).hexdigest())],
    )
