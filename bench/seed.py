"""``python -m bench.seed COUNT [--strict]``: a client and its users in the store that the settings name.

All users have one password and one hash of it, so that this takes one hash, not one for each of them. ``--strict``
makes the client's refresh tokens single-use (``strict``). Settings: ``MANIFEST_…``, as for the server.
"""

from __future__ import annotations

import argparse
import asyncio

from manifest_auth import tenants
from manifest_auth.accounts import users
from manifest_auth.app import build_services, opened
from manifest_auth.licence import UNCOUNTED
from manifest_auth.permissions import Role, mask_of
from manifest_auth.runtime import settings
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import TenantSettings

PASSWORD = "Bench-pass-2026!"
CLIENT = "bench"


def email(number: int) -> str:
    return f"user{number}@bench.example.com"


async def seed(count: int, *, strict: bool = False) -> None:
    """Fills the store; one that holds the client already is left as it is."""
    async with opened(build_services(settings.load())) as services:
        if await services.store.read(lambda unit: tenants.find(unit, CLIENT)) is not None:
            return
        stored = await services.hasher.hash(PASSWORD)

        def work(unit: SystemUnit) -> None:
            now = services.clock.now_ms()
            tenant = tenants.create(unit, CLIENT, "Bench", TenantSettings(refresh_strict=strict), now)
            for number in range(count):
                users.create(
                    unit.of(tenant.id),
                    UNCOUNTED,
                    email=email(number),
                    first_name="User",
                    last_name=str(number),
                    title="",
                    roles=mask_of([Role.OPERATOR]),
                    password_hash=stored,
                    now=now,
                )

        await services.store.write(work)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--strict", action="store_true")
    given = parser.parse_args()
    asyncio.run(seed(given.count, strict=given.strict))
