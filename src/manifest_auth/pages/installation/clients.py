"""``/installation/clients``: find and create the clients of this server."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth import accounts, providers, sessions, tenants
from manifest_auth.accounts import Draft, NewLink, apps, users
from manifest_auth.accounts.users import User
from manifest_auth.clients import client_lifecycle, client_settings
from manifest_auth.http import Answer
from manifest_auth.pages import flash, words
from manifest_auth.pages.call import Confirmation, PageCall, View, chosen
from manifest_auth.pages.console import rules as rules_form
from manifest_auth.pages.console.apps import KINDS
from manifest_auth.pages.console.frame import ListQuery, address, one_of
from manifest_auth.pages.console.rules import DONE, RulesForm, RulesQuery, RulesView
from manifest_auth.pages.routing import ADMIN_OVERVIEW, admin_page
from manifest_auth.permissions import Role
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit, TenantUnit
from manifest_auth.tenants import ClientData, Tenant, TenantSettings
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import several

CLIENTS_PATH = f"{ADMIN_OVERVIEW}/clients"
_SIZE = 50
_CLIENTS_TEMPLATE = "installation/clients.html"
_STATES = {"": _("All"), "active": _("Active"), "suspended": _("Suspended"), "deleted": _("Marked for deletion")}
_SORTS = {
    "NAME": _("Name"),
    "IDENTIFIER": _("Identifier"),
    "CREATED_DESC": _("Newest first"),
    "CREATED": _("Oldest first"),
}
Text = Annotated[str, Meta(max_length=300)]


class NewClientForm(msgspec.Struct, frozen=True):
    """The form for a new client. ``identifier``: if empty, it is derived from the name; ``email``: the first Admin's
    address, or empty."""

    identifier: Text = ""
    name: Text = ""
    email: Text = ""


async def _show_clients(ctx: RequestContext, call: PageCall[ListQuery]) -> View | Answer[None]:
    return await _clients_view(ctx, call.fields, NewClientForm())


async def _again_clients(ctx: RequestContext, call: PageCall[NewClientForm]) -> View | Answer[None]:
    return await _clients_view(ctx, ListQuery(), call.fields)


async def _clients_view(ctx: RequestContext, asked: ListQuery, made: NewClientForm) -> View:
    state, sort = one_of(asked.state, _STATES), one_of(asked.sort, _SORTS)
    filters = Filters(state).search(asked.q.strip())

    def read(unit: SystemUnit) -> tuple[list[Tenant], str | None]:
        return tenants.LISTING.read(unit, _SIZE, asked.after, sort, filters)

    found, goes_on = await ctx.services.store.read(read)
    chosen = {"q": asked.q, "state": state, "sort": asked.sort}
    return View(
        SimpleNamespace(
            rows=tuple(map(ClientData.of_tenant, found)),
            query=msgspec.structs.replace(asked, state=state, sort=sort),
            states=tuple(_STATES.items()),
            sorts=tuple(_SORTS.items()),
            is_narrowed=bool(asked.q or state),
            first=address(CLIENTS_PATH, **chosen) if asked.after else "",
            next=address(CLIENTS_PATH, **chosen, after=goes_on) if goes_on else "",
            made=made,
        )
    )


async def _make_client(ctx: RequestContext, call: PageCall[NewClientForm]) -> View | Answer[None]:
    name, email = call.fields.name.strip(), call.fields.email.strip()
    letters = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    identifier = call.fields.identifier.strip() or "-".join(re.findall("[a-z0-9]+", letters))[:63].rstrip("-")

    def work(unit: SystemUnit) -> NewLink | None:
        made = client_lifecycle.create(unit, ctx, identifier, name, TenantSettings())
        return accounts.invite_new(unit.of(made.id), ctx, Draft(email, Role.ADMIN.bit, {})) if email else None

    made = await ctx.services.store.write(work)
    path = CLIENT_PATH.format(client=identifier)
    return flash.after(ctx, address(path, show="users"), "made") if made is None else _invited(ctx, call, path, made)


CLIENT_PATH = f"{CLIENTS_PATH}/{{client}}"
RULES_PATH = f"{CLIENT_PATH}/rules"
TABS = {"": _("Overview"), "users": _("Users"), "providers": _("Providers"), "apps": _("Apps")}


def frame_of(tenant: Tenant, tab: str) -> SimpleNamespace:
    """Returns the frame of a client's pages. ``tab``: the address of the current tab."""
    path = CLIENT_PATH.format(client=tenant.identifier)
    tabs = [(address(path, show=one), text) for one, text in TABS.items()]
    tabs.append((RULES_PATH.format(client=tenant.identifier), _("Settings")))
    return SimpleNamespace(path=path, client=ClientData.of_tenant(tenant), tab=tab, tabs=tuple(tabs))


