"""``keys rotate|reencrypt|lost``: new signing keys, and a new secret key."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import get_args

from manifest_auth import audit
from manifest_auth.audit import Event
from manifest_auth.cli.command import CommandRefused, Progress, add_json, origin_at, print_result
from manifest_auth.cli.started import CommandLine, started
from manifest_auth.maintenance import signing_keys, upgrade_state
from manifest_auth.maintenance.reencrypt import Report, reencrypt, replace_lost
from manifest_auth.runtime import settings
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.revisions import HEAD
from manifest_auth.runtime.sealing import Macs, Sealer, add_newest_key, keys_of_a_start, secret_keys
from manifest_auth.runtime.settings import Settings
from manifest_auth.sessions.tokens import Algorithm, KeyRing, Purpose
from manifest_auth.store import SystemUnit, open_store


def add_keys(command: argparse.ArgumentParser) -> None:
    """Adds the actions of ``keys``."""
    actions = command.add_subparsers(required=True, metavar="ACTION")
    signing = actions.add_parser(
        "rotate", help="sign with new keys; the old ones still verify existing tokens until they expire"
    )
    signing.add_argument(
        "--algorithm",
        choices=get_args(Algorithm),
        help="change the algorithm of users' access tokens (default: keep the current one)",
    )
    add_json(signing, "algorithm")
    signing.set_defaults(run=rotate)
    secret = actions.add_parser("reencrypt", help="encrypt all secrets again with the newest secret key")
    secret.add_argument("--new-key", action="store_true", help="first add a new key to the key file in the data folder")
    add_json(secret, "seen, renewed, lost, is_unfinished")
    secret.set_defaults(run=reencrypt_all)
    lost = actions.add_parser(
        "lost",
        help="recover after the secret key was lost, while all servers are stopped",
        description="Replaces the signing keys that the secret key can't decrypt, removes such secrets of "
        "providers, and restarts the verification of the audit trail. Everyone must sign in "
        "again. Creates a new key file if there is none (SQLite).",
    )
    lost.add_argument("--reason", required=True, help="how it was lost; recorded in the audit trail")
    add_json(lost, "keys, providers, chains")
    lost.set_defaults(run=replace_lost_key)


async def rotate(given: argparse.Namespace) -> None:
    """Creates new signing keys for all purposes."""
    purposes = tuple(Purpose)

    async with started() as services:
        await services.store.write(
            lambda unit: signing_keys.rotate(unit, CommandLine(services), services.keys, purposes, given.algorithm)
        )
        await services.keys.refresh()
        used = services.keys.signing(Purpose.ACCESS).algorithm
    print_result(
        given,
        {"algorithm": used},
        "New keys sign tokens. The old keys verify existing tokens until those expire.",
        f"Users' access tokens are signed with {used}.",
    )


async def reencrypt_all(given: argparse.Namespace) -> int:
    """Encrypts all sealed values with the newest key. The exit status is 1 if no key opens a value, or if a server
    still uses an older key."""
    loaded = settings.load()
    if given.new_key:
        told = _new_key(loaded)  # reported even if the rest fails
        if not given.json:
            print(told)
    keys = secret_keys(loaded)
    async with started(loaded) as services:
        with Progress() as show:
            report = await reencrypt(services, show)

        def work(unit: SystemUnit) -> None:
            done = {name: count for name, count in report.renewed.items() if count}
            event = Event.SECRETS_REENCRYPTED
            audit.record_installation(unit, CommandLine(services), event, renewed=done, lost=report.lost[:100])

        await services.store.write(work)
    print_result(given, report, *_result(report, len(keys.texts) - 1, in_file=keys.path is not None))
    return 1 if report.lost or report.is_unfinished else 0


async def replace_lost_key(given: argparse.Namespace) -> None:
    """Prints what was replaced."""
    loaded, clock, random = settings.load(), Clock(), Random()
    found = await upgrade_state.read(loaded)
    if found is None or found.schema.number != HEAD:
        raise CommandRefused("there is no database with this version's schema here; run manifest-auth db status")
    if found.processes:
        raise CommandRefused(
            "a server is running on this database, so its secret key isn't lost; stop all servers first"
        )
    keys = keys_of_a_start(loaded, random, lambda: True)
    sealer, store = Sealer(keys, random), open_store(loaded.database, loaded.database_pool, macs=Macs(keys))
    await store.open()
    try:
        ring = KeyRing(store, sealer, loaded, clock, random)
        done = await replace_lost(store, ring, sealer, origin_at(clock.now_ms()), given.reason)
    finally:
        await store.close()
    if not any(done):
        raise CommandRefused("the secret key decrypts this database, so nothing was changed")
    print_result(
        given,
        done._asdict(),
        f"Signing keys replaced: {done.keys}. Everyone must sign in again.",
        f"Providers whose secrets were removed: {done.providers}. Enter them again.",
        f"Audit trail chains whose verification restarted: {len(done.chains)}.",
        "Run manifest-auth doctor to find out what else the lost key encrypted, and who must replace it.",
    )


def _new_key(loaded: Settings) -> str:
    keys = secret_keys(loaded)
    if keys.path is None or loaded.secret_key is not None:
        where = keys.path or "MANIFEST_SECRET_KEY"
        raise CommandRefused(
            f"the key is set by {where}; add the new one there, see docs/operations/backup.md, Secret key"
        )
    add_newest_key(keys.path, Random())
    return f"{keys.path} has a new first key. Running servers now use it."


def _result(report: Report, older: int, *, in_file: bool) -> Iterator[str]:
    renewed = sum(report.renewed.values())
    yield f"Checked {report.seen} encrypted values, and encrypted {renewed} of them again with the newest key."
    for row in report.lost[:20]:
        yield f"No key decrypts {row}. It wasn't changed."
    if report.lost:
        yield f"{len(report.lost)} values can't be decrypted. Add their key after the others, and run this again."
    elif report.is_unfinished:
        yield "A server still encrypts with an older key. Restart all servers with the newest key, and run this again."
    elif older:
        where = "delete all lines of the file except the first" if in_file else "remove them from MANIFEST_SECRET_KEY"
        count = "The older key is" if older == 1 else f"The {older} older keys are"
        yield f"{count} needed only for backups made until now. Keep it with them, and {where}."
