"""``manifest-auth license``: ``keygen|issue|inspect`` for the vendor, ``install|status`` for the customer.

Keys come from standard input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from manifest_auth import licence
from manifest_auth.cli.command import CommandRefused, add_json, print_result
from manifest_auth.errors import LicenseInvalid
from manifest_auth.runtime import settings
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.settings import SettingsError
from manifest_auth.text.canonical import when

if TYPE_CHECKING:
    from manifest_auth.services import Services

DAY = 86_400
#: The members of a license, and of its status.
_MEMBERS = "id, customer, issuedAt, expiresAt, seats, features, installation, graceDays, revokes, resetsClock"
_STATUS = (
    "state, installationId; if known: customer, licenseId, seats, seatsUsed, seatsFree, features, issuedAt, expiresAt, "
    "graceEndsAt, warning"
)


def add_license(command: argparse.ArgumentParser) -> None:
    """Adds the actions of ``license``."""
    group = command.add_subparsers(required=True, metavar="ACTION")
    keygen = group.add_parser(
        "keygen", help="create a key pair: the private key signs licenses, and customers get the public key"
    )
    add_json(keygen, "private, public")
    keygen.set_defaults(run=_keygen)
    issue = group.add_parser("issue", help="sign a license with the private key from standard input")
    issue.add_argument("--customer", required=True)
    issue.add_argument("--id", required=True, help="the vendor's ID for this license")
    issue.add_argument("--days", type=_whole(1, 36_500), required=True, help="days until the license expires")
    issue.add_argument("--grace-days", type=_whole(0, 365), default=licence.GRACE_DAYS)
    for kind in ("full", "operate", "connect"):
        issue.add_argument(f"--{kind}", type=_whole(0, licence.MAX_SEATS), default=0, metavar="SEATS")
    issue.add_argument("--feature", action="append", default=[], help="repeatable")
    issue.add_argument("--installation", help="bind the license to one installation, by its installationId")
    revoke = "an earlier license that is rejected once this one is installed; repeatable"
    issue.add_argument("--revoke", action="append", default=[], metavar="ID", help=revoke)
    reset = "reset the newest recorded time if the clock once ran ahead; requires --installation, works once"
    issue.add_argument("--resets-clock", action="store_true", help=reset)
    issue.set_defaults(run=_issue)
    for name, run, members, says in (
        ("inspect", _inspect, _MEMBERS, "verify and show the license from standard input"),
        ("install", _install, _STATUS, "install the license from standard input"),
        ("status", _status, _STATUS, "show the current license, seats, and the ID of this installation"),
    ):
        action = group.add_parser(name, help=says)
        add_json(action, members)
        action.set_defaults(run=run)


def _whole(least: int, most: int) -> Callable[[str], int]:
    """Returns the type of an argument that is a whole number within limits."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text[:12]) <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}")
        return int(text)

    return read


def _keygen(given: argparse.Namespace) -> None:
    private, public = licence.generate()
    print_result(given, {"private": private, "public": public}, f"private {private}", f"public  {public}")


def _issue(given: argparse.Namespace) -> None:
    try:
        private = licence.private_key(sys.stdin.readline())
    except ValueError:
        raise SettingsError("standard input: must be the private key, 32 bytes in base64") from None
    now = Clock().now_ms() // 1000
    made = licence.Licence(
        id=given.id,
        customer=given.customer,
        issued_at=now,
        expires_at=now + given.days * DAY,
        seats=licence.Seats(given.full, given.operate, given.connect),
        features=tuple(given.feature),
        installation=given.installation,
        grace_days=given.grace_days,
        revokes=tuple(given.revoke),
        resets_clock=given.resets_clock,
    )
    text = licence.sign(made, private)
    try:
        licence.verify(text, [private.public_key()])
    except licence.BadLicence as error:
        raise SettingsError(f"no server would accept this license: {error}") from None
    if given.id in given.revoke:
        raise SettingsError("--revoke: a license can't revoke itself")
    print(text)


def _inspect(given: argparse.Namespace) -> None:
    try:
        keys = [licence.public_key(k.strip()) for k in settings.load().license_public_key.split(",") if k.strip()]
    except ValueError:
        raise SettingsError("MANIFEST_LICENSE_PUBLIC_KEY: must be 32 bytes in base64") from None
    if not keys:
        raise SettingsError("MANIFEST_LICENSE_PUBLIC_KEY: required to verify a license")
    try:
        found = licence.verify(sys.stdin.readline().strip(), keys)
    except licence.BadLicence as error:
        raise CommandRefused(f"not a valid license: {error}") from error
    print(msgspec.json.format(msgspec.json.encode(found)).decode())
    if not given.json:  # which prints nothing else
        print(f"issued {when(found.issued_at * 1000)}, expires {when(found.expires_at * 1000)}")


async def _install(_given: argparse.Namespace) -> None:
    from manifest_auth.cli.started import CommandLine, started  # the vendor's commands need no services

    text = sys.stdin.readline().strip()
    async with started() as services:
        try:
            await services.store.write(
                lambda unit: licence.install_licence(unit, services.licence, CommandLine(services), text)
            )
        except LicenseInvalid as refusal:
            raise CommandRefused(f"this license isn't accepted here: {refusal.reason}") from refusal
        _show(services, await services.licence.overview())


async def _status(_given: argparse.Namespace) -> None:
    from manifest_auth.cli.started import started  # for the same reason

    async with started() as services:
        _show(services, await services.licence.overview())


def _show(services: Services, found: licence.Overview) -> None:
    shown = msgspec.to_builtins(licence.LicenceData.at(found, services.clock.now_ms()))
    print(msgspec.json.format(msgspec.json.encode({k: v for k, v in shown.items() if v is not None})).decode())