_CLIENT_TEMPLATE = "installation/client.html"
CLIENT_DONE = {
    "made": _("Client created. Invite its first Admin, who manages everything else."),
    "renamed": _("Name saved."),
    "suspended": _("Client suspended. Its users are signed out and can't sign in."),
    "restored": _("Client restored. Its users can sign in again."),
    "kept": _("Deletion canceled. The client is suspended until you restore it."),
    "deleted": _("Client suspended and marked for deletion."),
    "invited": _("Invitation sent."),
}


class ClientQuery(ListQuery, frozen=True, kw_only=True):
    """The query of the page. ``show``: the part of the client to show."""

    show: Text = ""


class ClientForm(msgspec.Struct, frozen=True, rename="camel"):
    """The form of the page. ``act``: what to do."""

    act: Text = ""
    name: Text = ""
    email: Text = ""
    first_name: Text = ""
    last_name: Text = ""


async def _show_client(ctx: RequestContext, call: PageCall[ClientQuery]) -> View | Answer[None]:
    return await _client_view(ctx, call.path["client"], call.fields, link=call.shown_as(str) or "")


async def _again_client(ctx: RequestContext, call: PageCall[ClientForm]) -> View | Answer[None]:
    tab = "users" if call.fields.act == "invite" else ""
    return await _client_view(ctx, call.path["client"], ClientQuery(show=tab), call.fields)


async def _client_view(
    ctx: RequestContext, name: str, asked: ClientQuery, form: ClientForm | None = None, link: str = ""
) -> View:
    tab, settings = one_of(asked.show, TABS), ctx.services.settings

    def work(unit: SystemUnit) -> SimpleNamespace:
        tenant = tenants.get_named(unit, name)
        bound, path = unit.of(tenant.id), CLIENT_PATH.format(client=tenant.identifier)
        rows, goes_on = _users(bound, asked) if tab == "users" else ([], None)
        return SimpleNamespace(
            frame=frame_of(tenant, address(path, show=tab)),
            show=tab,
            form=form or ClientForm(),
            users=rows,
            q=asked.q,
            first=address(path, show=tab, q=asked.q) if asked.after else "",
            next=address(path, show=tab, q=asked.q, after=goes_on) if goes_on else "",
            providers=providers.list_all(bound) if tab == "providers" else [],
            apps=apps.list_apps(bound) if tab == "apps" else [],
            kinds=KINDS,
            link=link,
            days=settings.client_deletion_days,
            keeps_trail=settings.client_deletion_audit == "keep",
        )

    return View(await ctx.services.store.read(work))


def _users(unit: TenantUnit, asked: ClientQuery) -> tuple[list[User], str | None]:
    return users.LISTING.read(unit, _SIZE, asked.after, "EMAIL", Filters().search(asked.q.strip()))


async def _confirm_client(ctx: RequestContext, call: PageCall[ClientForm]) -> Confirmation | None:
    name, act, settings = call.path["client"], call.fields.act, ctx.services.settings
    if act not in ("suspend", "delete"):
        return None

    def work(unit: SystemUnit) -> Confirmation:
        tenant = tenants.get_named(unit, name)
        bound, days = unit.of(tenant.id), settings.client_deletion_days
        people = users.LISTING.total(bound, Filters("active"))
        effects: tuple[str, ...] = (
            words.ends_sessions(sessions.LISTING.total(bound, Filters("open", now=ctx.now))),
            several("%(number)d user can no longer sign in.", "%(number)d users can no longer sign in.", people),
        )
        if act == "suspend":
            effects = (*effects, _("Nothing is deleted. You can restore the client at any time."))
            return Confirmation(_("Suspend %(name)s?"), effects, _("Suspend client"), name=tenant.name)
        trail = settings.client_deletion_audit == "keep"
        effects = (
            *effects,
            several("You can restore it for %(number)d day.", "You can restore it for %(number)d days.", days),
            _("After that, its users, providers, and records are deleted."),
            _("Its audit trail is kept.") if trail else _("Its audit trail is deleted, too."),
        )
        return Confirmation(_("Delete %(name)s?"), effects, _("Delete client"), tenant.identifier, tenant.name)

    return await ctx.services.store.read(work)


