"""The question that a sign-in under way waits for, as pages show it."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import tenants
from manifest_auth.accounts.factors.challenges import Pending
from manifest_auth.accounts.users import User
from manifest_auth.protocols import totp
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.second_factor import gate
from manifest_auth.sign_in.second_factor.open_challenges import open_challenge, pending_of
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant


class WaitingApp(NamedTuple):
    """An authenticator app that waits for its first code. ``secret``: base32; ``uri``: the address of its QR code."""

    secret: str
    uri: str


class Question(NamedTuple):
    """What a sign-in under way waits for. ``members``: that can answer, the one that was used last first; ``enrols``: a
    factor has to be enrolled, by one of ``methods``; ``app``: that is being enrolled; ``trusted_days``: 0
    where no browser can be trusted; ``pending`` and ``provider_id``: as in :class:`.continuing.Finished`."""

    tenant: Tenant
    user: User
    pending: Pending
    provider_id: int | None
    members: tuple[str, ...]
    enrols: bool
    methods: tuple[str, ...]
    app: WaitingApp | None
    trusted_days: int


async def look(ctx: RequestContext, text: str) -> Question:
    """What the challenge asks for; changes nothing. Raises InvalidToken, TokenExpired, AccountDisabled."""

    def work(unit: SystemUnit) -> Question:
        challenge, tenant, user = open_challenge(unit, ctx, text)
        settings = tenants.settings_of(tenant.settings)
        pending = pending_of(ctx, challenge)
        return Question(
            tenant=tenant,
            user=user,
            pending=pending,
            provider_id=challenge.provider_id,
            members=() if challenge.enrols else gate.answers_by_use(unit.of(tenant.id), ctx, user),
            enrols=bool(challenge.enrols),
            methods=gate.methods_of(ctx, settings),
            app=_app(pending.totp, tenant, user) if pending.totp else None,
            trusted_days=settings.second_factor.trusted_days,
        )

    return await ctx.services.store.read(work)


def _app(secret: str, tenant: Tenant, user: User) -> WaitingApp:
    return WaitingApp(secret, totp.address(secret, user.email, tenants.shown_name(tenant)))
