"""``/console/providers``: the list, and the wizard that adds a provider and later shows its settings."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable, Collection, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec

from manifest_auth import accounts, providers, sessions
from manifest_auth.clients import client_settings
from manifest_auth.clients.providers import daily_checks, diagnosis
from manifest_auth.clients.providers.changes import (
    ProviderChange,
    change,
    delete,
    draft_of,
    prepare_key,
    provider_data,
    switch,
)
from manifest_auth.clients.providers.daily_checks import ProviderCheck
from manifest_auth.clients.providers.diagnosis import RecentActivity, diagnose, recent_activity, verdict
from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer, flow_cookie, redirect
from manifest_auth.http import page as with_policy
from manifest_auth.pages import brands, flash, security, words
from manifest_auth.pages.account.frame import names_of
from manifest_auth.pages.call import Confirmation, PageCall, View, found, see_other
from manifest_auth.pages.console import provider_views
from manifest_auth.pages.console.provider_kinds import FIELDS, PRESETS, fitting
from manifest_auth.pages.console.provider_views import (
    LIST,
    Head,
    RulesForm,
    TheirsForm,
    path_of,
    steps_of,
    tested,
    try_view,
)
from manifest_auth.pages.routing import settings_page
from manifest_auth.permissions import Role
from manifest_auth.protocols.oidc import Finding
from manifest_auth.providers import Provider
from manifest_auth.providers.settings import Rules
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.sign_in.providers.provider_proofs import Tried
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.tenants.claims import Claim, domains
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import several
from manifest_auth.text.models import convert
from manifest_auth.throttle.limits import FLOW_LIFE_S


class Loaded(NamedTuple):
    """A provider with its data. ``data``: the API's object; ``members``: its JSON members; ``check``: the last
    check; ``tried``: this session's test sign-in; ``last``: ``tried``, or else the latest one in the audit trail;
    ``group``: the group being edited in the table of roles."""

    provider: Provider
    data: Any
    members: dict[str, Any]
    check: ProviderCheck | None = None
    recently: RecentActivity = RecentActivity()
    tried: Tried | None = None
    last: Tried | None = None
    group: str = ""

    @property
    def signs_in(self) -> bool:
        """Whether users sign in there; otherwise, apps send its tokens."""
        return bool(KINDS[self.provider.kind].start)

    def head(self, step: str) -> Head:
        provider = self.provider
        path = path_of(provider.name)
        return Head(
            name=provider.name,
            display_name=provider.display_name,
            preset=fitting(provider.kind, provider.issuer),
            path=path,
            steps=steps_of(path, dict(self._states())),
            current=step,
            is_on=provider.disabled_at is None,
            reaches_admins=bool(provider.reaches_admins),
            gives=() if provider.reaches_admins else tuple(_gives(provider.rules)),
        )

    @property
    def has_rules(self) -> bool:
        """Whether someone has chosen who can sign in."""
        rules = self.provider.rules
        return bool(rules.group_roles or rules.default_roles or rules.create_users or rules.domains)

    def _states(self) -> Iterator[tuple[str, str]]:
        """Yields the steps of the wizard, and whether each is done. A test of earlier settings no longer counts."""
        changed_at = self.provider.changed_at
        is_wrong = self.check is not None and self.check.checked_at >= changed_at and self.check.level == "bad"
        yield "theirs", "done"
        if self.has_rules:
            yield "rules", "done"
        if is_wrong or (self.last is not None and self.last.at >= changed_at and not self.last.works):
            yield "live", "bad"
        elif self.provider.disabled_at is None:
            yield "live", "done"


def _gives(rules: Rules) -> Iterator[str]:
    """Yields a description of who can sign in with the provider, and with which roles."""
    if rules.create_users:
        yield _("It creates accounts for new users.")
    if rules.default_roles:
        yield _(
            "Everyone who signs in with it gets: %(roles)s.",
            roles=names_of(rules.default_roles),
        )
    for one in rules.group_roles:
        yield _(
            "The group %(group)s grants: %(roles)s.",
            group=one.group,
            roles=names_of(one.roles),
        )
    if rules.second_factor == "claims":
        yield _(
            "It checks the second factor if it sends: %(values)s.",
            values=", ".join((*rules.amr, *rules.acr)) or _("nothing"),
        )
    if rules.domains:
        yield _("It signs in users of these domains: %(domains)s.", domains=", ".join(rules.domains))


async def load(ctx: RequestContext, name: str) -> Loaded:
    """Loads the provider. Raises NotFound."""
    provider, checks = await ctx.store.read(lambda unit: (providers.get(unit, name), daily_checks.read(unit)))
    data = provider_data(ctx, ctx.user.client, provider)
    recently = (await recent_activity(ctx)).get(provider.id, RecentActivity())
    tried = await diagnosis.result(ctx, provider)
    return Loaded(
        provider=provider,
        data=data,
        members=msgspec.to_builtins(data),
        check=checks.get(provider.id),
        recently=recently,
        tried=tried,
        last=tried or _last_try(ctx, recently),
    )


async def save(ctx: RequestContext, name: str, members: dict[str, Any]) -> None:
    """Saves the members. Raises NotFound, ValidationError, Conflict, Forbidden."""
    with at_fields():
        draft, by_admin = draft_of(convert(members, ProviderChange)), accounts.is_admin(ctx)
        await ctx.store.write(lambda unit: change(unit, ctx, name, draft, by_admin=by_admin))


async def theirs(ctx: RequestContext, kind: str, form: TheirsForm) -> dict[str, Any]:
    """Returns the members from the form of the second step, with metadata from its address. Raises ValidationError."""
    address = getattr(form, diagnosis.MEMBER.replace(".", "_")).strip()
    document = await diagnosis.fetch(ctx, address, by_admin=accounts.is_admin(ctx)) if address else ""
    name = {"displayName": form.displayName.strip()} if form.displayName.strip() else {}
    return {**name, **provider_views.body_of_form(kind, form, document)}


def view(ctx: RequestContext, model: object, template: str = "") -> View:
    """Returns a page with the branding of the caller's client."""
    return View(model, template=template, brand=brands.of_user(ctx.user))


