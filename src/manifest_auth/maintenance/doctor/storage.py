"""``doctor``: checks folders, disk space, the SQLite file, writing, and whether keys open all sealed values."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from manifest_auth.maintenance import files_place, reencrypt
from manifest_auth.maintenance.disks import database_file, disks, written_folders
from manifest_auth.maintenance.doctor.environment import Finding, bad, note, ok
from manifest_auth.maintenance.reencrypt import Sealed
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.files import FilesUnavailable, folder_of, open_storage
from manifest_auth.runtime.os_process import user_name
from manifest_auth.runtime.sealing import CannotOpen, Sealer
from manifest_auth.runtime.settings import Settings
from manifest_auth.store import Store, StoreUnavailable, installation_values, sqlite_copy
from manifest_auth.store.tables import sealed_for

# ``doctor``: file modes and owners of the data folders, free disk space, and the integrity of the SQLite file.


SCARCE, TOO_LITTLE = 1024, 200  # MiB


def unusable(settings: Settings) -> str:
    """Returns why this user can't use the data folder, and the remedy; empty if the user can use or create it."""
    folder, me = Path(settings.data_dir).absolute(), user_name(os.getuid())
    try:
        if not folder.exists():
            there = next(path for path in folder.parents if path.exists())
            if os.access(there, os.W_OK | os.X_OK):
                return ""
            return f"{folder} doesn't exist, and {me} can't create it; run: install -d -m 700 -o {me} {folder}"
        if not folder.is_dir():
            return f"{folder} isn't a folder; check MANIFEST_DATA_DIR"
        owner = folder.stat().st_uid
    except OSError as error:
        return f"{me} can't access {folder} ({error.strerror}); run this command as its owner, or move it"
    if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return ""
    if owner == os.getuid():
        return f"{folder} isn't writable; check its mode, and whether it is mounted read-only"
    return (
        f"{folder} belongs to {user_name(owner)}; run this command as {user_name(owner)}, or run: "
        f"chown -R {me} {folder}"
    )


def storage_findings(settings: Settings) -> list[Finding]:
    """Returns levels and texts of the findings; none for folders that don't exist yet."""
    store, there = database_file(settings), written_folders(settings)
    found = [finding for folder in there for finding in _folder(folder)]
    if store is not None and store.exists():
        found += _file(store)
    if there and not found:
        found.append(ok("file modes: no other users of this machine can access the data folder"))
    return found + _disk_space(settings)


async def integrity(settings: Settings) -> list[Finding]:
    """Checks the SQLite file. PostgreSQL checks its own files."""
    path = Path(settings.database.removeprefix("sqlite:///"))
    damaged = await asyncio.to_thread(sqlite_copy.damage, path, quick=True)
    if damaged:
        return [bad(f"integrity: {path} is damaged ({damaged[0]}); stop the server, keep the file, restore a backup")]
    return [ok("integrity: quick_check found no problems")]


def _folder(path: Path) -> list[Finding]:
    found = path.stat()
    if found.st_uid != os.getuid():
        return _bad(
            f"{path} belongs to {user_name(found.st_uid)}; run this command as "
            f"{user_name(found.st_uid)}, or run: chown -R {user_name(os.getuid())} {path}"
        )
    if found.st_mode & stat.S_IRWXO:
        return _bad(f"every user of this machine can access {path}; run: chmod 700 {path}")
    if found.st_mode & stat.S_IRWXG:
        may = "can change" if found.st_mode & stat.S_IWGRP else "can access"
        return _bad(f"its group {may} {path}; run: chmod 700 {path}")
    return []


def settings_file(path: Path) -> list[Finding]:
    """Returns findings about the file that ``--env-file`` names, which contains passwords and keys."""
    if path.stat().st_mode & stat.S_IRWXO:
        return _bad(f"every user of this machine can access {path}; run: chmod o= {path}")
    return []


def _file(path: Path) -> list[Finding]:
    found = path.stat()
    if found.st_uid != os.getuid():
        return _bad(
            f"{path} belongs to {user_name(found.st_uid)}; run this command as "
            f"{user_name(found.st_uid)}, or run: chown {user_name(os.getuid())} {path}"
        )
    into = path.absolute().parent.stat().st_mode
    for group, way, reads in (
        ("every user of this machine", stat.S_IXOTH, stat.S_IRWXO),
        ("its group", stat.S_IXGRP, stat.S_IRWXG),
    ):
        if into & way and found.st_mode & reads:
            return _bad(f"{group} can read {path} and all password hashes; run: chmod 600 {path}*")
    return []


def _bad(text: str) -> list[Finding]:
    return [bad(f"file modes: {text}")]


def _disk_space(settings: Settings) -> list[Finding]:
    found = []
    for path, _, free in disks(settings):
        advice = "; free up space: on a full disk, nothing can be saved and nobody can sign in" if free < SCARCE else ""
        level = "bad" if free < TOO_LITTLE else "note" if advice else "ok"
        found.append(Finding(level, f"disk: {free} MiB free at {path}{advice}"))
    return found


# ``doctor``: writes a little data to the database and to the storage of uploaded files, as a server would.


_PROBE = "doctor"


async def store_writes(store: Store) -> list[Finding]:
    """Commits a value and deletes it again."""

    try:
        await store.write(lambda unit: installation_values.put(unit, _PROBE, Random().text(9)))
        await store.write(lambda unit: installation_values.take(unit, _PROBE))
    except StoreUnavailable as error:
        return [
            bad(
                f"writes: the database rejects them, so nobody can sign in: {error}; free up disk "
                "space, and check permissions"
            )
        ]
    return [ok("writes: the database accepts them")]


