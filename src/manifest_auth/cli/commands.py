"""Grammar and functions of the commands ``setup-code``, ``admin``, ``client``, and ``user``.

They call the server's own functions, so the same rules apply.
"""

from __future__ import annotations

import argparse
import getpass
import signal
import sys
import warnings
from collections.abc import Awaitable
from typing import TypeAlias, TypeVar

from manifest_auth import audit, tenants
from manifest_auth.accounts import (
    Draft,
    FactorResetData,
    NewLink,
    UserWithAccessLink,
    add,
    admins,
    make_link,
    password_rules,
    reset_factors,
    sent,
    set_roles,
    users,
)
from manifest_auth.accounts.admins import management, second_factor
from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.audit import Event
from manifest_auth.cli.command import CommandRefused, add_json, print_result
from manifest_auth.cli.started import CommandLine, client_named, started
from manifest_auth.clients import client_lifecycle
from manifest_auth.errors import NoSeat
from manifest_auth.permissions import Role, mask_of, role_names
from manifest_auth.runtime import settings
from manifest_auth.runtime.settings import Settings
from manifest_auth.services import Services
from manifest_auth.sign_in import admin_accounts
from manifest_auth.sign_in.admin_accounts import SetupCode
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import PasswordRules, TenantSettings
from manifest_auth.text.canonical import when
from manifest_auth.throttle import throttle

T = TypeVar("T")
_Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_admin(command: argparse.ArgumentParser) -> None:
    """Adds the actions of ``admin``."""
    actions = command.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser("create", help="create a system admin")
    create.add_argument("name")
    _add_password(create)
    add_json(create, "id, name")
    create.set_defaults(run=admin_create)
    reset = actions.add_parser(
        "reset", help="restore access for a system admin: remove their second factor, sessions, and rate limits"
    )
    reset.add_argument("name")
    reset.add_argument("--new-password", action="store_true", help="set a random password, and print it once")
    reset.add_argument("--enable", action="store_true", help="enable a disabled system admin")
    add_json(reset, "changes, password")
    reset.set_defaults(run=admin_reset)
    limit = actions.add_parser(
        "addresses", help="show or set the networks that can call the admin API, in case system admins are locked out"
    )
    to = limit.add_mutually_exclusive_group()
    to.add_argument("networks", nargs="?", help="for example, 10.0.0.0/8,2001:db8::/32; replaces the current ones")
    to.add_argument("--anywhere", action="store_true", help="remove this limit; MANIFEST_ADMIN_ADDRESSES still applies")
    add_json(limit, "adminAddresses, environmentAdminAddresses")
    limit.set_defaults(run=admin_addresses)


def add_client(command: argparse.ArgumentParser) -> _Actions:
    """Adds the action that creates a client. Returns the actions of ``client``."""
    actions = command.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser("create", help="create a client")
    create.add_argument("identifier", help="2 to 63 lowercase letters, digits, and hyphens (not first or last)")
    create.add_argument("--name", help="full name (default: the identifier)")
    add_json(create, "id, identifier")
    create.set_defaults(run=client_create)
    return actions


def add_user(command: argparse.ArgumentParser) -> _Actions:
    """Adds the actions that create and change a user. Returns the actions of ``user``."""
    actions = command.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser("create", help="create a user")
    create.add_argument("email")
    create.add_argument("--client", required=True, help="identifier of the client")
    roles = [role.value for role in Role]
    create.add_argument("--role", required=True, action="append", choices=roles, help="role of the user (repeatable)")
    for name in users.DETAILS:
        create.add_argument(f"--{name.replace('_', '-')}", default="")
    _add_password(create)
    add_json(create, "id, email")
    create.set_defaults(run=user_create)
    link = actions.add_parser("link", help="print a one-time link for a user, in case email doesn't work")
    link.add_argument("email")
    link.add_argument("--client", required=True, help="identifier of the client")
    add_json(link, "link, expiresAt")
    link.set_defaults(run=user_link)
    reset = actions.add_parser("reset-factors", help="remove all second factors of a user and end their sessions")
    reset.add_argument("email")
    reset.add_argument("--client", required=True, help="identifier of the client")
    reset.add_argument("--reason", required=True, help="reason; recorded in the audit trail")
    add_json(reset, "factors, sessions")
    reset.set_defaults(run=user_reset_factors)

    change = actions.add_parser("roles", help="set a user's roles; a new Admin must sign in again")
    change.add_argument("email")
    change.add_argument("--client", required=True, help="identifier of the client")
    change.add_argument(
        "--role",
        required=True,
        action="append",
        choices=roles,
        help="role to set (repeatable); all other roles are removed",
    )
    add_json(change, "id, roles, isReset, link")
    change.set_defaults(run=user_roles)
    return actions


def _add_password(command: argparse.ArgumentParser) -> None:
    command.add_argument("--password-stdin", action="store_true", help="read the password from standard input")


def add_setup_code(command: argparse.ArgumentParser) -> None:
    """Adds the function of ``setup-code``."""
    add_json(command, "code, expiresAt, url")
    command.set_defaults(run=_setup_code)


