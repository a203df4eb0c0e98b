"""Opens the file storage that the settings name."""

from __future__ import annotations

from pathlib import Path

from manifest_auth.runtime.files.storage import FileStorage
from manifest_auth.runtime.settings import Settings


def folder_of(settings: Settings) -> Path | None:
    """The folder of the file storage; None for a bucket."""
    if settings.files.startswith("s3://"):
        return None
    return Path(settings.files or Path(settings.data_dir) / "files")


def open_storage(settings: Settings) -> FileStorage:
    """The file storage that the settings name. The S3 library is loaded only when it is used."""
    folder = folder_of(settings)
    if folder is None:
        from manifest_auth.runtime.files.s3 import S3Storage

        return S3Storage(settings)
    from manifest_auth.runtime.files.folder import FolderStorage

    return FolderStorage(folder)