@contextlib.contextmanager
def at_fields() -> Iterator[None]:
    """Converts errors inside so that they name the form's field instead of one of its lines."""
    try:
        yield
    except ValidationError as error:
        details = [(re.sub(r"\[.*", "", field), text) for field, text in error.details]
        raise ValidationError(error.message, details=details, reason=error.reason) from error


ONE = f"{LIST}/{{name}}"
_TEMPLATE, _LIVE = "console/provider.html", "console/provider_live.html"


class StepQuery(msgspec.Struct, frozen=True):
    step: str = ""
    group: str = ""


Show = Callable[[RequestContext, Loaded, Head], Awaitable[View]]


async def _show(ctx: RequestContext, call: PageCall[StepQuery]) -> View | Answer[None]:
    found = (await load(ctx, call.path["name"]))._replace(group=call.fields.group)
    asked = call.fields.step if call.fields.step in _STEPS else ""
    show = _STEPS.get(asked, overview)
    return await show(ctx, found, found.head(asked))


async def overview(ctx: RequestContext, found: Loaded, head: Head) -> View:
    rules = found.provider.rules
    following = "live" if found.has_rules else "rules"
    overview = SimpleNamespace(
        head=head,
        start=found.data.start_url or "",
        recently=found.recently,
        domains=rules.domains,
        create_users=rules.create_users,
        default_roles=names_of(rules.default_roles),
        groups=len(rules.group_roles),
        second_factor=rules.second_factor if found.signs_in else "",
        next=next(step for step in head.steps if step.key == following),
    )
    return view(ctx, overview, _TEMPLATE)


async def _theirs(ctx: RequestContext, found: Loaded, head: Head) -> View:
    texts = provider_views.stored_texts(found.provider.kind, found.members)
    return await _theirs_view(ctx, found, head, texts, found.provider.display_name)


async def _theirs_view(
    ctx: RequestContext, found: Loaded, head: Head, texts: dict[str, str], display_name: str
) -> View:
    model = provider_views.theirs_view(
        head,
        found.provider.kind,
        texts,
        display_name,
        found.data.service_provider,
        has_secret=found.data.has_client_secret,
        certificates=found.data.signing_certificates,
    )
    return view(ctx, model, "console/provider_theirs.html")


async def _save_theirs(ctx: RequestContext, call: PageCall[TheirsForm]) -> View | Answer[None]:
    name = call.path["name"]
    found = await load(ctx, name)
    members = await theirs(ctx, found.provider.kind, call.fields)
    with at_fields():
        convert(members, ProviderChange)
    await check_theirs(ctx, found.provider.kind, call.fields, members, found)
    await save(ctx, name, members)
    return _after(ctx, found.head("theirs"))


