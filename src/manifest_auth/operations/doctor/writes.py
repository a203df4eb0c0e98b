"""``doctor``: writes a little into the store and into the place of uploaded files, as a server would.

The store keeps the name of a file that the first of these checks made: who does not find it there looks at another
place than the nodes before.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from manifest_auth.operations.archive import FILES_MARK
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.files import FileStorage, FilesUnavailable, folder_of, open_storage
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
    """Stores a file, reads it and deletes it; and looks for the one of the first check. Nothing where all is well."""
    folder = folder_of(settings)
    mark = await installation_values.look_up(store, FILES_MARK) or None
    if folder is not None and not folder.exists() and (settings.files or mark):
        return [("bad", f"files: {folder} does not exist; mount it, or make it: install -d -m 700 {folder}")]
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), None) if folder else None
    if there is not None and there.stat().st_uid != os.getuid():
        return []  # what this user wrote there the server could not use
    storage = open_storage(settings)
    try:
        if not settings.files:
            Path(settings.data_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = await _kept(storage)
        await _read(storage, probe)
        await storage.drop(probe)
        if mark is None:
            fresh = await _kept(storage)
            mark = await store.write(lambda unit: _first(unit, fresh))
            if mark != fresh:
                await storage.drop(fresh)
    except (FilesUnavailable, StoreUnavailable, OSError) as error:
        return [("bad", f"files: none can be stored: {error}; see MANIFEST_FILES")]
    try:
        await _read(storage, mark)
    except FilesUnavailable:
        place = folder or settings.files
        return [("bad", f"files: {place} is not where this store's files are; set MANIFEST_FILES to one place that all "
                        "nodes see, and mount it. If it was moved, copy all that was in it")]  # fmt: skip
    return []


def _first(unit: SystemUnit, fresh: str) -> str:
    """The mark that counts: of two checks at once, one makes it."""
    if not (found := installation_values.lock(unit, FILES_MARK)):
        installation_values.put(unit, FILES_MARK, fresh)
    return found or fresh


async def _kept(storage: FileStorage) -> str:
    """Stores a small file; its key."""
    key = Random().bytes(20).hex()
    with TemporaryDirectory() as local:
        source = Path(local) / key
        source.write_text(key)
        await storage.store(source, key)
    return key


async def _read(storage: FileStorage, key: str) -> None:
    """Raises FilesUnavailable where the file is not there, or another one is."""
    if b"".join([part async for part in await storage.open(key)]) != key.encode():
        raise FilesUnavailable(f"what was stored as {key} is not what is read")
