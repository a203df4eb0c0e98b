"""Tests over HTTP import nothing from the product, so moving a module doesn't affect them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.architecture.links import ROOT
from tests.support.matrix import matrix

FILES = sorted((ROOT / "tests" / "http").rglob("*.py"))
#: A module name in the form that ``monkeypatch``, ``mock.patch``, and ``import_module`` accept.
_NAMED = re.compile(r"manifest_auth(\.\w+)*")


def named(source: str) -> Iterator[str]:
    """The product's names in a source text: imported, as text, or through the application's services."""
    for node in ast.walk(ast.parse(source)):
        texts = []
        if isinstance(node, ast.Import):
            texts = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            texts = [node.module or ""]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts = [node.value]
        elif isinstance(node, ast.Attribute) and node.attr == "services":
            yield ast.unparse(node)
        yield from (text for text in texts if _NAMED.fullmatch(text))


def test_tests_over_http_name_no_module_of_the_product() -> None:
    assert len(FILES) > 200
    found = {path.relative_to(ROOT).as_posix(): list(named(path.read_text("utf-8"))) for path in FILES}
    assert {name: names for name, names in found.items() if names} == {}


@matrix(
    "source",
    [
        "import manifest_auth",
        "import manifest_auth.store as store",
        "from manifest_auth import tenants",
        "def late():\n    from manifest_auth.store import Store",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from manifest_auth.services import Services",
        "patch.setattr('manifest_auth.store.sqlite.BUSY_MS', 1)",
        "importlib.import_module('manifest_auth.app')",
        "app.services.store",
    ],
)
def test_every_spelling_is_found(source: str) -> None:
    assert list(named(source))