async def check_theirs(
    ctx: RequestContext, kind: str, form: TheirsForm, members: dict[str, Any], before: Loaded | None = None
) -> None:
    """Rejects an empty secret, and a new issuer that publishes nothing usable. Raises ValidationError."""
    given, stored = members.get(kind, {}), before.members[kind] if before is not None else {}
    secret = next((field for field in FIELDS[kind] if field.input == "secret" and not field.is_more), None)
    has_secret = "clientSecret" in given or (before is not None and before.data.has_client_secret)
    if secret is not None and not has_secret and given.get("clientAuthentication") != "none":
        raise ValidationError(details=[(secret.path, _("Enter the client secret"))])
    is_unchecked = getattr(form, "oidc_unchecked", "")
    issuer = given.get("issuer", "")
    if kind == "oidc" and issuer != stored.get("issuer") and not is_unchecked:
        await diagnosis.check_issuer(ctx, issuer, by_admin=accounts.is_admin(ctx))


async def _theirs_again(ctx: RequestContext, call: PageCall[TheirsForm]) -> View | Answer[None]:
    found, form = await load(ctx, call.path["name"]), call.fields
    texts = provider_views.typed_texts(found.provider.kind, form)
    return await _theirs_view(ctx, found, found.head("theirs"), texts, form.displayName)


async def _rules(ctx: RequestContext, found: Loaded, head: Head) -> View:
    rules = found.provider.rules
    if not (found.has_rules or head.is_on):
        claimed, others = await ctx.store.read(lambda unit: (_claimed(unit), providers.list_all(unit)))
        rules = provider_views.suggested(rules, claimed, [domain for one in others for domain in one.rules.domains])
    form = provider_views.rules_form(rules, found.group)
    return await _rules_view(ctx, found, head, form, rules.domains)


async def _rules_view(ctx: RequestContext, found: Loaded, head: Head, form: RulesForm, chosen: Collection[str]) -> View:
    offered = await _domains(ctx, found)
    rules = found.provider.rules
    model = provider_views.rules_view(head, form, rules, offered, chosen, signs_in=found.signs_in)
    return view(ctx, model, "console/provider_rules.html")


async def _save_rules(ctx: RequestContext, call: PageCall[RulesForm]) -> View | Answer[None]:
    name = call.path["name"]
    found = await load(ctx, name)
    shown = [claim.domain for claim in await _domains(ctx, found)]
    form = call.fields
    await save(ctx, name, provider_views.body_of_rules(form, shown, found.provider.rules))
    if form.remove or form.more:
        return flash.after(ctx, f"{path_of(name)}?step=rules", "saved")
    return _after(ctx, found.head("rules"))


def _after(ctx: RequestContext, head: Head) -> Answer[None]:
    """Redirects after a step was saved: to the next step, until the provider is turned on."""
    following = head.current if head.is_on or head.following is None else head.following.key
    return flash.after(ctx, f"{head.path}?step={following}", "saved")


async def _rules_again(ctx: RequestContext, call: PageCall[RulesForm]) -> View | Answer[None]:
    found, form = await load(ctx, call.path["name"]), call.fields
    return await _rules_view(ctx, found, found.head("rules"), form, provider_views.chosen_domains(form))


async def _domains(ctx: RequestContext, found: Loaded) -> list[Claim]:
    return provider_views.offered_domains(await ctx.store.read(_claimed), found.provider.rules.domains)


def _claimed(unit: TenantUnit) -> list[Claim]:
    return domains.LISTING.page(unit, first=domains.MOST, sort="ID")


async def _live(ctx: RequestContext, found: Loaded, head: Head, findings: list[Finding] | None = None) -> View:
    """Returns the page of an enabled provider. ``findings`` come from a test that has just run."""
    model = SimpleNamespace(
        head=head,
        start=found.data.start_url or "",
        test=tested(findings, verdict(findings) if findings else None),
        result=try_view(found.tried) if found.tried else None,
        tried=found.last,
        domains=found.provider.rules.domains,
        sign_in_url=client_settings.sign_in_url(ctx.services.settings, ctx.user.client) if found.data.start_url else "",
    )
    return view(ctx, model, _LIVE)


def _last_try(ctx: RequestContext, last: RecentActivity) -> Tried | None:
    """Returns the last test from the trail, if this session has none. Only an Admin sees why it failed, see
    :mod:`.diagnosis`."""
    if not last.tried_at:
        return None
    why = last.try_why if accounts.is_admin(ctx) or not last.try_why else _("Only an Admin can see the reason.")
    return Tried(last.tried_at, why)


