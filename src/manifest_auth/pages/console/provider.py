"""``/console/providers/{name}``: the wizard's steps, which are the settings of a provider later on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from manifest_auth import accounts
from manifest_auth.http import Answer
from manifest_auth.operations.providers import trying
from manifest_auth.operations.providers.recently import Recently, recently
from manifest_auth.pages import said
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console import provider_forms, provider_rules
from manifest_auth.pages.console.provider_forms import TheirsForm
from manifest_auth.pages.console.provider_load import Loaded, load, save, settings_page, theirs, view
from manifest_auth.pages.console.provider_rules import RulesForm
from manifest_auth.pages.console.provider_views import (
    LIST,
    Certificate,
    DomainRow,
    Head,
    LiveView,
    OursView,
    OverviewView,
    RulesView,
    TestView,
    TheirsView,
    our_values,
    role_rows,
    try_view,
)
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.provider_tries import Tried
from manifest_auth.tenants.claims import domains

ONE = f"{LIST}/{{name}}"


class StepQuery(msgspec.Struct, frozen=True):
    step: str = ""


Show = Callable[[RequestContext, Loaded, Head], Awaitable[View]]


async def _show(ctx: RequestContext, call: PageCall[StepQuery]) -> View | Answer[None]:
    found = await load(ctx, call.path["name"])
    asked = call.fields.step if call.fields.step in _STEPS else ""
    show = _STEPS.get(asked, overview)
    return await show(ctx, found, found.head(asked, saved=bool(said.word(ctx, call))))


async def overview(ctx: RequestContext, found: Loaded, head: Head) -> View:
    rules = found.provider.rules
    has_rules = bool(rules.group_roles or rules.default_roles)
    following = "test" if has_rules else "rules"
    overview = OverviewView(
        head=head,
        start=found.data.start_url or "",
        recently=(await recently(ctx)).get(found.provider.id, Recently()),
        domains=rules.domains,
        create_users=rules.create_users,
        default_roles=tuple(role.value for role in rules.default_roles),
        groups=len(rules.group_roles),
        second_factor=rules.second_factor if found.signs_in else "",
        next=next(step for step in head.steps if step.key == following),
    )
    return await view(ctx, overview, "console/provider.html")


async def _ours(ctx: RequestContext, found: Loaded, head: Head) -> View:
    ourselves = found.data.service_provider
    certificates = ourselves.certificates or ()
    return await view(
        ctx, OursView(head, our_values(head.preset, ourselves), certificates), "console/provider_ours.html"
    )


async def _theirs(ctx: RequestContext, found: Loaded, head: Head) -> View:
    shown = provider_forms.shown(found.provider.kind, found.members, has_secret=found.data.has_client_secret)
    return await _theirs_view(ctx, found, head, found.provider.display_name, shown)


async def _save_theirs(ctx: RequestContext, call: PageCall[TheirsForm]) -> View | Answer[None]:
    name = call.path["name"]
    found = await load(ctx, name)
    await save(ctx, name, await theirs(ctx, found.provider.kind, call.fields))
    return _after(ctx, found.head("theirs"))


async def _theirs_again(ctx: RequestContext, call: PageCall[TheirsForm]) -> View | Answer[None]:
    found = await load(ctx, call.path["name"])
    kind, has_secret = found.provider.kind, found.data.has_client_secret
    shown = provider_forms.shown_again(kind, call.fields, has_secret=has_secret)
    return await _theirs_view(ctx, found, found.head("theirs"), call.fields.displayName, shown)


async def _theirs_view(
    ctx: RequestContext, found: Loaded, head: Head, display_name: str, shown: tuple[provider_forms.Shown, ...]
) -> View:
    pinned = tuple(Certificate(one.subject, one.not_after, one.fingerprint) for one in found.data.signing_certificates)
    model = TheirsView(
        head=head,
        action=f"{head.path}/theirs",
        display_name=display_name,
        fields=tuple(one for one in shown if not one.field.is_more),
        more=tuple(one for one in shown if one.field.is_more),
        certificates=pinned,
    )
    return await view(ctx, model, "console/provider_theirs.html")


async def _rules(ctx: RequestContext, found: Loaded, head: Head) -> View:
    rows = await _domains(ctx, found)
    rules = found.provider.rules
    addresses = "\n".join(rules.return_addresses)
    model = RulesView(
        head=head,
        create_users=rules.create_users,
        roles=role_rows(found.members),
        domains=rows,
        group_separator=rules.group_separator,
        return_addresses=addresses,
        factor=provider_rules.factor_rule(rules) if found.signs_in else None,
    )
    return await view(ctx, model, "console/provider_rules.html")


async def _save_rules(ctx: RequestContext, call: PageCall[RulesForm]) -> View | Answer[None]:
    name = call.path["name"]
    found = await load(ctx, name)
    shown = [row.domain for row in await _domains(ctx, found)]
    await save(ctx, name, provider_rules.body_of(call.fields, shown, found.provider.rules.domains))
    return _after(ctx, found.head("rules"))


def _after(ctx: RequestContext, head: Head) -> Answer[None]:
    """Where one goes on after a step was saved: to the next one, until the provider is switched on."""
    following = head.current if head.is_on or head.following is None else head.following.key
    return said.after(ctx, f"{head.path}?step={following}", "saved")


async def _rules_again(ctx: RequestContext, call: PageCall[RulesForm]) -> View | Answer[None]:
    found, form = await load(ctx, call.path["name"]), call.fields
    rows = provider_rules.typed_domains(await _domains(ctx, found), form)
    model = RulesView(
        head=found.head("rules"),
        create_users=bool(form.createUsers),
        roles=provider_rules.typed_roles(form),
        domains=rows,
        group_separator=form.groupSeparator,
        return_addresses=form.returnAddresses,
        factor=provider_rules.typed_factor_rule(form) if found.signs_in else None,
    )
    return await view(ctx, model)


async def _domains(ctx: RequestContext, found: Loaded) -> tuple[DomainRow, ...]:
    claimed = await ctx.store.read(lambda unit: domains.LISTING.page(unit, first=domains.MOST, sort="ID"))
    return provider_rules.domain_rows(claimed, found.provider.rules.domains)


async def _test(ctx: RequestContext, found: Loaded, head: Head) -> View:
    return await view(ctx, TestView(head), "console/provider_test.html")


async def _try(ctx: RequestContext, found: Loaded, head: Head) -> View:
    return await view(ctx, try_view(head, await trying.result(ctx, found.provider)), "console/provider_try.html")


async def _live(ctx: RequestContext, found: Loaded, head: Head) -> View:
    tried = await trying.result(ctx, found.provider) or await _last_try(ctx, found.provider.id)
    model = LiveView(head, found.data.start_url or "", tried, found.provider.rules.domains)
    return await view(ctx, model, "console/provider_live.html")


async def _last_try(ctx: RequestContext, provider_id: int) -> Tried | None:
    """As the trail has it, where this session has none. Only an Admin sees why it failed: see :mod:`.trying`."""
    last = (await recently(ctx)).get(provider_id, Recently())
    if not last.tried_at:
        return None
    why = last.try_why if accounts.is_admin(ctx) or not last.try_why else "Only an Admin sees why."
    return Tried(last.tried_at, why)


_STEPS: dict[str, Show] = {
    "ours": _ours,
    "theirs": _theirs,
    "rules": _rules,
    "test": _test,
    "try": _try,
    "live": _live,
}
ROUTES = (
    settings_page("GET", ONE, _show, "console/provider.html", "One provider: its settings, a step each"),
    settings_page(
        "POST",
        f"{ONE}/theirs",
        _save_theirs,
        "console/provider_theirs.html",
        "Change what is known of a provider",
        again=_theirs_again,
        form_at=f"{ONE}?step=theirs",
    ),
    settings_page(
        "POST",
        f"{ONE}/rules",
        _save_rules,
        "console/provider_rules.html",
        "Change who gets in through a provider",
        again=_rules_again,
        form_at=f"{ONE}?step=rules",
    ),
)
