"""Uploaded files: their kinds, how many are stored, and smaller quotas."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from manifest_auth.runtime.files import KINDS
from tests.support.application import App
from tests.support.rows import rows

#: Media types that are taken.
FILE_KINDS = KINDS


class Sum(NamedTuple):
    """How many files there are, and their bytes."""

    files: int
    size: int


async def stored_files(app: App) -> Sum:
    """What the store says of all files."""
    sizes = [size for (size,) in await rows(app, "files", "size")]
    return Sum(len(sizes), sum(sizes))


def files_on_disk(app: App, folder: str = "files") -> list[Path]:
    """What lies in the place for files, or in the one for what still comes in."""
    return [path for path in (data_folder(app) / folder).rglob("*") if path.is_file()]


def data_folder(app: App) -> Path:
    """Where the application keeps what is not in the store."""
    return Path(app.services.settings.data_dir)


def narrow_quota(patch: pytest.MonkeyPatch, app: App, size: int) -> None:
    """So many bytes a client."""
    patch.setattr(app.services, "settings", msgspec.structs.replace(app.services.settings, upload_quota=size))


def narrow_files(patch: pytest.MonkeyPatch, app: App, size: int) -> None:
    """So many bytes a file."""
    patch.setattr(app.services, "settings", msgspec.structs.replace(app.services.settings, file_limit=size))
