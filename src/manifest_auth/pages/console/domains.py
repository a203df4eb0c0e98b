"""``/console/domains``: email domains and Microsoft directories that the client claims."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import msgspec

from manifest_auth.clients import domain_checks
from manifest_auth.http import Answer, flow_cookie
from manifest_auth.pages import brands, flash
from manifest_auth.pages.call import PageCall, View, chosen
from manifest_auth.pages.routing import settings_page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import directory_proof
from manifest_auth.sign_in.directory_proof import ProveData
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.tenants.claims import directories, domains
from manifest_auth.text.languages import marked as _

PATH = "/console/domains"
_MOST = 100  # the maximum that a client can claim
DONE = {
    "claimed": _("Domain added. Add its TXT record to your DNS, and then verify the domain."),
    "proved": _("Domain verified."),
    "released": _("Domain released."),
    "claimed-directory": _("Directory added. An administrator of the directory must sign in once to verify it."),
    "released-directory": _("Directory released."),
}


class DomainsForm(msgspec.Struct, frozen=True):
    """The form of the page. ``act``: which form it is."""

    act: str = ""
    domain: str = ""
    directory: str = ""
    cloud: str = ""


async def _show(ctx: RequestContext, call: PageCall[DomainsForm | None]) -> View | Answer[None]:
    return await _view(ctx, typed=call.fields)


async def _view(
    ctx: RequestContext,
    *,
    typed: DomainsForm | None = None,
    looked: str = "",
    why: str = "",
    proof: ProveData | None = None,
) -> View:
    def work(unit: TenantUnit) -> SimpleNamespace:
        rows, _ = domains.LISTING.read(unit, _MOST, "", "ID", Filters())
        claimed, _ = directories.LISTING.read(unit, _MOST, "", "DIRECTORY", Filters())
        return SimpleNamespace(
            domains=rows,
            directories=claimed,
            is_looking=ctx.services.domain_records.is_on,
            typed=typed or DomainsForm(),
            looked=looked,
            why=why,
            proof=proof,
        )

    return await brands.shown(ctx, work)


async def _act(ctx: RequestContext, call: PageCall[DomainsForm]) -> View | Answer[None]:
    outcome = await chosen(_ACTS, call.fields.act)(ctx, call, call.fields)
    return flash.after(ctx, PATH, outcome) if isinstance(outcome, str) else outcome


async def _claim(ctx: RequestContext, call: PageCall[DomainsForm], form: DomainsForm) -> str:
    domain, random = form.domain.strip().lower(), ctx.services.random
    await ctx.store.write(lambda unit: domains.claim(unit, ctx, domain, random))
    return "claimed"


async def _check(ctx: RequestContext, call: PageCall[DomainsForm], form: DomainsForm) -> str | View:
    claim, why = await domain_checks.check_now(ctx, ctx.user.tenant_id, form.domain)
    if claim.counts and not why:
        return "proved"
    return await _view(ctx, looked=claim.domain, why=claim.why_not_proved(why))


async def _release(ctx: RequestContext, call: PageCall[DomainsForm], form: DomainsForm) -> str:
    tenant_id = ctx.user.tenant_id
    await ctx.services.store.write(lambda unit: domains.release(unit, tenant_id, ctx, form.domain))
    return "released"


async def _claim_directory(ctx: RequestContext, call: PageCall[DomainsForm], form: DomainsForm) -> str:
    await ctx.store.write(lambda unit: domain_checks.claim_directory(unit, ctx, form.directory.strip(), form.cloud))
    return "claimed-directory"


async def _release_directory(ctx: RequestContext, call: PageCall[DomainsForm], form: DomainsForm) -> str:
    await ctx.store.write(lambda unit: directories.release(unit, ctx, form.directory))
    return "released-directory"


async def _prove(ctx: RequestContext, call: PageCall[DomainsForm], form: DomainsForm) -> View:
    """Starts verification of a directory. The way to Microsoft is a link on a page, not a redirect, because browsers
    don't let a form redirect to another site, and the page first shows what the administrator will confirm."""
    data, begun = await directory_proof.begin(ctx, form.directory.lower(), PATH)
    settings = ctx.services.settings
    call.headers.append(flow_cookie(begun.cookie, begun.browser, directory_proof.LIFE_S, settings, cross_site=False))
    return await _view(ctx, proof=data)


_ACTS: dict[str, Callable[[RequestContext, PageCall[DomainsForm], DomainsForm], Awaitable[str | View]]] = {
    "claim": _claim,
    "check": _check,
    "release": _release,
    "claim-directory": _claim_directory,
    "release-directory": _release_directory,
    "prove": _prove,
}
_TEMPLATE = "console/domains.html"
ROUTES = (
    settings_page("GET", PATH, _show, _TEMPLATE, "Claimed domains and directories", said=DONE),
    settings_page("POST", PATH, _act, _TEMPLATE, "Claim, verify, and release domains and directories"),
)
