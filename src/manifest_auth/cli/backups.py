"""``db upgrade|status``, ``backup`` and ``restore``: the schema, and an installation on SQLite as one file."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from manifest_auth.cli.arguments import given_path
from manifest_auth.cli.command import CommandRefused, Progress, add_json, origin_at, print_result
from manifest_auth.maintenance import upgrade_state
from manifest_auth.maintenance.backup import FILES, KEY, NotPossible, back_up, record_backup
from manifest_auth.maintenance.restore import RestoreProof, restore
from manifest_auth.runtime import settings
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.sealing import SecretKeys, keys_of_a_start
from manifest_auth.store import StoreUnavailable
from manifest_auth.store.migrate import SchemaRefused, is_new, upgrade
from manifest_auth.text.canonical import when


def add_backup(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``backup``."""
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("file", type=given_path, nargs="?", metavar="FILE", help="a new tar file")
    what.add_argument(
        "--note",
        action="store_true",
        help="record a backup made with another tool (for example, pg_dump) without creating one",
    )
    command.add_argument(
        "--with-secret-key",
        action="store_true",
        help="include the secret key; anyone with the file can then decrypt everything",
    )
    add_json(
        command, "file, bytes, madeAt, schema, rows, files, lost, isRecorded, hasSecretKey; --note: madeAt, isRecorded"
    )
    command.set_defaults(run=_backup)


