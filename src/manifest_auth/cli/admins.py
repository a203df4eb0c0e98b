"""``admin reset NAME``: for system admins who cannot get in, and whom no other system admin can help."""

from __future__ import annotations

import argparse
from typing import Any

from manifest_auth import admins, audit, settings
from manifest_auth.admins import managing, second_factor
from manifest_auth.app import build_house, opened
from manifest_auth.audit import Event
from manifest_auth.cli.commands import Refused, origin_of
from manifest_auth.store import SystemUnit


def add_to(actions: Any) -> None:
    """Adds the command to those of ``admin``."""
    reset = actions.add_parser(
        "reset", help="take a system admin's second factor away and end the sessions, for one who cannot get in"
    )
    reset.add_argument("name")
    reset.add_argument("--new-password", action="store_true", help="make a random password, and show it once")
    reset.add_argument("--enable", action="store_true", help="let a disabled one in again")
    reset.set_defaults(run=admin_reset)


async def admin_reset(given: argparse.Namespace) -> None:
    """Says what was done."""
    async with opened(build_house(settings.load()), hashing=given.new_password) as house:
        password = house.random.text(18) if given.new_password else None
        stored = await house.hasher.hash(password) if password else None
        origin = origin_of(house)

        def work(unit: SystemUnit) -> list[str]:
            found = admins.find(unit, given.name)
            if found is None:
                raise Refused(f"there is no system admin {given.name}")
            admin, subject, done = admins.get_locked(unit, found.id), f"admin:{found.id}", []
            ended = managing.end_all(unit, admin.id, "reset", origin.at)
            if second_factor.remove(unit, admin.id):
                audit.record_installation(unit, origin, Event.SECOND_FACTOR_REMOVED, subject, sessions_ended=ended)
                done.append("the second factor is gone")
            if stored:
                managing.set_password(unit, admin.id, stored)
                audit.record_installation(unit, origin, Event.ADMIN_PASSWORD_RESET, subject, sessions_ended=ended)
                done.append("the password is a new one")
            if given.enable and admin.disabled_at is not None:
                managing.enable(unit, admin)
                detail = {"before": {"disabled": True}, "after": {"disabled": False}}
                audit.record_installation(unit, origin, Event.ADMIN_ENABLED, subject, **detail)
                done.append("the account is enabled")
            audit.record_installation(unit, origin, Event.SIGNED_OUT_ALL, subject, sessions=ended)
            return [*done, f"{ended} sessions were ended"]

        said = await house.store.write(work)
    print(f"System admin {given.name}: {', '.join(said)}.")
    if password:
        print(password)
