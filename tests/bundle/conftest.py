"""A folder beside the bundles of the run: what is linked there from them takes no space."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import run_folder


@pytest.fixture
def scratch() -> Iterator[Path]:
    """For one test."""
    with tempfile.TemporaryDirectory(dir=run_folder.folder()) as folder:
        yield Path(folder)