_STEPS: dict[str, Show] = {
    "theirs": _theirs,
    "rules": _rules,
    "live": _live,
}


class BackForm(msgspec.Struct, frozen=True):
    """The form of the page. ``back``: ``list`` if the button is in the list."""

    back: str = ""


async def _test_act(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    """Shows the result immediately. A reload might repeat the test."""
    one = await load(ctx, call.path["name"])
    found = [each async for each in diagnose(ctx, ctx.user.client, one.provider, by_admin=accounts.is_admin(ctx))]
    level, problem = daily_checks.worst(found)
    if level != "unknown":  # it must not hide what a check found

        def note(unit: TenantUnit) -> None:
            provider = providers.get(unit, one.provider.name, lock=True)
            daily_checks.store(unit, provider.id, ctx.now, level, problem)

        await ctx.store.write(note)
        one = one._replace(check=ProviderCheck(one.provider.id, ctx.now, level, problem))
    return await _live(ctx, one, one.head("live"), found)


async def _try_act(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    """Starts a test sign-in with a link instead of a form, because browsers apply ``form-action`` to each redirect
    after a form. If the link might come from another site, shows the page with the button."""
    name = call.path["name"]
    back = f"{path_of(name)}?step=live"
    if not security.is_followed_here(ctx, call.head):
        await load(ctx, name)
        return found(back)
    started = await diagnosis.begin(ctx, name, back)
    if isinstance(started, Tried):
        one = (await load(ctx, name))._replace(tried=started, last=started)
        return await _live(ctx, one, one.head("live"))
    begun, settings = started.begun, ctx.services.settings
    cookie = flow_cookie(begun.cookie, begun.browser, FLOW_LIFE_S, settings, cross_site=started.cross_site)
    if started.page is not None:
        return with_policy(*started.page, headers=(cookie,))
    return redirect(started.address, headers=(cookie,))


async def _switch_on(ctx: RequestContext, call: PageCall[BackForm]) -> View | Answer[None]:
    return await _switched(ctx, call, on=True)


async def _switch_off(ctx: RequestContext, call: PageCall[BackForm]) -> View | Answer[None]:
    return await _switched(ctx, call, on=False)


async def _confirm_rules(ctx: RequestContext, call: PageCall[RulesForm]) -> Confirmation | None:
    one, limits = await load(ctx, call.path["name"]), provider_views.chosen_domains(call.fields)
    before, is_off = one.provider.rules, one.provider.disabled_at is not None
    is_asked = Role.ADMIN in before.default_roles and (limits or not before.domains)
    if is_off or is_asked or not getattr(call.fields, provider_views.box_of("everyone", Role.ADMIN)):
        return None
    return await _everyone_is_admin(ctx, one, limits)


async def _confirm_on(ctx: RequestContext, call: PageCall[BackForm]) -> Confirmation | None:
    one = await load(ctx, call.path["name"])
    rules = one.provider.rules
    return await _everyone_is_admin(ctx, one, rules.domains) if Role.ADMIN in rules.default_roles else None


async def _confirm_off(ctx: RequestContext, call: PageCall[BackForm]) -> Confirmation | None:
    one = await load(ctx, call.path["name"])
    if one.provider.disabled_at is not None:
        return None
    of_it = Filters("open", "provider", of_provider=one.provider.id, now=ctx.now)

    def work(unit: TenantUnit) -> tuple[str, ...]:
        people = providers.count_people(unit, one.provider.id)
        kept_out = several(
            "%(number)d person can't sign in with it until you turn it on again.",
            "%(number)d people can't sign in with it until you turn it on again.",
            people,
        )
        return words.ends_sessions(sessions.LISTING.total(unit, of_it)), kept_out

    effects = await ctx.store.read(work)
    return Confirmation(_("Turn off %(name)s?"), effects, _("Turn off provider"), name=one.head("").display_name)


async def _everyone_is_admin(ctx: RequestContext, one: Loaded, limits: Collection[str]) -> Confirmation:
    """Returns the question before everyone becomes an Admin. ``limits``: the allowed domains; without any, the admin
    must type the provider's name."""
    linked, head = await ctx.store.read(lambda unit: providers.count_people(unit, one.provider.id)), one.head("")
    effects = (
        _("Everyone who signs in with it becomes an Admin, who can change all users and settings."),
        _("New accounts are created only for email addresses in %(domains)s.", domains=", ".join(limits))
        if limits
        else _("No domain is selected, so this includes everyone who has an account there."),
        several("%(number)d person uses it now.", "%(number)d people use it now.", linked),
    )
    title, typed = _("Make everyone at %(name)s an Admin?"), "" if limits else head.name
    return Confirmation(title, effects, _("Make everyone an Admin"), typed, head.display_name)


async def _switched(ctx: RequestContext, call: PageCall[BackForm], *, on: bool) -> Answer[None]:
    name, by_admin = call.path["name"], accounts.is_admin(ctx)
    await ctx.store.write(lambda unit: switch(unit, ctx, name, on=on, by_admin=by_admin))
    return see_other(LIST if call.fields.back == "list" else path_of(name))


async def _rotate(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    name = call.path["name"]
    provider = await ctx.store.read(lambda unit: providers.get(unit, name))
    await ctx.store.write(await prepare_key(ctx, ctx.user.client, provider, by_admin=accounts.is_admin(ctx)))
    return flash.after(ctx, f"{path_of(name)}?step=theirs", "saved")


async def _confirm_delete(ctx: RequestContext, call: PageCall[BackForm]) -> Confirmation:
    one = await load(ctx, call.path["name"])
    people = await ctx.store.read(lambda unit: providers.count_people(unit, one.provider.id))
    effects = (
        several(
            "Unlinks %(number)d person and signs them out.", "Unlinks %(number)d people and signs them out.", people
        ),
        _("Removes the roles that its groups granted. You can't undo this."),
        _("If you add a provider with the same issuer later, the same people regain access to their accounts."),
        _(
            "A different provider links people by email address. Before you switch, check that no address has a new "
            "owner."
        ),
    )
    head = one.head("")
    return Confirmation(_("Delete %(name)s?"), effects, _("Delete provider"), head.name, head.display_name)


async def _delete(ctx: RequestContext, call: PageCall[BackForm]) -> View | Answer[None]:
    name = call.path["name"]
    tenant_id = ctx.user.tenant_id
    await delete(ctx, lambda unit: unit.of(tenant_id), name, by_admin=accounts.is_admin(ctx))
    return see_other(LIST)


async def _overview_again(ctx: RequestContext, call: PageCall[BackForm]) -> View | Answer[None]:
    one = await load(ctx, call.path["name"])
    return await overview(ctx, one, one.head(""))


async def _list(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    found = await ctx.store.read(providers.list_all)
    if not found:
        return view(ctx, PRESETS, "console/provider_choose.html")
    known = await recent_activity(ctx)
    rows = [(one, fitting(one.kind, one.issuer), known.get(one.id, RecentActivity())) for one in found]
    return view(ctx, rows)


_button = partial(settings_page, "POST", again=_overview_again, form_at=ONE)
ROUTES = (
    settings_page(
        "GET", ONE, _show, _TEMPLATE, "One provider: its settings, one step each", said={"saved": _("Saved.")}
    ),
    settings_page(
        "POST",
        f"{ONE}/theirs",
        _save_theirs,
        "console/provider_theirs.html",
        "Change a provider's own values",
        again=_theirs_again,
        form_at=f"{ONE}?step=theirs",
    ),
    settings_page(
        "POST",
        f"{ONE}/rules",
        _save_rules,
        "console/provider_rules.html",
        "Change who can sign in through a provider",
        again=_rules_again,
        confirms=_confirm_rules,
        form_at=f"{ONE}?step=rules",
    ),
    settings_page(
        "POST",
        f"{ONE}/test",
        _test_act,
        _LIVE,
        "Test the connection to a provider",
        form_at=f"{ONE}?step=live",
        once=False,
    ),
    settings_page("GET", f"{ONE}/try", _try_act, _LIVE, "Test sign-in at a provider, without a session"),
    _button(f"{ONE}/switch-on", _switch_on, _TEMPLATE, "Turn a provider on", confirms=_confirm_on),
    _button(f"{ONE}/switch-off", _switch_off, _TEMPLATE, "Turn a provider off", confirms=_confirm_off),
    _button(f"{ONE}/rotate-key", _rotate, _TEMPLATE, "Create a new key for a provider", form_at=f"{ONE}?step=theirs"),
    _button(f"{ONE}/delete", _delete, _TEMPLATE, "Delete a provider", confirms=_confirm_delete),
    settings_page("GET", LIST, _list, "console/providers.html", "List a client's identity providers"),
)
