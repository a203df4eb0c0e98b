"""``/console/providers/new``: the first steps of the wizard, until the provider is saved."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from manifest_auth import providers
from manifest_auth.clients.providers.changes import ProviderBody, prepare
from manifest_auth.errors import NotFound
from manifest_auth.http import Answer
from manifest_auth.pages.call import PageCall, View, see_other
from manifest_auth.pages.console import provider_views
from manifest_auth.pages.console.provider_kinds import BY_KEY, PRESETS, Preset
from manifest_auth.pages.console.provider_views import NEW, STEPS, Head, Step, TheirsForm, path_of
from manifest_auth.pages.console.providers import at_fields, check_theirs, theirs, view
from manifest_auth.pages.routing import settings_page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.text.languages import catalogue
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import shown as translated
from manifest_auth.text.models import convert


class NewQuery(msgspec.Struct, frozen=True):
    preset: str = ""
    name: str = ""


async def _new(ctx: RequestContext, call: PageCall[NewQuery]) -> View | Answer[None]:
    asked = call.fields
    if not asked.preset:
        return view(ctx, PRESETS)
    preset = _preset(asked.preset)
    name = asked.name.strip()
    if not name:
        name = await ctx.store.read(lambda unit: _free(preset.name, {one.name for one in providers.list_all(unit)}))
    with at_fields():
        providers.check_provider_name(name)
    texts = provider_views.stored_texts(preset.kind, _beginning(preset))
    label = translated(_("Single sign-on"), catalogue(call.language)) if preset.is_generic else preset.title
    return _new_theirs(ctx, preset, name, texts, label)


async def _make(ctx: RequestContext, call: PageCall[TheirsForm]) -> View | Answer[None]:
    form, preset = call.fields, _preset(call.fields.preset)
    if form.rename:
        with at_fields():
            providers.check_provider_name(form.name)
        return await _make_again(ctx, call)
    members = {"name": form.name, "enabled": False, **preset.rules, **await theirs(ctx, preset.kind, form)}
    with at_fields():
        body = convert(members, ProviderBody)
    await check_theirs(ctx, preset.kind, form, members)
    with at_fields():
        made = await ctx.store.write(await prepare(ctx, ctx.user.client, body))
    return see_other(f"{path_of(made.name)}?step=rules")


async def _make_again(ctx: RequestContext, call: PageCall[TheirsForm]) -> View | Answer[None]:
    form, preset = call.fields, _preset(call.fields.preset)
    texts = provider_views.typed_texts(preset.kind, form)
    return _new_theirs(ctx, preset, form.name, texts, form.displayName)


def _preset(key: str) -> Preset:
    found = BY_KEY.get(key)
    if found is None:
        raise NotFound(reason="unknown preset")
    return found


def _free(name: str, taken: set[str]) -> str:
    """Returns an unused provider name."""
    return next(one for one in (name, *(f"{name}-{number}" for number in range(2, 99))) if one not in taken)


def _beginning(preset: Preset) -> dict[str, object]:
    """Returns the initial values of the fields: the defaults of the kind and the preset."""
    fields = msgspec.structs.fields(KINDS[preset.kind].settings)
    usual = {one.encode_name: one.default for one in fields if one.default is not msgspec.NODEFAULT}
    return {preset.kind: {**msgspec.to_builtins(usual), **preset.values.get(preset.kind, {})}}


def _new_theirs(ctx: RequestContext, preset: Preset, name: str, texts: dict[str, str], display_name: str) -> View:
    here = f"{NEW}?preset={preset.key}&name={quote(name)}"
    steps = tuple(Step(key, title, here if key == "theirs" else "") for key, title in STEPS)
    head = Head(
        name=name, display_name=preset.title, preset=preset, path=NEW, steps=steps, current="theirs", is_new=True
    )
    ours = KINDS[preset.kind].values_by_name(ctx, ctx.user.client, name)
    hidden = (("preset", preset.key),)
    model = provider_views.theirs_view(head, preset.kind, texts, display_name, ours, hidden=hidden)
    return view(ctx, model, "console/provider_theirs.html")


ROUTES = (
    settings_page(
        "GET", NEW, _new, "console/provider_choose.html", "Choose a provider, and see the values to enter there"
    ),
    settings_page(
        "POST", NEW, _make, "console/provider_theirs.html", "Create a provider, turned off", again=_make_again
    ),
)
