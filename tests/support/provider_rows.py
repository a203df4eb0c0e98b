"""A client's providers and identities as the store holds them, with their sealed values opened."""

from __future__ import annotations

from typing import Any

from manifest_auth import providers, tenants
from manifest_auth.errors import Conflict
from manifest_auth.providers import LinkedBy, Provider, ProviderEmail, Secrets
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.sign_in.providers.kinds import settings_of
from manifest_auth.store import TenantUnit
from tests.support.application import App
from tests.support.jobs import within
from tests.support.team import Team


async def stored(app: App, client: str, name: str) -> Provider:
    """The provider's row."""

    def work(unit: Any) -> Provider:
        tenant = tenants.find(unit, client)
        assert tenant is not None
        return providers.get(unit.of(tenant.id), name)

    return await app.services.store.read(work)


def opened(app: App, row: Provider) -> Secrets | None:
    """What is sealed in a row; None: it does not open there."""
    try:
        return providers.open_secrets(app.services.sealer, row)
    except CannotOpen:
        return None


def unsealed(app: App, sealed: bytes, name: str) -> bytes | None:
    """What was sealed under a name; None: it does not open under this one."""
    try:
        return app.services.sealer.open(sealed, name)
    except CannotOpen:
        return None


async def add_past_the_server(app: App, name: str, like: Provider) -> bool:
    """Adds a provider as ``provider add`` does, in a process of its own; False: there are too many."""

    def work(unit: TenantUnit) -> Provider:
        now = app.services.clock.now_ms()
        return providers.create(
            unit, app.services.sealer, name, "P", settings_of(like), Secrets(), by_admin=True, now=now
        )

    try:
        await app.services.store.of(like.tenant_id).write(work)
    except Conflict:
        return False
    return True


async def link(team: Team, provider_id: int, subject: str, user_id: int) -> int:
    """The id of a new identity of a user."""
    nowhere = ProviderEmail("", vouched=False)
    return await within(
        team, lambda unit: providers.link(unit, provider_id, subject, user_id, LinkedBy.CREATED, nowhere, 0, 1).id
    )
