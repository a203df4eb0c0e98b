"""The picture of the packages contains each of them, and no import points upward."""

from __future__ import annotations

from tests.architecture.links import ROOT


def test_every_package_is_in_it_and_no_import_goes_up() -> None:
    text = (ROOT / "docs" / "architecture.svg").read_text("utf-8")
    for path in (ROOT / "src" / "manifest_auth").iterdir():
        if path.is_dir() and (path / "__init__.py").exists():
            assert f">{path.name}/<" in text
    assert "imports that go up: 0" in text
