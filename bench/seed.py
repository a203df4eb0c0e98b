"""``python -m bench.seed COUNT [--strict] [--sessions COUNT --tokens FILE] [--app FILE]``: adds a client with users.

Fills the store that the settings name. All users share one password and its hash, so only one hash is computed.
``--strict`` makes the client's refresh tokens single-use (``strict``). ``--sessions`` adds this many users with an open
session each, and writes their access tokens to FILE, one per line. ``--app`` creates an app, and writes its ID and
secret to FILE. Settings are the server's ``MANIFEST_…`` variables.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from manifest_auth import audit, sessions, tenants
from manifest_auth.accounts import apps, users
from manifest_auth.accounts.users import User
from manifest_auth.context import ANONYMOUS, SYSTEM, Origin, Request
from manifest_auth.licence import UNCOUNTED
from manifest_auth.maintenance.startup import build_services, opened
from manifest_auth.permissions import Role, mask_of
from manifest_auth.runtime import settings
from manifest_auth.services import RequestContext, Services
from manifest_auth.sessions import tokens
from manifest_auth.sessions.sessions import SessionProof
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import TenantSettings

PASSWORD = "Bench-pass-2026!"
CLIENT = "bench"
CALLBACK = "https://app.example.com/callback"
_STEP = 250  # users per unit of work, which times out after eight seconds on PostgreSQL


def email(number: int) -> str:
    return f"user{number}@bench.example.com"


async def seed(count: int, *, strict: bool = False, with_session: int = 0) -> list[str]:
    """Fills the store, unless it already has the client. Returns the access tokens of the sessions."""
    found: list[str] = []
    async with opened(build_services(settings.load())) as services:
        if await services.store.read(lambda unit: tenants.find(unit, CLIENT)) is not None:
            return found
        origin = Origin(services.clock.now_ms(), "system", "", "bench")
        stored = await services.hasher.hash(PASSWORD)

        def begin(unit: SystemUnit) -> int:
            tenant = tenants.create(unit, CLIENT, "Bench", TenantSettings(refresh_strict=strict), origin.at)
            audit.record_creation(unit, tenant.id, origin, identifier=CLIENT)
            for number in range(count):
                _user(unit.of(tenant.id), number, stored, origin)
            return tenant.id

        tenant_id = await services.store.write(begin)
        for first in range(count, count + with_session, _STEP):
            numbers = range(first, min(first + _STEP, count + with_session))
            found += await services.store.of(tenant_id).write(
                lambda unit: [_session(unit, services, number, stored, origin) for number in numbers]  # noqa: B023 - awaited
            )
    return found


def _user(unit: TenantUnit, number: int, stored: str, origin: Origin) -> User:
    return users.create(
        unit,
        UNCOUNTED,
        email=email(number),
        first_name="User",
        last_name=str(number),
        title="",
        roles=mask_of([Role.OPERATOR]),
        password_hash=stored,
        now=origin.at,
    )


def _session(unit: TenantUnit, services: Services, number: int, stored: str, origin: Origin) -> str:
    """Opens a session for a new user. Returns its access token."""
    user, now = _user(unit, number, stored, origin), origin.at
    request = Request(services.clock, origin.request_id, "127.0.0.1", "bench", ANONYMOUS)
    opened = sessions.open_session(
        unit, request, user.id, "password", None, SessionProof(("pwd",), now), random=services.random, most_s=86_400
    )
    kind = tokens.users_kind(services.tokens, 86_400)
    subject = tokens.Subject(opened.session_id, user.id, CLIENT, opened.ends_at)
    return tokens.pair(services.tokens, kind, subject, opened.refresh_id, None, now).token


async def add_app() -> str:
    """Creates an app of the client. Returns its ID and a secret."""
    async with opened(build_services(settings.load())) as services:
        request = RequestContext(services, "bench", "", "", SYSTEM)
        given = {"name": "Bench", "redirect_uris": [CALLBACK], "scopes": ["profile", "email", "templates:read"]}

        def add(unit: SystemUnit) -> str:
            tenant = tenants.find(unit, CLIENT)
            assert tenant is not None, "seed() made it"
            bound = unit.of(tenant.id)
            app = apps.create_app(bound, request, "web", given)
            return f"{app.id} {apps.create_secret(bound, request, app.id).text}"

        return await services.store.write(add)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--sessions", type=int, default=0)
    parser.add_argument("--tokens", type=Path)
    parser.add_argument("--app", type=Path)
    given = parser.parse_args()
    issued = asyncio.run(seed(given.count, strict=given.strict, with_session=given.sessions))
    if given.tokens:
        given.tokens.write_text("".join(f"{token}\n" for token in issued))
    if given.app:
        given.app.write_text(asyncio.run(add_app()))
