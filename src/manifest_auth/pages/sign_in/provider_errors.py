"""A sign-in through a provider that failed, as a page: whose provider it was, and the client's other ways in."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import urlencode

from manifest_auth import providers, tenants
from manifest_auth.errors import AccountDisabled, NotFound, ProviderUnavailable, Refusal, SsoFailed
from manifest_auth.http import Answer, Head, refuse
from manifest_auth.http.request import prefers_html
from manifest_auth.pages import brands, errors
from manifest_auth.pages.call import PRODUCT, Brand, Link
from manifest_auth.pages.routing import SIGN_IN
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.kinds import KINDS, start_address
from manifest_auth.store import StoreUnavailable, SystemUnit
from manifest_auth.tenants import Tenant
from manifest_auth.text.languages import Words, catalogue, shown

_TRIED = "tried"  # where a request keeps what it named
_SAYS_MORE = (SsoFailed, ProviderUnavailable, AccountDisabled)


class Tried(NamedTuple):
    """What a request to begin or end such a sign-in names, none of it proved. ``state``: of the sign-in under way."""

    client: str = ""
    provider: str = ""
    state: str = ""


class _FailedSignIn(NamedTuple):
    tenant: Tenant
    provider: Provider | None
    others: list[Provider]
    return_to: str


def note(ctx: RequestContext, tried: Tried) -> None:
    """Stores in the request what it names, for the page of its refusal."""
    ctx.loaded[_TRIED] = tried


async def page_or_envelope(
    ctx: RequestContext, refusal: Refusal, head: Head, *, parameters: Collection[str] = ()
) -> Answer[None]:
    """A page where a browser asks, the envelope for programs. ``parameters``: names that the page may show."""
    if not prefers_html(head.accept):
        return refuse(refusal, ctx.request_id)
    tried: Tried | None = ctx.loaded.get(_TRIED)
    found = await _find(ctx, tried) if tried is not None and isinstance(refusal, _SAYS_MORE) else None
    if found is None:
        t = _words(ctx, head, PRODUCT)
        way = Link(SIGN_IN, t.gettext("Go to sign-in"))
        advice = _advice(refusal, t)
        return await errors.page_of(ctx, refusal, head, way=way, advice=advice, parameters=parameters)
    return await _page(ctx, refusal, head, found)


async def _find(ctx: RequestContext, tried: Tried) -> _FailedSignIn | None:
    """Client and provider, by the sign-in that is under way, else by their names."""

    def work(unit: SystemUnit) -> _FailedSignIn | None:
        flow = sign_in_flows.find_by_state(unit, tried.state, ctx.now) if tried.state else None
        tenant = tenants.get(unit, flow.tenant_id) if flow else tenants.find(unit, tried.client)
        if tenant is None:
            return None
        listed = providers.list_all(unit.of(tenant.id))
        own = next((p for p in listed if (p.id == flow.provider_id if flow else p.name == tried.provider)), None)
        others = [p for p in listed if p.disabled_at is None and p is not own and KINDS[p.kind].start]
        return _FailedSignIn(tenant, own, others, flow.return_to if flow and flow.response == "cookie" else "")

    try:
        return await ctx.services.store.read(work)
    except (NotFound, StoreUnavailable):
        return None


async def _page(ctx: RequestContext, refusal: Refusal, head: Head, found: _FailedSignIn) -> Answer[None]:
    brand, client = brands.of_client(found.tenant), found.tenant.identifier
    t = _words(ctx, head, brand)
    asked = {"client": client, **({"returnTo": found.return_to} if found.return_to else {})}
    again = Link(f"{SIGN_IN}?{urlencode(asked)}", t.gettext("Try again"))
    others = []
    for provider in found.others:
        href = start_address(ctx, client, provider.kind, provider.name)
        if href and found.tenant.suspended_at is None:
            more = f"&{urlencode({'returnTo': found.return_to})}" if found.return_to else ""
            text = t.gettext("Continue with %(provider)s") % {"provider": provider.display_name or provider.name}
            others.append(Link(href + more, text))
    title = ""
    if isinstance(refusal, SsoFailed) and found.provider is not None:
        name = found.provider.display_name or found.provider.name
        title = t.gettext("Sign-in through %(provider)s did not work") % {"provider": name}
    advice = _advice(refusal, t)
    return await errors.page_of(
        ctx, refusal, head, way=again, others=tuple(others), title=title, advice=advice, brand=brand
    )


def _words(ctx: RequestContext, head: Head, brand: Brand) -> Words:
    return catalogue(errors.language_of(ctx, head, brand))


def _advice(refusal: Refusal, t: Words) -> str:
    """Why the sign-in failed, as a sentence; empty where the refusal says no more than its code."""
    if not isinstance(refusal, SsoFailed) or refusal.message == refusal.sentence:
        return ""
    text = shown(refusal.message, t)
    return text if text.endswith((".", "。")) else f"{text}."  # those of JSON may lack it
