"""The JavaScript client's API types, generated from the OpenAPI document by ``openapi-typescript``.

``sdk/javascript/build.sh`` calls ``python -m tests.sdk_javascript.wire_types FILE``, which writes them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from manifest_auth.app import ROUTES
from manifest_auth.http import openapi
from tests.interop.providers import install

SDK = Path(__file__).parents[2] / "sdk" / "javascript"
_PINS = {"dependencies": {"openapi-typescript": "7.13.0", "typescript": "5.9.3"}}
_PREFIX = "/api/client/"


def tools() -> Path:
    """The folder with ``openapi-typescript`` and ``tsc`` in ``node_modules/.bin``."""
    return install.npm("openapi-typescript", _PINS)


def write(target: Path) -> None:
    """Write the types: only routes of clients, and the schemas that they refer to."""
    document = _of_clients(openapi.build(ROUTES))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "openapi.json")
        source.write_text(json.dumps(document))
        program = str(tools() / "node_modules/.bin/openapi-typescript")
        # A body can omit a member with a default, which the tool doesn't express on its own.
        command = [program, str(source), "-o", str(target), "--default-non-nullable=false"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=100)


def _of_clients(document: dict[str, Any]) -> dict[str, Any]:
    paths = {path: told for path, told in document["paths"].items() if path.startswith(_PREFIX)}
    shapes = document["components"]["schemas"]
    ahead, named = _named(paths), set[str]()
    while ahead:
        named |= ahead
        ahead = _named([shapes[name] for name in ahead]) - named
    kept = {name: shape for name, shape in shapes.items() if name in named}
    return {**document, "paths": paths, "components": {"schemas": kept}}


def _named(told: Any) -> set[str]:
    """The schemas that a part of the document refers to."""
    parts = told.values() if isinstance(told, dict) else told if isinstance(told, list) else ()
    found = set[str]().union(*map(_named, parts))
    if isinstance(told, dict) and isinstance(reference := told.get("$ref"), str):
        found.add(reference.rpartition("/")[2])
    return found


if __name__ == "__main__":
    write(Path(sys.argv[1]))