async def admin_create(given: argparse.Namespace) -> None:
    """Creates a system admin."""
    password = _read_password(given)
    async with started(hashing=True) as services:
        password_rules.check(password, PasswordRules(), (given.name,))
        stored = await services.hasher.hash(password)

        by = CommandLine(services)
        number = await services.store.write(lambda unit: management.create(unit, by, given.name, stored))
    print_result(given, {"id": number, "name": given.name}, f"Created system admin {given.name} (number {number}).")


async def client_create(given: argparse.Namespace) -> None:
    """Creates a client."""
    async with started() as services:

        def work(unit: SystemUnit) -> int:
            by, name = CommandLine(services), given.name or given.identifier
            return client_lifecycle.create(unit, by, given.identifier, name, TenantSettings()).id

        number = await services.store.write(work)
    told = f"Created client {given.identifier} (number {number})."
    print_result(given, {"id": number, "identifier": given.identifier}, told)


async def user_create(given: argparse.Namespace) -> None:
    """Creates a user of a client."""
    password = _read_password(given)
    roles = mask_of([Role(name) for name in given.role])
    async with started(hashing=True) as services:
        tenant = await services.store.read(lambda unit: client_named(unit, given.client))
        draft = Draft(given.email, roles, {name: getattr(given, name) for name in users.DETAILS})
        words = (*draft.words, *tenants.known_words(tenant))
        rules = tenants.password_rules(tenants.settings_of(tenant.settings), 0)
        stored = await password_rules.first_hash(services.hasher, password, None, rules, words)
        adding = services.store.of(tenant.id).write(lambda unit: add(unit, CommandLine(services), draft, stored))
        made = await record_missing_seat(services, tenant.id, adding)
    print_result(given, {"id": made.id, "email": given.email}, f"Created user {given.email} (number {made.id}).")


async def user_roles(given: argparse.Namespace) -> None:
    """Sets the roles of a user. Prints the link that a new Admin might need."""
    roles = mask_of([Role(name) for name in given.role])
    async with started() as services:
        tenant = await services.store.read(lambda unit: client_named(unit, given.client))

        def work(unit: TenantUnit) -> UserWithAccessLink:
            return set_roles(unit, CommandLine(services), user_named(unit, given).id, roles)

        changed = await record_missing_seat(services, tenant.id, services.store.of(tenant.id).write(work))
        names = role_names(changed.user.roles)
        lines = [f"User {given.email} now has these roles: {', '.join(names)}."]
        if changed.new_link is not None:
            await sent(CommandLine(services), changed.new_link)  # before this process ends
            where = changed.link or "in an email to the user"
            lines += [f"The account's previous credentials no longer work. New link, valid for 72 hours: {where}"]
    data = {"id": changed.user.id, "roles": names, "isReset": changed.new_link is not None, "link": changed.link}
    print_result(given, data, *lines)


async def user_link(given: argparse.Namespace) -> None:
    """Prints a link with which a user can set a password, or sign in through a provider."""
    async with started() as services:
        tenant = await services.store.read(lambda unit: client_named(unit, given.client))
        by_password = tenants.settings_of(tenant.settings).password_sign_in

        def work(unit: TenantUnit) -> NewLink:
            user = users.get(unit, user_named(unit, given).id, lock=True)
            purpose = Purpose.RESET if user.password_hash and by_password else Purpose.INVITATION
            return make_link(unit, CommandLine(services), user, purpose, is_returned=True)

        made = await services.store.of(tenant.id).write(work)
    print_result(
        given,
        {"link": made.link, "expiresAt": when(made.expires_at)},
        str(made.link),
        f"Works once, until {when(made.expires_at)}. Anyone with the link can take over the account. Give it only to "
        f"{given.email}.",
    )


async def user_reset_factors(given: argparse.Namespace) -> None:
    """Like :func:`manifest_auth.accounts.reset_factors`, for the user with this address, who must have a factor."""
    async with started() as services:
        tenant = await services.store.read(lambda unit: client_named(unit, given.client))

        def work(unit: TenantUnit) -> FactorResetData:
            found = user_named(unit, given)
            if not found.factors:
                raise CommandRefused(f"{given.email} has no second factor. Nothing was changed.")
            return reset_factors(unit, CommandLine(services), found.id, given.reason)

        done = await services.store.of(tenant.id).write(work)
    print_result(
        given,
        {"factors": done.factors, "sessions": done.sessions},
        f"{given.email}: second factors removed: {done.factors}, sessions ended: {done.sessions}.",
        "The user can now sign in without a second factor. If one is required, they set it up at sign-in.",
    )


def user_named(unit: TenantUnit, given: argparse.Namespace) -> users.User:
    found = users.find_by_email(unit, given.email)
    if found is None:
        raise CommandRefused(f"client {given.client} has no user {given.email}")
    return found


async def record_missing_seat(services: Services, tenant_id: int, act: Awaitable[T]) -> T:
    """Records that an operation was rejected because there was no free seat."""
    try:
        return await act
    except NoSeat as refusal:  # the operation was rolled back, so this needs another unit of work
        why = refusal.message
        store = services.store.of(tenant_id)
        await store.write(lambda unit: audit.record(unit, CommandLine(services), Event.SEAT_REFUSED, why=why))
        raise


