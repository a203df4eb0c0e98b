"""Refusals of sign-ins at a provider: reasons that several flows raise, the record of early ones, and their page."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Iterator
from typing import Any, TypeVar

import manifest_auth
from manifest_auth.audit import Event
from manifest_auth.errors import AccountDisabled, Marked, Reason, Refusal
from manifest_auth.services import RequestContext
from manifest_auth.text.languages import marked as _

T = TypeVar("T")
LONGEST_WHY = 1000
START_AGAIN = _("This sign-in has expired. Start again.")

# Reasons that several flows raise.
STATE_UNKNOWN = Reason(
    "state: unknown or expired",
    cause="The user stayed at the provider for more than ten minutes, used the back button, or bookmarked the "
    "redirect URI",
    cure="Start again at `startUrl`",
)
STATE_USED = STATE_UNKNOWN.also("state: already used")
STATE_TAKEN = STATE_UNKNOWN.also("state: used in the meantime")
OTHER_BROWSER = Reason(
    "state: from a different browser",
    cause="The browser didn't send the cookie: the browser or host name differs from the start, or cookies are "
    "blocked. SAML needs https, because its cookie must be `Secure`",
    cure="Start at the public address, and use https",
)
SWITCHED_OFF = Reason(
    "the provider is turned off", cause="An administrator changed the provider", cure="Turn it on, and start again"
)
CHANGED = SWITCHED_OFF.also("the provider was turned off, changed, or deleted in the meantime")
SUSPENDED = Reason("the client is suspended", cause="A system admin suspended the client", cure="Restore the client")
NO_CLIENT = Reason(
    "unknown client",
    cause="The name is unknown here, or none is given and several match",
    cure="Check `client` and `provider` of the start, or ask a system admin to [pin the "
    "name](../domains.md#names-of-providers)",
)
UNLISTED = Reason(
    "the return address was removed from the list in the meantime",
    cause="An administrator changed the list",
    cure="Check `returnAddresses`",
)


def other_browser(ctx: RequestContext) -> Marked:
    """Returns the message for a callback without the cookie of the start."""
    return _(
        "This sign-in started in a different browser, or not at %(address)s. Start again there with cookies allowed.",
        address=ctx.services.settings.public_url.rstrip("/"),
    )


class ClientRefusal(Exception):
    """A refusal raised in a unit of work that only reads, with the client whose audit trail records it."""

    def __init__(self, tenant_id: int, provider_id: int | None, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.tenant_id, self.provider_id, self.refusal = tenant_id, provider_id, refusal


async def recorded(ctx: RequestContext, method: str, reading: Awaitable[T]) -> T:
    """Returns the result of ``reading``. If that raises :class:`ClientRefusal`, records and raises the refusal."""
    try:
        return await reading
    except ClientRefusal as known:
        raise await refuse(ctx, method, known.tenant_id, known.provider_id, known.refusal) from known


async def refuse(
    ctx: RequestContext, method: str, tenant_id: int, provider_id: int | None, refusal: Refusal
) -> Refusal:
    """Records a refusal, and returns it for the caller to raise."""
    event = Event.SIGN_IN_REFUSED if isinstance(refusal, AccountDisabled) else Event.SIGN_IN_FAILED
    detail: dict[str, Any] = {"method": method, "why": refusal.reason[:LONGEST_WHY]}
    if provider_id is not None:
        detail["provider"] = provider_id
    limits = ctx.services.anonymous_limits
    await ctx.services.store.of(tenant_id).write(lambda unit: limits.record(unit, ctx, event, "", **detail))
    return refusal


#: The packages that declare reasons.
PACKAGES = ("protocols", "providers", "sign_in", "tenants")

_HEAD = """\
# Why a sign-in was rejected

<!-- Generated from the `Reason`s that modules of `src/manifest_auth` declare, by `./dev docs`; edit those instead. -->

Find the cause of a rejected sign-in at a provider, and how to solve it.

Users see one sentence. The reason is in the log (`refused`, with `reason`) and, if the client is known, in its audit
trail (`sign_in_failed` and `sign_in_refused`, `detail.why`). Both contain the request ID that the response shows. If
several rows match a `why`, use the first one.

| Start of `why` | Cause | Solution |
| --- | --- | --- |
"""


def declared() -> Iterator[Reason]:
    """Yield each reason, module by module."""
    for package in PACKAGES:
        within = f"{manifest_auth.__name__}.{package}"
        for module in pkgutil.walk_packages(importlib.import_module(within).__path__, f"{within}."):
            found = vars(importlib.import_module(module.name)).values()
            yield from (value for value in found if isinstance(value, Reason))


def reasons_page() -> str:
    """Returns the page (Markdown), with a row for each cause in alphabetical order, so that ``…`` comes last."""
    rows: dict[tuple[str, str], set[str]] = {}
    for reason in declared():
        rows.setdefault((reason.cause, reason.cure), set()).add(reason.text)
    table = sorted((sorted(texts, key=str.casefold), *why) for why, texts in rows.items())
    return _HEAD + "".join(
        f"| {', '.join(f'`{text}`' for text in texts)} | {cause} | {cure} |\n" for texts, cause, cure in table
    )
