"""``doctor``: file modes and owners of the data folders, free disk space, and the integrity of the SQLite file."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from pathlib import Path

from manifest_auth.runtime.files import folder_of
from manifest_auth.runtime.os_process import user_name
from manifest_auth.runtime.settings import Settings
from manifest_auth.store import sqlite_copy

SCARCE, TOO_LITTLE = 1024, 200  # MiB


def unusable(settings: Settings) -> str:
    """Why this user cannot use the data folder, and the remedy; empty when the user can use or create it."""
    folder, me = Path(settings.data_dir).absolute(), user_name(os.getuid())
    try:
        if not folder.exists():
            there = next(path for path in folder.parents if path.exists())
            if os.access(there, os.W_OK | os.X_OK):
                return ""
            return f"{folder} does not exist, and {me} may not create it; run: install -d -m 700 -o {me} {folder}"
        if not folder.is_dir():
            return f"{folder} is not a folder; see MANIFEST_DATA_DIR"
        owner = folder.stat().st_uid
    except OSError as error:
        return f"{me} cannot access {folder} ({error.strerror}); run this as its owner, or move it"
    if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return ""
    if owner == os.getuid():
        return f"{folder} cannot be written; see its mode, and whether it is mounted read-only"
    return f"{folder} belongs to {user_name(owner)}; run this as {user_name(owner)}, or: chown -R {me} {folder}"


def storage_findings(settings: Settings) -> list[tuple[str, str]]:
    """Levels and texts of the findings; none for folders that do not exist yet."""
    store = None if settings.on_postgres else Path(settings.database.removeprefix("sqlite:///"))
    folders = [Path(settings.data_dir), folder_of(settings), store.parent if store else None]
    there = [path for path in dict.fromkeys(f for f in folders if f is not None) if path.is_dir()]
    found = [finding for folder in there for finding in _folder(folder)]
    if store is not None and store.exists():
        found += _file(store)
    if there and not found:
        found.append(("ok", "file modes: no other user of this machine can access the data folder"))
    return found + _disk_space(there)


async def integrity(settings: Settings) -> list[tuple[str, str]]:
    """Checks the SQLite file. PostgreSQL checks its files itself."""
    path = Path(settings.database.removeprefix("sqlite:///"))
    damaged = await asyncio.to_thread(sqlite_copy.damage, path, quick=True)
    if damaged:
        return [
            ("bad", f"integrity: {path} is damaged ({damaged[0]}); stop the server, keep the file, restore a backup")
        ]
    return [("ok", "integrity: quick_check finds the store whole")]


def _folder(path: Path) -> list[tuple[str, str]]:
    found = path.stat()
    if found.st_uid != os.getuid():
        return _bad(f"{path} belongs to {user_name(found.st_uid)}; run this as {user_name(found.st_uid)}, or: "
                    f"chown -R {user_name(os.getuid())} {path}")  # fmt: skip
    if found.st_mode & stat.S_IRWXO:
        return _bad(f"every user of this machine can access {path}; run: chmod 700 {path}")
    if found.st_mode & stat.S_IRWXG:
        may = "can change" if found.st_mode & stat.S_IWGRP else "can access"
        return _bad(f"its group {may} {path}; run: chmod 700 {path}")
    return []


def settings_file(path: Path) -> list[tuple[str, str]]:
    """Of the file that ``--env-file`` names, which holds passwords and keys."""
    if path.stat().st_mode & stat.S_IRWXO:
        return _bad(f"every user of this machine can access {path}; run: chmod o= {path}")
    return []


def _file(path: Path) -> list[tuple[str, str]]:
    found = path.stat()
    if found.st_uid != os.getuid():
        return _bad(f"{path} belongs to {user_name(found.st_uid)}; run this as {user_name(found.st_uid)}, or: "
                    f"chown {user_name(os.getuid())} {path}")  # fmt: skip
    into = path.absolute().parent.stat().st_mode
    for group, way, reads in (
        ("every user of this machine", stat.S_IXOTH, stat.S_IRWXO),
        ("its group", stat.S_IXGRP, stat.S_IRWXG),
    ):
        if into & way and found.st_mode & reads:
            return _bad(f"{group} can read {path} and all password hashes; run: chmod 600 {path}*")
    return []


def _bad(text: str) -> list[tuple[str, str]]:
    return [("bad", f"file modes: {text}")]


def _disk_space(folders: list[Path]) -> list[tuple[str, str]]:
    disks = {path.stat().st_dev: path for path in reversed(folders)}
    found = []
    for path in disks.values():
        free = shutil.disk_usage(path).free // 2**20
        advice = "; free space: on a full disk nothing can be stored and no user can sign in" if free < SCARCE else ""
        level = "bad" if free < TOO_LITTLE else "note" if advice else "ok"
        found.append((level, f"disk: {free} MiB are free under {path}{advice}"))
    return found
