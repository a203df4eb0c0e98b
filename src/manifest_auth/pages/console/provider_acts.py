"""``/console/providers/{name}/…``: what is done with a provider: tested, tried, switched, deleted."""

from __future__ import annotations

import msgspec

from manifest_auth import accounts, providers
from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer, flow_cookie, redirect
from manifest_auth.http import page as with_policy
from manifest_auth.operations.providers import trying
from manifest_auth.operations.providers.delete import delete
from manifest_auth.operations.providers.diagnose import diagnose, verdict
from manifest_auth.operations.providers.save import prepare_key, switch
from manifest_auth.pages import said, security
from manifest_auth.pages.call import PageCall, View, found, see_other
from manifest_auth.pages.console.provider import ONE, overview
from manifest_auth.pages.console.provider_load import load, settings_page, view
from manifest_auth.pages.console.provider_views import LIST, DeleteView, TestView, findings_of, path_of, try_view
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.provider_tries import Tried
from manifest_auth.throttle.limits import FLOW_LIFE_S


class BackForm(msgspec.Struct, frozen=True):
    """``back``: ``list`` where the button stands in the list."""

    back: str = ""


class DeleteForm(msgspec.Struct, frozen=True):
    """``typed``: the name, so that no slip deletes another one."""

    typed: str = ""


async def _test(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    """Shows at once what was found: nothing changes, so a reload may do it again."""
    one = await load(ctx, call.path["name"])
    found = [each async for each in diagnose(ctx, ctx.user.client, one.provider, by_admin=accounts.is_admin(ctx))]
    return await view(ctx, TestView(one.head("test"), findings_of(found), verdict(found)))


async def _try(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    """A link and no form: browsers hold ``form-action`` against each redirect behind a form. A link that is not known
    to be ours shows the page with the button."""
    name = call.path["name"]
    back = f"{path_of(name)}?step=try"
    if not security.is_followed_here(ctx, call.head):
        await load(ctx, name)
        return found(back)
    started = await trying.begin(ctx, name, back)
    if isinstance(started, Tried):
        one = await load(ctx, name)
        return await view(ctx, try_view(one.head("try"), started))
    begun, settings = started.start.begun, ctx.services.settings
    cookie = flow_cookie(begun.cookie, begun.browser, FLOW_LIFE_S, settings, cross_site=started.cross_site)
    if started.start.page is not None:
        return with_policy(*started.start.page, headers=(cookie,))
    return redirect(started.start.address, headers=(cookie,))


async def _switch_on(ctx: RequestContext, call: PageCall[BackForm]) -> View | Answer[None]:
    return await _switched(ctx, call, on=True)


async def _switch_off(ctx: RequestContext, call: PageCall[BackForm]) -> View | Answer[None]:
    return await _switched(ctx, call, on=False)


async def _switched(ctx: RequestContext, call: PageCall[BackForm], *, on: bool) -> Answer[None]:
    name, by_admin = call.path["name"], accounts.is_admin(ctx)
    await ctx.store.write(lambda unit: switch(unit, ctx, name, on=on, by_admin=by_admin))
    return see_other(LIST if call.fields.back == "list" else path_of(name))


async def _rotate(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    name = call.path["name"]
    provider = await ctx.store.read(lambda unit: providers.get(unit, name))
    await ctx.store.write(await prepare_key(ctx, ctx.user.client, provider, by_admin=accounts.is_admin(ctx)))
    return said.after(ctx, f"{path_of(name)}?step=ours", "saved")


async def _ask(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    one = await load(ctx, call.path["name"])
    people = await ctx.store.read(lambda unit: providers.count_people(unit, one.provider.id))
    return await view(ctx, DeleteView(one.head("delete"), people))


async def _delete(ctx: RequestContext, call: PageCall[DeleteForm]) -> View | Answer[None]:
    name = call.path["name"]
    await load(ctx, name)
    if call.fields.typed.strip() != name:
        raise ValidationError(details=[("typed", "Not the name of this provider")])
    tenant_id = ctx.user.tenant_id
    await delete(ctx, lambda unit: unit.of(tenant_id), name, by_admin=accounts.is_admin(ctx))
    return see_other(LIST)


async def _overview_again(ctx: RequestContext, call: PageCall[BackForm]) -> View | Answer[None]:
    one = await load(ctx, call.path["name"])
    return await overview(ctx, one, one.head(""))


ROUTES = (
    settings_page(
        "POST",
        f"{ONE}/test",
        _test,
        "console/provider_test.html",
        "Talk to a provider and say what is wrong",
        form_at=f"{ONE}?step=test",
    ),
    settings_page(
        "GET", f"{ONE}/try", _try, "console/provider_try.html", "Try a provider: sign in there, to no effect"
    ),
    settings_page(
        "POST",
        f"{ONE}/switch-on",
        _switch_on,
        "console/provider.html",
        "Switch a provider on",
        again=_overview_again,
        form_at=ONE,
    ),
    settings_page(
        "POST",
        f"{ONE}/switch-off",
        _switch_off,
        "console/provider.html",
        "Switch a provider off",
        again=_overview_again,
        form_at=ONE,
    ),
    settings_page(
        "POST",
        f"{ONE}/rotate-key",
        _rotate,
        "console/provider.html",
        "A new key of ours for a provider",
        again=_overview_again,
        form_at=f"{ONE}?step=ours",
    ),
    settings_page("GET", f"{ONE}/delete", _ask, "console/provider_delete.html", "Asks whether to delete a provider"),
    settings_page("POST", f"{ONE}/delete", _delete, "console/provider_delete.html", "Delete a provider", again=_ask),
)
