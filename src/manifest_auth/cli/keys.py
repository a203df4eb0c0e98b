"""``keys rotate|reencrypt|lost``: new signing keys, and a new secret key."""

from __future__ import annotations

import argparse
from typing import get_args

from manifest_auth import audit
from manifest_auth.audit import Event
from manifest_auth.cli.command import CommandRefused, Progress, origin_at
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
        "rotate", help="sign with new keys; the old ones verify until all they signed has expired"
    )
    signing.add_argument(
        "--algorithm",
        choices=get_args(Algorithm),
        help="another algorithm for users' access tokens from now on (default: as before)",
    )
    signing.set_defaults(run=rotate)
    secret = actions.add_parser("reencrypt", help="encrypt all secrets again with the newest secret key")
    secret.add_argument("--new-key", action="store_true", help="first add a new key to the key file in the data folder")
    secret.set_defaults(run=reencrypt_all)
    lost = actions.add_parser(
        "lost",
        help="go on after the secret key was lost, with all servers stopped",
        description="Replaces the signing keys that the secret key does not open, drops such secrets of providers, and "
        "begins the proof of the audit trail again. Everyone must sign in again. Makes a new key file where there is "
        "none (SQLite).",
    )
    lost.add_argument("--reason", required=True, help="how it was lost; recorded in the audit trail")
    lost.set_defaults(run=replace_lost_key)


async def rotate(given: argparse.Namespace) -> None:
    """New signing keys for all purposes."""
    purposes = tuple(Purpose)

    async with started() as services:
        await services.store.write(
            lambda unit: signing_keys.rotate(unit, CommandLine(services), services.keys, purposes, given.algorithm)
        )
        await services.keys.refresh()
        used = services.keys.signing(Purpose.ACCESS).algorithm
    print("New keys sign from now on; the old ones verify until all that they signed has expired.")
    print(f"Users' access tokens are signed with {used}.")


async def reencrypt_all(given: argparse.Namespace) -> int:
    """Encrypts all sealed values with the newest key. Exit status 1 when no key opens a value, or a server still uses
    an older key."""
    loaded = settings.load()
    if given.new_key:
        _new_key(loaded)
    keys = secret_keys(loaded)
    async with started(loaded) as services:
        with Progress() as show:
            report = await reencrypt(services, show)

        def work(unit: SystemUnit) -> None:
            done = {name: count for name, count in report.renewed.items() if count}
            event = Event.SECRETS_REENCRYPTED
            audit.record_installation(unit, CommandLine(services), event, renewed=done, lost=report.lost[:100])

        await services.store.write(work)
    _print_result(report, len(keys.texts) - 1, keys.path is not None)
    return 1 if report.lost or report.is_unfinished else 0


async def replace_lost_key(given: argparse.Namespace) -> None:
    """Prints what was replaced."""
    loaded, clock, random = settings.load(), Clock(), Random()
    found = await upgrade_state.read(loaded)
    if found is None or found.schema.number != HEAD:
        raise CommandRefused("there is no store of this release here: see manifest-auth db status")
    if found.processes:
        raise CommandRefused("a server runs on this store, so its secret key is not lost: stop all servers first")
    keys = keys_of_a_start(loaded, random, lambda: True)
    sealer, store = Sealer(keys, random), open_store(loaded.database, loaded.database_pool, macs=Macs(keys))
    await store.open()
    try:
        ring = KeyRing(store, sealer, loaded, clock, random)
        done = await replace_lost(store, ring, sealer, origin_at(clock.now_ms()), given.reason)
    finally:
        await store.close()
    if not any(done):
        raise CommandRefused("the secret key opens this store: nothing was changed")
    print(f"Signing keys replaced: {done.keys}; everyone signs in again.")
    print(f"Providers whose secrets are gone: {done.providers}; enter them again.")
    print(f"Chains of the audit trail whose proof begins again: {len(done.chains)}.")
    print("Run manifest-auth doctor: it names what else the lost key sealed, and who replaces it.")


def _new_key(loaded: Settings) -> None:
    keys = secret_keys(loaded)
    if keys.path is None:
        raise CommandRefused(
            "the key is in MANIFEST_SECRET_KEY: put the new one there, see docs/operations/backup.md, Secret key"
        )
    add_newest_key(keys.path, Random())
    print(f"{keys.path} has a new first key; running servers use it from now on.")


def _print_result(report: Report, older: int, in_file: bool) -> None:
    renewed = sum(report.renewed.values())
    print(f"{report.seen} sealed values checked, {renewed} sealed again with the newest key.")
    for row in report.lost[:20]:
        print(f"None of the keys opens {row}; it was left as it is.")
    if report.lost:
        print(f"{len(report.lost)} values are lost until their key is put behind the others.")
    elif report.is_unfinished:
        print("A server still seals with an older key: first restart all servers with the newest key, then repeat.")
    elif older:
        where = "delete all lines but the first of the file" if in_file else "take them out of MANIFEST_SECRET_KEY"
        count = "The older key is" if older == 1 else f"The {older} older keys are"
        print(f"{count} needed by backups made before alone: keep it with them, and {where}.")
