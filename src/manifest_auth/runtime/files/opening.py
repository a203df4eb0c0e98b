"""Which place for files the settings name."""

from __future__ import annotations

from pathlib import Path

from manifest_auth.runtime.files.keeper import Keeper
from manifest_auth.runtime.settings import Settings


def folder_of(settings: Settings) -> Path | None:
    """The folder that files are kept in; None where it is a bucket."""
    if settings.files.startswith("s3://"):
        return None
    return Path(settings.files or Path(settings.data_dir) / "files")


def open_keeper(settings: Settings) -> Keeper:
    """The place that the settings name. The S3 library is loaded only when it is used."""
    folder = folder_of(settings)
    if folder is None:
        from manifest_auth.runtime.files.s3 import S3Keeper

        return S3Keeper(settings)
    from manifest_auth.runtime.files.folder import FolderKeeper

    return FolderKeeper(folder)
