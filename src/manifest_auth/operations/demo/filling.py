"""Fills an empty store: the accounts in one transaction, then what they did since."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from sqlalchemy import func, select

from manifest_auth.errors import Conflict
from manifest_auth.licence import UNCOUNTED
from manifest_auth.operations.demo import accounts, story
from manifest_auth.operations.demo.clock import PastClock
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
    tools = services.account_tools._replace(seats=UNCOUNTED)
    past = dataclasses.replace(services, clock=clock, account_tools=tools)
    password = services.settings.demo_password.reveal() if services.settings.demo_password else None
    names = [email for _, email, _ in accounts.users()] + [accounts.ADMIN]
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
        accounts.write(unit, past, hashes)
        return True

    try:
        if not await services.store.write(work):
            return None
    except Conflict:  # another process filled it between the check and the insert
        return None
    await story.happen(past, clock, passwords[accounts.ADMIN], progress)
    return passwords


def _is_filled(unit: SystemUnit) -> bool:
    is_empty = not (unit.first(_CLIENTS) or unit.first(_ADMINS))
    # Asked last: each statement may see more than the one before, and another process may have filled it meanwhile.
    if installation_values.get(unit, "demo"):
        return True
    if not is_empty:
        raise NotEmpty("--demo: the store is not empty and was not filled by --demo")
    return False
