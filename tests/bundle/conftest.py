"""A folder next to the bundles of the run, so that links to them take no space."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import run_folder


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for one test."""
    with tempfile.TemporaryDirectory(dir=run_folder.folder()) as folder:
        yield Path(folder)
