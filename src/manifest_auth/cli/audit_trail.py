"""``manifest-auth audit verify|export``: verifies and exports the audit trail.

Servers can write to it at the same time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from manifest_auth import audit
from manifest_auth.audit import AuditVerdict, Point, Span
from manifest_auth.cli.arguments import given_path
from manifest_auth.cli.command import CommandRefused, Progress, add_json, print_result
from manifest_auth.runtime import settings
from manifest_auth.runtime.revisions import HEAD
from manifest_auth.runtime.sealing import Macs, secret_keys
from manifest_auth.runtime.settings import Settings, SettingsError
from manifest_auth.store import Store, open_store
from manifest_auth.store.migrate import find_schema
from manifest_auth.text.canonical import parse_time

MOST_LISTED = 100  # unreadable events, one per line


def add_audit(command: argparse.ArgumentParser) -> None:
    """Adds the actions of ``audit``."""
    group = command.add_subparsers(required=True, metavar="ACTION")
    verify = group.add_parser("verify", help="verify that no event was removed, changed, moved, or inserted")
    verify.add_argument("file", nargs="?", type=given_path, help="an export to verify instead of the database")
    _client(verify)
    add_json(verify, "ok, events, chains (chain, client, events, first, last, hash, faults, restarts)")
    verify.add_argument(
        "--known", type=given_path, metavar="FILE", help="result of an earlier --json run; its events must still exist"
    )
    verify.set_defaults(run=_verify)
    export = group.add_parser("export", help="write events as JSON Lines")
    _client(export)
    export.add_argument(
        "--since", type=_time, metavar="TIME", help="start of the period, for example 2026-01-31T09:30:00Z"
    )
    export.add_argument("--until", type=_time, metavar="TIME", help="end of the period (exclusive)")
    export.add_argument("--output", type=given_path, metavar="FILE", help="a new file (default: standard output)")
    export.set_defaults(run=_export)


def _client(command: argparse.ArgumentParser) -> None:
    command.add_argument("--client", help="identifier or number of one client; 0 for events of the installation")


def _time(text: str) -> int:
    try:
        return parse_time(text, "")
    except Exception as error:
        raise argparse.ArgumentTypeError("must be a date or time, for example 2026-01-31T09:30:00Z") from error


async def _verify(given: argparse.Namespace) -> int:
    """Verifies the trail. The exit status is 1 if there is a problem."""
    known = _read_known(given.known) if given.known else {}
    with Progress() as show:
        verdicts = _of_file(given.file, show, known) if given.file else await _of_store(given.client, show, known)
    print_result(given, _as_json(verdicts), *_result(verdicts))
    return 0 if all(not verdict.faults for verdict in verdicts) else 1


async def _of_store(client: str | None, show: Progress, known: Mapping[int, Point]) -> list[AuditVerdict]:
    count = _Count(show, "verifying events")
    async with _opened(settings.load(), with_key=True) as store:
        if client is None:
            return await audit.verify_all(store, count, known)
        [chain] = await _chains(store, client)
        return [await audit.verify(store, chain, count, known.get(chain))]


def _of_file(path: Path, show: Progress, known: Mapping[int, Point]) -> list[AuditVerdict]:
    try:
        with path.open("rb") as lines:
            return audit.verify_export(lines, _Count(show, "verifying events"), known)
    except ValueError as error:
        raise CommandRefused(f"{path}: {error}") from None


class _Count:
    """Counts the events read so far, in all chains."""

    def __init__(self, show: Progress, what: str) -> None:
        self._show, self._what, self._done = show, what, 0

    def __call__(self, more: int) -> None:
        self._done += more
        self._show(self._what, self._done)


def _read_known(path: Path) -> dict[int, Point]:
    try:
        found = orjson.loads(path.read_bytes())
        return {
            chain["chain"]: Point(int(chain["last"]), str(chain["hash"]))
            for chain in found["chains"]
            if chain["last"] > 0
        }
    except (ValueError, TypeError, KeyError):
        raise SettingsError(f"{path}: not the output of `audit verify --json`") from None


def _as_json(verdicts: list[AuditVerdict]) -> dict[str, Any]:
    return {
        "ok": all(not verdict.faults for verdict in verdicts),
        "events": sum(verdict.events for verdict in verdicts),
        "chains": [
            {
                "chain": verdict.chain,
                "client": verdict.client,
                "events": verdict.events,
                "first": verdict.start.sequence + 1,
                "last": verdict.end.sequence,
                "hash": verdict.end.hash,
                "faults": [fault._asdict() for fault in verdict.faults],
                "restarts": verdict.restarts,
            }
            for verdict in verdicts
        ],
    }


def _result(verdicts: list[AuditVerdict]) -> Iterator[str]:
    for verdict in verdicts:
        whose = _chain_name(verdict)
        for fault in verdict.faults:
            yield f"{whose}, event {fault.sequence}: {fault.kind}: {fault.what}"
        for number in verdict.restarts:
            yield (
                f"{whose}, event {number}: restarted: the secret key was lost, so missing events "
                "before this one can't be detected"
            )
    events, broken = sum(verdict.events for verdict in verdicts), sum(bool(verdict.faults) for verdict in verdicts)
    chains = "1 chain" if len(verdicts) == 1 else f"{len(verdicts)} chains"
    what = f"{broken} of them not intact" if broken else "all intact"
    yield f"{events} events in {chains}: {what}."


def _chain_name(verdict: AuditVerdict) -> str:
    if verdict.chain == audit.INSTALLATION:
        return "installation"
    return f"client {verdict.client or verdict.chain}"


async def _export(given: argparse.Namespace) -> int:
    """Exports the trail. The exit status is 1 if an event has invalid content; it is still exported, and marked."""
    async with _opened(settings.load(), with_key=False) as store:
        chains = await _chains(store, given.client)
        written, unreadable = 0, []
        with _target(given.output) as target, Progress() as show:
            count = _Count(show, "exporting: read")
            async for some in audit.export(store, chains, Span(given.since, given.until)):
                target.writelines(some.lines)
                written += len(some.lines)
                unreadable += [(some.chain, number) for number in some.unreadable]
                count(some.looked_at)
    if given.output:
        print(f"Wrote {written} events to {given.output}.")
    for chain, number in unreadable[:MOST_LISTED]:
        what = "was altered by hand and has invalid content; see `unreadable` in its line"
        print(f"manifest-auth: event {number} of chain {chain} {what}", file=sys.stderr)
    if len(unreadable) > MOST_LISTED:
        print(f"manifest-auth: {len(unreadable) - MOST_LISTED} more", file=sys.stderr)
    return 1 if unreadable else 0


@contextlib.contextmanager
def _target(path: Path | None) -> Iterator[BinaryIO]:
    """Opens standard output, or a file that gets its name when it is complete, so that nobody mistakes a partial export
    for a complete one. Only this user can read the file. Raises CommandRefused if the file exists."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.exists():
        raise CommandRefused(f"{path} already exists")
    part = path.with_name(f"{path.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


async def _chains(store: Store, client: str | None) -> list[int]:
    if client is None:
        return await audit.all_chains(store)

    return [await store.read(lambda unit: audit.chain_named(unit, client))]


@contextlib.asynccontextmanager
async def _opened(loaded: Settings, *, with_key: bool) -> AsyncIterator[Store]:
    """Opens only the store. Doesn't create a secret key, and reads it only if needed. Doesn't upgrade the schema,
    because a verification changes nothing."""
    found = await find_schema(loaded.database)
    if found is None:
        raise CommandRefused("there is no database here; check MANIFEST_DATABASE_URL and MANIFEST_DATA_DIR")
    found.check()
    if found.number < HEAD:
        raise CommandRefused(
            f"the database has schema {found.number}, and this version requires {HEAD}; run "
            "manifest-auth db upgrade first"
        )
    macs = Macs(secret_keys(loaded)) if with_key else None
    store = open_store(loaded.database, loaded.database_pool, macs=macs)
    await store.open()
    try:
        yield store
    finally:
        await store.close()
