"""The types of the wire in the JavaScript client, made from the OpenAPI document by ``openapi-typescript``.

``python -m tests.sdk_javascript.wire_types`` writes them; a test compares them.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from manifest_auth.api.all_routes import ROUTES
from manifest_auth.http import openapi
from tests.interop.providers import install

PROGRAMS = ("node", "npm")
SDK = Path(__file__).parents[2] / "sdk" / "javascript"
FILE = SDK / "src" / "wire.d.ts"
_PINS = {"dependencies": {"openapi-typescript": "7.13.0", "typescript": "5.9.3"}}
_PREFIX = "/api/client/"


def tools() -> Path:
    """The folder whose ``node_modules/.bin`` has ``openapi-typescript`` and ``tsc``."""
    return install.npm("openapi-typescript", _PINS)


def made() -> str:
    """The types as they are made today: routes of clients alone, and the shapes that those name."""
    document = _of_clients(openapi.build(ROUTES))
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "openapi.json"), Path(folder, "wire.d.ts")
        source.write_text(json.dumps(document))
        program = str(tools() / "node_modules/.bin/openapi-typescript")
        # A member with a default may be left out of a body; by itself the tool says so of none of them.
        command = [program, str(source), "-o", str(result), "--default-non-nullable=false"]
        subprocess.run(command, check=True, capture_output=True, timeout=100)
        return result.read_text("utf-8")


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
    """The shapes that a part of the document refers to."""
    parts = told.values() if isinstance(told, dict) else told if isinstance(told, list) else ()
    found = set[str]().union(*map(_named, parts))
    if isinstance(told, dict) and isinstance(reference := told.get("$ref"), str):
        found.add(reference.rpartition("/")[2])
    return found


if __name__ == "__main__":
    FILE.write_text(made(), "utf-8")