async def file_writes(settings: Settings, store: Store) -> list[Finding]:
    """Stores, reads, and deletes a file, and looks for the file that a server created. Returns nothing if everything is
    fine."""
    folder, mark = folder_of(settings), await files_place.mark_of(store)
    if folder is not None and not folder.exists():
        if not settings.files and mark is None:
            return []  # the first server creates it
        return [bad(f"files: {folder} doesn't exist; mount it, or create it: install -d -m 700 {folder}")]
    if folder is not None and folder.stat().st_uid != os.getuid():
        return []  # the server couldn't use files that this user creates there
    storage = open_storage(settings)
    try:
        probe = await files_place.put(storage)
        is_kept = await files_place.holds(storage, probe)
        await storage.drop(probe)
    except (FilesUnavailable, OSError) as error:
        return [bad(f"files: they can't be saved: {error}; check MANIFEST_FILES")]
    if not is_kept:
        return [bad("files: a test file was read back with different content; check MANIFEST_FILES")]
    if mark is not None and not await files_place.holds(storage, mark):
        return [bad(f"files: {folder or settings.files}: {files_place.ELSEWHERE}")]
    return []


# ``doctor``: checks whether the secret keys open all sealed values, and names the remedy if they don't.


SECONDS = 20.0  # an operator is waiting; `keys reencrypt` checks the rest
NAMED = 10  # the rows to name for each column; the others are only counted
_PUT_BACK = "add the key that encrypted it after the others (docs/operations/backup.md, Secret key)"
#: The remedy if this key is lost.
_LOST = {
    "signing_keys.secret": "if the key is lost, run manifest-auth keys lost",
    "id_token_keys.secret": "if the key is lost, run manifest-auth keys lost",
    "providers.secrets": "if the key is lost, run manifest-auth keys lost, and enter the provider's secret again",
    "admin_second_factors.secret": "if the key is lost, another system admin must remove the second factor",
    "user_totps.secret": "if the key is lost, those users must use a recovery code, or an administrator must reset "
    "their second factors",
    "user_totps.next_secret": "if the key is lost, those users must set up their authenticator app again",
    "sign_in_challenges.secrets": "if the key is lost, those users must start their sign-in again",
    "sign_in_flows.secrets": "if the key is lost, those users must start their sign-in again",
    "badge_pins.pepper": "if the key is lost, those users need a new PIN",
    "directory_proofs.secrets": "if the key is lost, those verifications of a directory must start again",
    "kept_tokens.tokens": "if the key is lost, those users must sign in again",
    "queued_mails.mail": "if the key is lost, those emails expire within the hour; request their links again",
}


class _ColumnWalk:
    """The progress of checking one column."""

    def __init__(self, part: Sealed) -> None:
        self.part = part
        self.seen, self.is_over = 0, False
        self.lost: list[str] = []
        self._last: dict[str, Any] | None = None

    async def step(self, store: Store, sealer: Sealer) -> None:
        """Checks the next rows. Reads them in a unit of work, and opens them outside of it."""
        column, last = self.part.column, self._last
        found = await store.read(lambda unit: self.part.read(unit, last))
        for row in found:
            name = sealed_for(column, **row)
            try:
                sealer.open(row[column.name], name)
            except CannotOpen:
                self.lost.append(name)
        self.seen += len(found)
        self.is_over = len(found) < reencrypt.STEP
        if found:
            self._last = found[-1]


async def sealed_findings(
    store: Store, sealer: Sealer, show: Callable[[str, int], None], seconds: float = SECONDS
) -> list[Finding]:
    """Returns levels and texts of the findings. Only reads, a step of each column in turn, for at most ``seconds``.
    ``show`` gets the number of checked values."""
    walks = [_ColumnWalk(part) for part in reencrypt.SEALED]
    until = time.monotonic() + seconds
    while (going := [walk for walk in walks if not walk.is_over]) and time.monotonic() < until:
        for walk in going:
            await walk.step(store, sealer)
        show("decrypting values", sum(walk.seen for walk in walks))
    seen, lost = sum(walk.seen for walk in walks), sum(len(walk.lost) for walk in walks)
    if seen and lost == seen:
        return [
            bad(
                "signing keys: the secret key isn't the one that this database was created with; "
                "restore it, or see docs/operations/backup.md, Lost secret key"
            )
        ]
    found = [bad(_text(walk)) for walk in walks if walk.lost]
    if unseen := [walk.part.name for walk in walks if not walk.is_over]:
        advice = "`keys reencrypt` checks all of them and lists those that can't be decrypted"
        found.append(note(f"encrypted values: checked {seen}, but not all of {', '.join(unseen)}; {advice}"))
    elif not lost:
        found.append(ok(f"signing keys: the secret key decrypts them and all other encrypted values ({seen})"))
    return found


def _text(walk: _ColumnWalk) -> str:
    more = f" and {len(walk.lost) - NAMED} more" if len(walk.lost) > NAMED else ""
    otherwise = _LOST.get(walk.part.name, "if the key is lost, that value is lost")
    return f"encrypted values: no secret key decrypts {', '.join(walk.lost[:NAMED])}{more}; {_PUT_BACK}; {otherwise}"
