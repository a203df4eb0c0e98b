"""Fills an empty store, and tells how to sign in: the accounts in one transaction, then what they did since."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from sqlalchemy import func, select

from manifest_auth.accounts.admins import console
from manifest_auth.errors import Conflict
from manifest_auth.licence import UNCOUNTED
from manifest_auth.maintenance.demo import people, story
from manifest_auth.maintenance.demo.people import ADMIN, PastClock, users
from manifest_auth.runtime.settings import Settings, SettingsError, is_loopback_host
from manifest_auth.services import Services
from manifest_auth.store import SystemUnit, global_, installation_values
from manifest_auth.store.migrate import upgrade
from manifest_auth.store.tables import system_admins
from manifest_auth.store.tables import tenants as tenants_table

#: What is shown while it takes its time: what is made, how many are done, of how many.
Progress = Callable[[str, int, int], None]
_CLIENTS = global_(select(func.count()).select_from(tenants_table), int)
_ADMINS = global_(select(func.count()).select_from(system_admins), int)


class NotEmpty(Exception):
    """The store contains data that is not from the demo."""


def check_allowed(settings: Settings) -> None:
    """Raises SettingsError for an address that is not loopback."""
    if not settings.is_loopback or not is_loopback_host(settings.host):
        raise SettingsError("--demo: only on a loopback address (MANIFEST_PUBLIC_URL and --host)")


async def is_filled(services: Services) -> bool:
    """Whether the demo filled the store before. For services that are not opened: opening them makes the signing keys,
    which in a demo store are as old as everything else. Raises NotEmpty."""
    settings = services.settings
    await upgrade(
        settings.database_direct, lambda: services.sealer.keys, may_change=settings.database_upgrade == "start"
    )
    await services.store.open()
    try:
        return await services.store.read(_is_filled)
    finally:
        await services.store.close()


async def fill(services: Services, progress: Progress = lambda _what, _done, _of: None) -> dict[str, str] | None:
    """Fills an empty store. The passwords by account name, or None when the demo filled it before. Raises NotEmpty."""
    check_allowed(services.settings)
    if await services.store.read(_is_filled):
        return None
    clock = services.clock if isinstance(services.clock, PastClock) else PastClock(services.clock)
    # No licence exists yet; from the first start on, the users count.
    past = dataclasses.replace(services, clock=clock, seats=UNCOUNTED)
    password = services.settings.demo_password.reveal() if services.settings.demo_password else None
    names = [email for _, email, _ in people.users()] + [people.ADMIN]
    passwords = {name: password or services.random.text(15) for name in names}
    hashes = {}
    for done, (name, chosen) in enumerate(passwords.items()):
        progress("demo accounts", done, len(passwords))
        hashes[name] = await services.hasher.hash(chosen)

    def work(unit: SystemUnit) -> bool:
        if _is_filled(unit):
            return False  # another process was faster
        if installation_values.lock(unit, "demo"):
            raise Conflict("another process filled it")
        installation_values.put(unit, "demo", "filled")
        people.write(unit, past, hashes)
        return True

    try:
        if not await services.store.write(work):
            return None
    except Conflict:  # another process filled it between the check and the insert
        return None
    await story.happen(past, clock, passwords[people.ADMIN], progress)
    return passwords


def _is_filled(unit: SystemUnit) -> bool:
    is_empty = not (unit.first(_CLIENTS) or unit.first(_ADMINS))
    # Asked last: each statement may see more than the one before, and another process may have filled it meanwhile.
    if installation_values.get(unit, "demo"):
        return True
    if not is_empty:
        raise NotEmpty("--demo: the store is not empty and was not filled by --demo")
    return False


# The texts for the terminal.


_OTHERS = [(email, client) for client, email, _ in users()[1:]]


def welcome(base: str, passwords: dict[str, str]) -> str:
    """After the store was filled: what to open, the accounts, and commands to paste."""
    width = max(map(len, passwords))
    return "\n".join(
        [
            *_addresses(base),
            *(f"  {name.ljust(width)}  {password}" for name, password in passwords.items()),
            "",
            f"  `{ADMIN}` is the system admin; all others are users. Shown only now.",
            "",
            *_curl(base, passwords["author@acme.example"]),
            "",
        ]
    )


def welcome_again(base: str, command: str) -> str:
    """For a store that was filled before. ``command``: how the command line is called here."""
    return "\n".join(
        [
            *_addresses(base),
            "The store was filled before; its passwords were shown then. To get in again:",
            "",
            f"  {command} user link admin@acme.example --client acme",
            f"  {command} admin reset {ADMIN} --new-password",
            "",
            "The first prints a link to set a user's new password, the second a new password of the system admin.",
            "The other users, each with the client:",
            "",
            *(f"  {email} --client {client}" for email, client in _OTHERS),
            "",
            f"# Description of all routes: {base}/docs",
            "",
        ]
    )


def _addresses(base: str) -> list[str]:
    return [
        "",
        "Manifest Auth with demo data",
        "",
        f"Open {base}/sign-in in a browser and sign in as one of the users,",
        f"or {base}{console.PATH}, the console of the installation, as `{ADMIN}`.",
        "",
    ]


def _curl(base: str, password: str) -> list[str]:
    json = "-H 'Content-Type: application/json'"
    auth = f"{base}/api/client/auth"
    body = f'{{"email":"author@acme.example","password":"{password}"}}'
    pick = "python3 -c 'import json,sys; print(json.load(sys.stdin)[\"data\"][sys.argv[1]])'"
    bearer = '-H "Authorization: Bearer $TOKEN"'
    return [
        "# Sign in; the cookie goes into a file, the tokens into variables",
        f"ANSWER=$(curl -s -c cookies.txt {auth}/sign-in {json} -d '{body}'); echo \"$ANSWER\"",
        f'TOKEN=$(echo "$ANSWER" | {pick} token); REFRESH=$(echo "$ANSWER" | {pick} refreshToken)',
        "",
        "# Ask: by token, by cookie, by GraphQL",
        f"curl -s {auth}/me {bearer}",
        f"curl -s {auth}/me -b cookies.txt",
        f'curl -s {base}/api/client/graphql {bearer} {json} -d \'{{"query":"query {{ users {{ id email }} }}"}}\'',
        "",
        "# Refresh",
        f'curl -s {auth}/refresh {json} -d "{{\\"refreshToken\\":\\"$REFRESH\\"}}"',
        "",
        "# Sign out; token, refresh token and cookie are dead from then on",
        f"curl -s -X POST {auth}/sign-out {bearer}",
        "",
        f"# Description of all routes: {base}/docs",
    ]