async def _act_client(ctx: RequestContext, call: PageCall[ClientForm]) -> View | Answer[None]:
    name, form = call.path["client"], call.fields
    if form.act == "invite":
        return await _invite(ctx, call, name)
    done, work = chosen(_ACTS, form.act)
    after = await ctx.services.store.write(
        lambda unit: work(unit, ctx, tenants.get_named(unit, name, lock=True), form.name.strip())
    )
    is_kept = done == "restored" and after.suspended_at is not None
    return flash.after(ctx, CLIENT_PATH.format(client=name), "kept" if is_kept else done)


#: By action, a keyword of :data:`CLIENT_DONE`, and the operation on the client, for the typed name.
_ACTS: dict[str, tuple[str, Callable[[SystemUnit, RequestContext, Tenant, str], Tenant]]] = {
    "rename": ("renamed", lambda unit, ctx, one, name: client_settings.change(unit, ctx, one, name, None, "")),
    "suspend": ("suspended", lambda unit, ctx, one, _name: client_lifecycle.suspend(unit, ctx, one)),
    "restore": ("restored", lambda unit, ctx, one, _name: client_lifecycle.restore(unit, ctx, one)),
    "delete": ("deleted", lambda unit, ctx, one, _name: client_lifecycle.start_deletion(unit, ctx, one)),
}


async def _invite(ctx: RequestContext, call: PageCall[ClientForm], name: str) -> Answer[None]:
    form = call.fields
    names = {"first_name": form.first_name.strip(), "last_name": form.last_name.strip()}
    draft = Draft(form.email.strip(), Role.ADMIN.bit, names)

    def work(unit: SystemUnit) -> NewLink:
        return accounts.invite_new(unit.of(tenants.get_named(unit, name).id), ctx, draft)

    return _invited(ctx, call, CLIENT_PATH.format(client=name), await ctx.services.store.write(work))


def _invited(ctx: RequestContext, call: PageCall[Any], path: str, made: NewLink) -> Answer[None]:
    """Redirects to the users of the client. The link is shown once if email is not configured."""
    path = address(path, show="users")
    return flash.after(ctx, path, "invited") if made.link is None else call.show_once(path, made.link)


_RULES_TEMPLATE = "installation/client_rules.html"


async def _show_rules(ctx: RequestContext, call: PageCall[RulesQuery]) -> View | Answer[None]:
    return await _rules_view(ctx, call.path["client"], call.fields.page)


async def _again_rules(ctx: RequestContext, call: PageCall[RulesForm]) -> View | Answer[None]:
    return await _rules_view(ctx, call.path["client"], call.fields.page, call.fields)


async def _rules_view(
    ctx: RequestContext, name: str, page: str, typed: RulesForm | None = None, preview: RulesView | None = None
) -> View:
    def read(unit: SystemUnit) -> SimpleNamespace:
        tenant = tenants.get_named(unit, name)
        rules = preview or rules_form.view(unit.of(tenant.id), ctx, page, typed)
        return SimpleNamespace(frame=frame_of(tenant, RULES_PATH.format(client=tenant.identifier)), rules=rules)

    return View(await ctx.services.store.read(read))


async def _act_rules(ctx: RequestContext, call: PageCall[RulesForm]) -> View | Answer[None]:
    name, page = call.path["client"], call.fields.page
    preview = await rules_form.act(ctx, call.fields, lambda unit: tenants.get_named(unit, name).id)
    if preview is None:
        return flash.after(ctx, rules_form.address_of(RULES_PATH.format(client=name), page), "saved")
    return await _rules_view(ctx, name, page, preview=preview)


ROUTES = (
    admin_page("GET", CLIENTS_PATH, _show_clients, _CLIENTS_TEMPLATE, "The clients of this server"),
    admin_page("POST", CLIENTS_PATH, _make_client, _CLIENTS_TEMPLATE, "Create a client", again=_again_clients),
    admin_page("GET", CLIENT_PATH, _show_client, _CLIENT_TEMPLATE, "One client", said=CLIENT_DONE),
    admin_page(
        "POST",
        CLIENT_PATH,
        _act_client,
        _CLIENT_TEMPLATE,
        "Rename, suspend, restore, or delete a client, or invite an Admin",
        again=_again_client,
        confirms=_confirm_client,
    ),
    admin_page("GET", RULES_PATH, _show_rules, _RULES_TEMPLATE, "The settings of one client", said=DONE),
    admin_page(
        "POST",
        RULES_PATH,
        _act_rules,
        _RULES_TEMPLATE,
        "Preview or save the settings of one client",
        again=_again_rules,
    ),
)
