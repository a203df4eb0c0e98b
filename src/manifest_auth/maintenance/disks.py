"""The folders that the server writes to, and the space on their disks."""

from __future__ import annotations

import shutil
from pathlib import Path

from manifest_auth.runtime.files import folder_of
from manifest_auth.runtime.settings import Settings


def database_file(settings: Settings) -> Path | None:
    """Returns the SQLite file, or None on PostgreSQL."""
    return None if settings.on_postgres else Path(settings.database.removeprefix("sqlite:///"))


def written_folders(settings: Settings) -> list[Path]:
    """Returns the existing folders that the server writes to."""
    store = database_file(settings)
    folders = [Path(settings.data_dir), folder_of(settings), store.parent if store else None]
    return [path for path in dict.fromkeys(f for f in folders if f is not None) if path.is_dir()]


def disks(settings: Settings) -> list[tuple[Path, int, int]]:
    """Returns a folder on each disk that the server writes to, and the used and free MiB there."""
    found = {path.stat().st_dev: path for path in reversed(written_folders(settings))}.values()
    usages = [(path, shutil.disk_usage(path)) for path in found]
    return [(path, usage.used // 2**20, usage.free // 2**20) for path, usage in usages]