def add_restore(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``restore``."""
    command.add_argument("file", type=given_path, metavar="FILE")
    command.add_argument(
        "--data-dir", type=given_path, metavar="FOLDER", help="the folder to restore into (MANIFEST_DATA_DIR)"
    )
    command.add_argument(
        "--end-sessions", action="store_true", help="end all sessions that were open when the backup was made"
    )
    add_json(command, "database, madeAt, schema, rows, files, endedSessions, needsKey")
    command.set_defaults(run=_restore)


def _backup(given: argparse.Namespace) -> int:
    loaded = settings.load()
    if given.note:
        return _note(given, loaded)
    try:
        with _clean_up_on_signals(), Progress() as show:
            manifest = back_up(loaded, given.file, show, with_secret_key=given.with_secret_key)
    except NotPossible as error:
        raise CommandRefused(str(error)) from error
    files = sum(name.startswith(f"{FILES}/") for name in manifest.members)
    size = given.file.stat().st_size
    lines = [
        f"{given.file}: {size:,} bytes, schema {manifest.schema}, {sum(manifest.rows.values()):,} rows in "
        f"{len(manifest.rows)} tables, audit chains: {len(manifest.chains)}."
    ]
    if manifest.files == "here":
        lines += [f"Uploaded files included: {files}."]
    else:
        lines += [f"Uploaded files are in {manifest.files} and are NOT included. Back up the bucket separately."]
    for key in manifest.lost[:20]:
        lines += [f"The uploaded file {key} is missing or damaged. Restore it from an older backup."]
    if KEY in manifest.members:
        lines += [
            "The secret key IS included. Anyone with this file can decrypt everything, so protect it like the key."
        ]
    else:
        lines += [
            "The secret key is NOT included. Store it separately. Without it, signing keys and "
            "the secrets of providers are lost."
        ]
    detail = {"by": "backup", "file": given.file.name[:200], "lost": len(manifest.lost)}
    is_recorded = True
    try:
        asyncio.run(record_backup(loaded, origin_at(Clock().now_ms()), manifest.made_at, **detail))
    except (NotPossible, SchemaRefused, StoreUnavailable) as error:  # a read-only store can be backed up too
        lines += [f"The backup is complete, but it couldn't be recorded in the database: {error}"]
        is_recorded = False
    data: dict[str, object] = {
        "file": str(given.file),
        "bytes": size,
        "madeAt": when(manifest.made_at),
        "schema": manifest.schema,
    }
    data |= {"rows": sum(manifest.rows.values()), "files": files, "lost": manifest.lost, "isRecorded": is_recorded}
    print_result(given, data | {"hasSecretKey": KEY in manifest.members}, *lines)
    return 1 if manifest.lost else 0


@contextlib.contextmanager
def _clean_up_on_signals() -> Iterator[None]:
    """Removes incomplete files before the process ends, even on SIGTERM and SIGHUP."""

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _note(given: argparse.Namespace, loaded: settings.Settings) -> int:
    now = Clock().now_ms()
    try:
        asyncio.run(record_backup(loaded, origin_at(now), now, by="note"))
    except NotPossible as error:
        raise CommandRefused(str(error)) from error
    print_result(given, {"madeAt": when(now), "isRecorded": True}, f"Recorded a backup at {when(now)}.")
    return 0


def _restore(given: argparse.Namespace) -> None:
    loaded = settings.load(data_dir=given.data_dir and str(given.data_dir))
    try:
        with _clean_up_on_signals(), Progress() as show:
            proof = restore(loaded, given.file, show, end_sessions=given.end_sessions)
    except NotPossible as error:
        raise CommandRefused(str(error)) from error
    lines = [*_proven(proof, loaded.database)]
    if given.end_sessions:
        lines += [f"sessions ended: {proof.ended_sessions}"]
    else:
        lines += ["Sessions that ended after the backup are open again. To end all sessions, use --end-sessions."]
    if proof.needs_key:
        key = Path(loaded.data_dir) / KEY
        lines += [f"Before the first start, put the secret key into {key}. Then run manifest-auth doctor."]
    manifest = proof.manifest
    data: dict[str, object] = {"database": loaded.database, "madeAt": when(manifest.made_at), "schema": manifest.schema}
    data |= {"rows": manifest.rows, "files": len(manifest.members), "endedSessions": proof.ended_sessions}
    print_result(given, data | {"needsKey": proof.needs_key}, *lines)


def _proven(proof: RestoreProof, place: str) -> Iterator[str]:
    manifest = proof.manifest
    yield f"Restored to {place}, as of {when(manifest.made_at)}, schema {manifest.schema}."
    yield "integrity_check: ok"
    yield f"files: {len(manifest.members)}, sizes and SHA-256 hashes match the manifest"
    width = max(len(name) for name in manifest.rows)
    for name, count in manifest.rows.items():
        yield f"  {name:<{width}} {count:>12,} rows, {count:,} in the manifest"
    yield f"audit chains: {len(manifest.chains)}, last event and hash of each match the manifest"


_STATUS = {"current": 0, "rolling": 0, "refused": 1, "stop": 3}


def add_db(command: argparse.ArgumentParser) -> None:
    """Adds the actions of ``db``."""
    group = command.add_subparsers(required=True, metavar="ACTION")
    group.add_parser("upgrade", help="upgrade the database schema").set_defaults(run=_upgrade)
    status = group.add_parser(
        "status",
        help="check whether a rolling upgrade to this version is possible",
        description="Prints the schema version, running processes, and one of: current, rolling, stop, "
        "refused, empty. Exit status: 0 for current, rolling, or empty, 1 for refused, 3 for stop.",
    )
    add_json(status, "schema, readable_by, processes (version, schema, running), state")
    status.set_defaults(run=_status)


async def _upgrade(_given: argparse.Namespace) -> None:
    """Upgrades the schema."""
    loaded = settings.load()

    def keys() -> SecretKeys:
        return keys_of_a_start(loaded, Random(), lambda: is_new(loaded.database))

    with Progress() as progress:
        done = await upgrade(loaded.database_direct, keys, progress)
    print("The schema was upgraded." if done else "The schema is up to date.")


async def _status(given: argparse.Namespace) -> int:
    """Prints the status. The exit status is one of :data:`_STATUS`, or 0 for an empty database."""
    loaded = settings.load()
    found = await upgrade_state.read(loaded)
    if found is None and loaded.on_postgres:  # it was reached, so the address is correct
        empty: dict[str, object] = {"schema": None, "readable_by": None, "processes": [], "state": "empty"}
        print_result(given, empty, "The database is empty. `db upgrade` or the first start creates the tables.")
        return 0
    if found is None:
        raise CommandRefused("there is no database here; check MANIFEST_DATABASE_URL and MANIFEST_DATA_DIR")
    data = {
        "schema": found.schema.number,
        "readable_by": found.schema.readable_by,
        "processes": [some._asdict() for some in found.processes],
        "state": found.word,
    }
    print_result(
        given,
        data,
        f"schema       {found.schema.number}, works with programs for schema {found.schema.readable_by} and newer",
        *(f"processes    {some.running} of {some.version} (schema {some.schema})" for some in found.processes),
        found.told,
    )
    return _STATUS[found.word]