def _read_password(given: argparse.Namespace) -> str:
    if given.password_stdin:
        try:
            return sys.stdin.buffer.readline().decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise CommandRefused("the password must be in UTF-8") from None
    # The event loop handles an interrupt only between two steps, and a prompt is a single step.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with warnings.catch_warnings(action="error", category=getpass.GetPassWarning):
            first, second = getpass.getpass("Password: "), getpass.getpass("Again: ")
    except (EOFError, getpass.GetPassWarning):
        raise CommandRefused("no password was entered; use --password-stdin to read it from standard input") from None
    finally:
        signal.signal(signal.SIGINT, before)
    if first != second:
        raise CommandRefused("the passwords don't match")
    return first


_NONE_YET = "No system admin exists yet."
_OTHERWISE = "Or run this command on the server: manifest-auth admin create NAME."


async def _setup_code(given: argparse.Namespace) -> None:
    loaded = settings.load()
    if not management.is_served(loaded):
        raise CommandRefused(f"the installation console requires https or a loopback address. {_OTHERWISE}")
    async with started(loaded) as services:
        code = await admin_accounts.new_setup_code(services, CommandLine(services).origin)
    data = {"code": code.code, "expiresAt": when(code.ends_at), "url": _page(loaded)}
    print_result(given, data, _text(loaded, code))


async def at_start(services: Services, *, shows_code: bool) -> str | None:
    """Returns the message to print at a start, or None. ``shows_code`` must be False if a journal would keep the code
    for others to read."""
    if not management.is_served(services.settings) or not await services.store.read(admins.admins.is_first_needed):
        return None
    if shows_code and (code := await admin_accounts.setup_code_at_start(services)):
        return f"{_NONE_YET} {_text(services.settings, code)}"
    return f"{_NONE_YET} To get a code for {_page(services.settings)}, run manifest-auth setup-code. {_OTHERWISE}"


def _page(loaded: Settings) -> str:
    return f"{loaded.public_url.rstrip('/')}{management.PATH}/setup"


def _text(loaded: Settings, code: SetupCode) -> str:
    page, end = _page(loaded), f"{when(code.ends_at)[11:16]} UTC"
    if code.code is None:
        return (
            f"The setup code that was printed before is valid until {end} at {page}. To get a new "
            f"one, run manifest-auth setup-code. {_OTHERWISE}"
        )
    return (
        f"To create the first system admin, open {page} and enter this setup code, "
        f"valid until {end}:\n\n    {code.code}\n\n{_OTHERWISE}"
    )


async def admin_addresses(given: argparse.Namespace) -> None:
    """Prints the current limits. A running server applies a change within a second."""
    try:
        wanted = management.normalised(given.networks.strip()) if given.networks is not None else None
    except ValueError as error:
        raise CommandRefused(f"networks: {error}") from None
    if wanted == "":
        raise CommandRefused("networks: enter at least one; to remove the limit, use --anywhere")
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
    print_result(
        given,
        {"adminAddresses": now, "environmentAdminAddresses": outer},
        f"Set by system admins: {now or 'anywhere'}.",
        f"Set by MANIFEST_ADMIN_ADDRESSES: {outer or 'anywhere'}. An address must be in both.",
    )


async def admin_reset(given: argparse.Namespace) -> None:
    """Applies the changes and prints them."""
    async with started(hashing=given.new_password) as services:
        password = services.random.text(18) if given.new_password else None
        stored = await services.hasher.hash(password) if password else None
        by = CommandLine(services)

        def work(unit: SystemUnit) -> list[str]:
            found = admins.find(unit, given.name)
            if found is None:
                raise CommandRefused(f"no system admin has the name {given.name}")
            admin, subject, done = admins.get_locked(unit, found.id), f"admin:{found.id}", []
            ended = management.end_all(unit, admin.id, "reset", by.now)
            if second_factor.remove(unit, admin.id):
                audit.record_installation(unit, by, Event.SECOND_FACTOR_REMOVED, subject, sessions_ended=ended)
                done.append("removed the second factor")
            if stored:
                management.set_password(unit, admin.id, stored)
                audit.record_installation(unit, by, Event.ADMIN_PASSWORD_RESET, subject, sessions_ended=ended)
                done.append("set a new password")
            if given.enable and admin.disabled_at is not None:
                management.enable(unit, by, admin)
                done.append("enabled the account")
            known = admins.addresses_of(unit, admin.id)
            throttle.clear_admin(unit, given.name, known, None)
            for address in known:
                throttle.clear_address(unit, address)
            audit.record_installation(unit, by, Event.THROTTLES_CLEARED, subject)
            audit.record_installation(unit, by, Event.SIGNED_OUT_ALL, subject, sessions=ended)
            return [*done, f"sessions ended: {ended}"]

        changes = await services.store.write(work)
    lines = [f"System admin {given.name}: {', '.join(changes)}.", *([password] if password else [])]
    print_result(given, {"changes": changes, "password": password}, *lines)
