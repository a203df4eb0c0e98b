"""The picture of the packages is as the code is."""

from __future__ import annotations

import subprocess
import sys

from tests.architecture.links import ROOT

SCRIPT = ROOT / "tools" / "docs" / "picture.py"


def test_the_picture_is_as_the_code_is() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_package_is_in_it_and_no_import_goes_up() -> None:
    text = (ROOT / "docs" / "architecture.svg").read_text("utf-8")
    for path in (ROOT / "src" / "manifest_auth").iterdir():
        if path.is_dir() and (path / "__init__.py").exists():
            assert f">{path.name}/<" in text
    assert "imports that go up: 0" in text
