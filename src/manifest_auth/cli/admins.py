"""Commands for system admins: ``setup-code`` for the first one, ``admin reset`` and ``admin addresses``."""

from __future__ import annotations

import argparse
from typing import Any

from manifest_auth import audit
from manifest_auth.accounts import admins
from manifest_auth.accounts.admins import admins as accounts
from manifest_auth.accounts.admins import console, management, second_factor
from manifest_auth.audit import Event
from manifest_auth.cli.command import CommandLine, CommandRefused, started
from manifest_auth.runtime import settings
from manifest_auth.runtime.settings import Settings
from manifest_auth.services import Services
from manifest_auth.sign_in import admin_accounts
from manifest_auth.sign_in.admin_accounts import SetupCode
from manifest_auth.store import SystemUnit
from manifest_auth.text.canonical import when
from manifest_auth.throttle import throttle

_NONE_YET = "No system admin exists yet."
_OTHERWISE = "Or on this machine: manifest-auth admin create NAME."


def add_setup_code(groups: Any) -> None:
    """Adds the command to the grammar."""
    command = groups.add_parser("setup-code", help="print a code for creating the first system admin in a browser")
    command.set_defaults(run=_setup_code)


async def _setup_code(_given: argparse.Namespace) -> None:
    loaded = settings.load()
    if not console.is_served(loaded):
        raise CommandRefused(f"pages of the installation need https, or a loopback address: {_OTHERWISE}")
    async with started(loaded) as services:
        print(_text(loaded, await admin_accounts.new_setup_code(services, CommandLine(services).origin)))


async def at_start(services: Services, *, on_terminal: bool) -> str | None:
    """The message of a start; None without a message. It has a code ``on_terminal`` only: whatever else reads standard
    error, as a journal does, keeps it for others."""
    if not console.is_served(services.settings) or not await services.store.read(accounts.is_first_needed):
        return None
    if on_terminal and (code := await admin_accounts.setup_code_at_start(services)):
        return f"{_NONE_YET} {_text(services.settings, code)}"
    return f"{_NONE_YET} manifest-auth setup-code prints a code for {_page(services.settings)}. {_OTHERWISE}"


def _page(loaded: Settings) -> str:
    return f"{loaded.public_url.rstrip('/')}{console.PATH}/setup"


def _text(loaded: Settings, code: SetupCode) -> str:
    page, end = _page(loaded), f"{when(code.ends_at)[11:16]} UTC"
    if code.code is None:
        return (
            f"The setup code that was printed before is valid until {end} at {page}; "
            f"manifest-auth setup-code prints a new one. {_OTHERWISE}"
        )
    return f"Make the first one at {page} with this setup code, valid until {end}:\n\n    {code.code}\n\n{_OTHERWISE}"


def add_to(actions: Any) -> None:
    """Adds the commands to those of ``admin``."""
    reset = actions.add_parser(
        "reset",
        help="remove a system admin's second factor, sessions and pauses, for one who cannot sign in",
    )
    reset.add_argument("name")
    reset.add_argument("--new-password", action="store_true", help="create a random password, and print it once")
    reset.add_argument("--enable", action="store_true", help="enable a disabled system admin")
    reset.set_defaults(run=admin_reset)
    limit = actions.add_parser(
        "addresses", help="show or set the addresses that may use the admin API, for system admins who are locked out"
    )
    to = limit.add_mutually_exclusive_group()
    to.add_argument("networks", nargs="?", help="like 10.0.0.0/8,2001:db8::/32; replaces the current ones")
    to.add_argument("--anywhere", action="store_true", help="no limit except MANIFEST_ADMIN_ADDRESSES")
    limit.set_defaults(run=admin_addresses)


async def admin_addresses(given: argparse.Namespace) -> None:
    """Prints the current limits. A running server applies a change within a second."""
    try:
        wanted = management.normalised(given.networks.strip()) if given.networks is not None else None
    except ValueError as error:
        raise CommandRefused(f"networks: {error}") from None
    if wanted == "":
        raise CommandRefused("networks: none is named; --anywhere removes the limit")
    async with started() as services:
        by = CommandLine(services)

        def work(unit: SystemUnit) -> str:
            before, after = management.addresses(unit), "" if given.anywhere else wanted
            if after is not None and after != before:
                management.set_addresses(unit, after)
                change = {"before": before, "after": after}
                audit.record_installation(unit, by, Event.INSTALLATION_CHANGED, "", adminAddresses=change)
            return management.addresses(unit)

        now = await services.store.write(work)
        outer = services.settings.admin_addresses
    print(f"Set by system admins: {now or 'anywhere'}.")
    print(f"Set by MANIFEST_ADMIN_ADDRESSES: {outer or 'anywhere'}. Both must allow an address.")


async def admin_reset(given: argparse.Namespace) -> None:
    """Prints the changes."""
    async with started(hashing=given.new_password) as services:
        password = services.random.text(18) if given.new_password else None
        stored = await services.hasher.hash(password) if password else None
        by = CommandLine(services)

        def work(unit: SystemUnit) -> list[str]:
            found = admins.find(unit, given.name)
            if found is None:
                raise CommandRefused(f"there is no system admin {given.name}")
            admin, subject, done = admins.get_locked(unit, found.id), f"admin:{found.id}", []
            ended = management.end_all(unit, admin.id, "reset", by.now)
            if second_factor.remove(unit, admin.id):
                audit.record_installation(unit, by, Event.SECOND_FACTOR_REMOVED, subject, sessions_ended=ended)
                done.append("the second factor is gone")
            if stored:
                management.set_password(unit, admin.id, stored)
                audit.record_installation(unit, by, Event.ADMIN_PASSWORD_RESET, subject, sessions_ended=ended)
                done.append("the password is a new one")
            if given.enable and admin.disabled_at is not None:
                management.enable(unit, by, admin)
                done.append("the account is enabled")
            known = admins.addresses_of(unit, admin.id)
            throttle.clear_admin(unit, given.name, known, None)
            for address in known:
                throttle.clear_address(unit, address)
            audit.record_installation(unit, by, Event.THROTTLES_CLEARED, subject)
            audit.record_installation(unit, by, Event.SIGNED_OUT_ALL, subject, sessions=ended)
            return [*done, f"{ended} sessions were ended"]

        changes = await services.store.write(work)
    print(f"System admin {given.name}: {', '.join(changes)}.")
    if password:
        print(password)
