"""``doctor``: writes a little into the store and into the place of uploaded files, as a server would."""

from __future__ import annotations

import os

from manifest_auth.operations import files_place
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.files import FilesUnavailable, folder_of, open_storage
from manifest_auth.runtime.settings import Settings
from manifest_auth.store import Store, StoreUnavailable, SystemUnit, installation_values

_PROBE = "doctor"
Findings = list[tuple[str, str]]


async def store_writes(store: Store) -> Findings:
    """Commits a value and deletes it again."""

    def work(unit: SystemUnit) -> None:
        installation_values.put(unit, _PROBE, Random().text(9))

    try:
        await store.write(work)
        await store.write(lambda unit: installation_values.take(unit, _PROBE))
    except StoreUnavailable as error:
        return [("bad", f"writes: the store takes none, so nobody can sign in: {error}; free space where its disk is "
                        "full, and see which rights are missing")]  # fmt: skip
    return [("ok", "writes: the store takes them")]


async def file_writes(settings: Settings, store: Store) -> Findings:
    """Stores a file, reads it and deletes it; and looks for the one that a server made. Nothing where all is well."""
    folder, mark = folder_of(settings), await files_place.mark_of(store)
    if folder is not None and not folder.exists():
        if not settings.files and mark is None:
            return []  # the first server makes it
        return [("bad", f"files: {folder} does not exist; mount it, or make it: install -d -m 700 {folder}")]
    if folder is not None and folder.stat().st_uid != os.getuid():
        return []  # what this user wrote there the server could not use
    storage = open_storage(settings)
    try:
        probe = await files_place.put(storage)
        is_kept = await files_place.holds(storage, probe)
        await storage.drop(probe)
    except (FilesUnavailable, OSError) as error:
        return [("bad", f"files: none can be stored: {error}; see MANIFEST_FILES")]
    if not is_kept:
        return [("bad", "files: what is stored is not what is read; see MANIFEST_FILES")]
    if mark is not None and not await files_place.holds(storage, mark):
        return [("bad", f"files: {folder or settings.files}: {files_place.ELSEWHERE}")]
    return []
