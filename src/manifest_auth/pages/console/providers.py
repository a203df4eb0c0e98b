"""``/console/providers``: the list, and how one is made.

It is made switched off, with the wizard's second step.
"""

from __future__ import annotations

import msgspec

from manifest_auth import providers
from manifest_auth.clients.providers.changes import prepare
from manifest_auth.clients.providers.models import ProviderBody
from manifest_auth.clients.providers.recent_activity import recent_activity
from manifest_auth.errors import NotFound
from manifest_auth.http import Answer
from manifest_auth.pages.call import PageCall, View, see_other
from manifest_auth.pages.console import provider_views
from manifest_auth.pages.console.provider import at_fields, theirs, view
from manifest_auth.pages.console.provider_kinds import BY_KEY, PRESETS, Preset
from manifest_auth.pages.console.provider_views import (
    LIST,
    NEW,
    ChooseView,
    Head,
    ListView,
    OursView,
    TheirsForm,
    TheirsView,
    new_steps,
    path_of,
)
from manifest_auth.pages.routing import settings_page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.text.models import convert


class NewQuery(msgspec.Struct, frozen=True):
    preset: str = ""
    name: str = ""
    step: str = ""


async def _list(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    found = await ctx.store.read(providers.list_all)
    known = await recent_activity(ctx) if found else {}
    return await view(ctx, ListView(found, known))


async def _new(ctx: RequestContext, call: PageCall[NewQuery]) -> View | Answer[None]:
    asked = call.fields
    if not asked.preset:
        return await view(ctx, ChooseView(PRESETS))
    preset = _preset(asked.preset)
    name = asked.name.strip()
    if not name:
        name = await ctx.store.read(lambda unit: _free(preset.name, {one.name for one in providers.list_all(unit)}))
    with at_fields():
        providers.check_provider_name(name)
    if asked.step == "theirs":
        values = _beginning(preset)
        shown = provider_views.shown(preset.kind, values, has_secret=False)
        display_name = ctx.user.client_name if preset.is_generic else preset.title
        return await view(ctx, _theirs(preset, name, display_name, shown), "console/provider_theirs.html")
    ours = KINDS[preset.kind].values_by_name(ctx, ctx.user.client, name)
    return await view(ctx, OursView(_head(preset, name, "ours"), ours), "console/provider_ours.html")


async def _make(ctx: RequestContext, call: PageCall[TheirsForm]) -> View | Answer[None]:
    form, preset = call.fields, _preset(call.fields.preset)
    members = {"name": form.name, "enabled": False, **preset.rules, **await theirs(ctx, preset.kind, form)}
    with at_fields():
        body = convert(members, ProviderBody)
        made = await ctx.store.write(await prepare(ctx, ctx.user.client, body))
    return see_other(f"{path_of(made.name)}?step=rules")


async def _make_again(ctx: RequestContext, call: PageCall[TheirsForm]) -> View | Answer[None]:
    form, preset = call.fields, _preset(call.fields.preset)
    shown = provider_views.shown_again(preset.kind, form, has_secret=False)
    return await view(ctx, _theirs(preset, form.name, form.displayName, shown))


def _preset(key: str) -> Preset:
    found = BY_KEY.get(key)
    if found is None:
        raise NotFound(reason="no such preset")
    return found


def _free(name: str, taken: set[str]) -> str:
    """A name that no provider has."""
    return next(one for one in (name, *(f"{name}-{number}" for number in range(2, 99))) if one not in taken)


def _beginning(preset: Preset) -> dict[str, object]:
    """What the fields begin with: the defaults of the kind, and those of the preset."""
    fields = msgspec.structs.fields(KINDS[preset.kind].settings)
    usual = {one.encode_name: one.default for one in fields if one.default is not msgspec.NODEFAULT}
    given = preset.values.get(preset.kind, {})
    return {preset.kind: {**msgspec.to_builtins(usual), **given}}


def _head(preset: Preset, name: str, step: str) -> Head:
    steps = new_steps(preset, name, signs_in=bool(KINDS[preset.kind].start))
    return Head(name=name, display_name=preset.title, preset=preset, path=NEW, steps=steps, current=step, is_new=True)


def _theirs(preset: Preset, name: str, display_name: str, shown: tuple[provider_views.FieldView, ...]) -> TheirsView:
    return TheirsView(
        head=_head(preset, name, "theirs"),
        action=NEW,
        display_name=display_name,
        fields=tuple(one for one in shown if not one.field.is_more),
        more=tuple(one for one in shown if one.field.is_more),
        hidden=(("preset", preset.key), ("name", name)),
    )


ROUTES = (
    settings_page("GET", LIST, _list, "console/providers.html", "A client's identity providers"),
    settings_page("GET", NEW, _new, "console/provider_choose.html", "Choose a provider, and our values for it"),
    settings_page(
        "POST", NEW, _make, "console/provider_theirs.html", "Make a provider, switched off", again=_make_again
    ),
)
