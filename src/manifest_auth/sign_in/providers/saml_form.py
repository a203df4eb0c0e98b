"""A SAML request that is posted, for a sign-in that began with a POST of ours: such an answer can name an address to go
to, and no page. So the page has an address of its own, which only the browser that began may open."""

from __future__ import annotations

from collections.abc import Callable

from manifest_auth import providers, tenants
from manifest_auth.errors import SsoFailed
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import Flow
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import saml
from manifest_auth.store import SystemUnit

PATH = f"{saml.PATH}/form"


def address(ctx: RequestContext, state: str) -> str:
    """Where the page of a sign-in under way is."""
    return f"{ctx.services.settings.public_url.rstrip('/')}{PATH}?state={state}"


async def page_of(ctx: RequestContext, state: str, cookie_of: Callable[[str], str | None]) -> tuple[bytes, str]:
    """The page that posts the request, and its content security policy. Raises SsoFailed for a sign-in that another
    browser began, or that needs no page."""

    def work(unit: SystemUnit) -> tuple[Flow, Provider, str]:
        flow = sign_in_flows.find_by_state(unit, state, ctx.now)
        if flow is None or not flow.is_from(cookie_of(flow.cookie)):
            raise SsoFailed(reason="no open request of this browser")
        provider = providers.get_by_id(unit.of(flow.tenant_id), flow.provider_id)
        return flow, provider, tenants.get(unit, flow.tenant_id).identifier

    flow, provider, client = await ctx.services.store.read(work)
    rules = provider.rules.saml
    if flow.request_id is None or rules is None or not rules.post_url:
        raise SsoFailed(reason="the provider takes no posted requests")
    found = saml.request_to(ctx, provider, client, flow.request_id, state, posts=True)
    assert not isinstance(found, str)
    return found
