"""Refusals of a sign-in at a provider that come early, while the client is known already: its trail shows them, within
the budget of audit events, and the person reads what to do."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from manifest_auth.audit import Event
from manifest_auth.errors import AccountDisabled, Refusal
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit

T = TypeVar("T")
LONGEST_WHY = 1000
START_AGAIN = "This sign-in is over, start again"


def other_browser(ctx: RequestContext) -> str:
    """What is said where the cookie of the start did not come back."""
    address = ctx.services.settings.public_url.rstrip("/")
    return f"This sign-in began in another browser, or not at {address}; start again there, with cookies allowed"


class OfClient(Exception):
    """A refusal in a unit of work that only reads, and whose it is."""

    def __init__(self, tenant_id: int, provider_id: int | None, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.tenant_id, self.provider_id, self.refusal = tenant_id, provider_id, refusal


async def told(ctx: RequestContext, method: str, reading: Awaitable[T]) -> T:
    """The outcome of ``reading``. Where that raises :class:`OfClient`, the client's trail is told, and the refusal is
    raised."""
    try:
        return await reading
    except OfClient as known:
        raise await refuse(ctx, method, known.tenant_id, known.provider_id, known.refusal) from known


async def refuse(
    ctx: RequestContext, method: str, tenant_id: int, provider_id: int | None, refusal: Refusal
) -> Refusal:
    """Records a refusal; hands it back to be raised."""
    event = Event.SIGN_IN_REFUSED if isinstance(refusal, AccountDisabled) else Event.SIGN_IN_FAILED
    detail: dict[str, Any] = {"method": method, "why": refusal.reason[:LONGEST_WHY]}
    if provider_id is not None:
        detail["provider"] = provider_id

    def work(unit: TenantUnit) -> None:
        ctx.services.anonymous_limits.record(unit, ctx, event, "", **detail)

    await ctx.services.store.of(tenant_id).write(work)
    return refusal
