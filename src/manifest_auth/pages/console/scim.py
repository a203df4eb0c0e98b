"""``/console/scim``: connections with which identity providers manage users (SCIM), and their tokens."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Annotated, Any

from msgspec import UNSET, Meta

from manifest_auth import providers
from manifest_auth.accounts import rank, service_accounts
from manifest_auth.accounts.provisioning import connections
from manifest_auth.accounts.provisioning.connections import (
    DEFAULT_DAYS,
    LEAST_DAYS,
    MOST_DAYS,
    MOST_TOKENS,
    Connection,
    ScimGroupRoles,
)
from manifest_auth.clients.scim import saving
from manifest_auth.errors import ValidationError, existing
from manifest_auth.http import Answer
from manifest_auth.pages import brands, flash, words
from manifest_auth.pages.call import Confirmation, PageCall, View, chosen
from manifest_auth.pages.console import frame
from manifest_auth.pages.console.frame import RolesForm, boxes
from manifest_auth.pages.routing import settings_page
from manifest_auth.permissions import Role
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _

LIST_PATH = "/console/scim"
PATH = f"{LIST_PATH}/{{connection}}"
LIST_DONE = {"deleted": _("SCIM connection and its tokens deleted. Its users stay.")}
DONE = {
    "changed": _("Changes saved. They take effect immediately."),
    "revoked": _("Revoked. It no longer works."),
}
_BY_ID = "id="  # begins a line that names a group by its ID
_ROLES = {role.value.lower(): role for role in Role}


class ScimForm(RolesForm, frozen=True, rename="camel", kw_only=True):
    """The form of a connection. ``group_roles``: one group per line; ``act``: one of :data:`_ACTS`; ``of``: ID of a
    token."""

    act: str = ""
    of: fields.TypedToken = ""
    expires_in_days: int = DEFAULT_DAYS
    name: Annotated[str, Meta(max_length=200)] = ""
    provider: Annotated[str, Meta(max_length=200)] = ""
    group_roles: Annotated[str, Meta(max_length=200_000)] = ""
    adopt_users: str = ""
    may_manage_admins: str = ""
    service_account: Annotated[str, Meta(max_length=20)] = ""

    def given(self) -> dict[str, Any]:
        """Returns the settings in the form that :func:`.connections.change` accepts. Raises ValidationError."""
        lines = [line for line in self.group_roles.splitlines() if line.strip()]
        return {
            "provider": self.provider or None,
            "default_roles": self.roles,
            "group_roles": [_line(number, line) for number, line in enumerate(lines)],
            "adopt_users": bool(self.adopt_users),
            "may_manage_admins": bool(self.may_manage_admins),
            "service_account": int(self.service_account) if self.service_account.isdecimal() else None,
        }


def _line(number: int, line: str) -> ScimGroupRoles:
    """Returns the roles of a group that a line assigns."""
    group, colon, listed = line.strip().rpartition(":")
    roles = [_ROLES.get(name.strip().lower()) for name in listed.split(",")]
    group = group.strip()
    by_id, named = group.startswith(_BY_ID), group.removeprefix(_BY_ID).strip()
    if not colon or not 0 < len(named) <= 255 or None in roles:
        told = _("Enter a group, a colon, and roles. For example, Line leads: Operator")
        raise ValidationError(details=[(f"groupRoles[{number}]", told)])
    held = [role for role in Role if role in roles]
    return ScimGroupRoles(held, UNSET if by_id else named, named if by_id else UNSET)


def _typed_of(unit: TenantUnit, connection: Connection) -> ScimForm:
    """Returns the initial values of a connection's form; its roles are checkboxes."""
    lines = (
        f"{one.group or f'{_BY_ID}{one.external_id}'}: {', '.join(role.value for role in one.roles)}"
        for one in connection.of_groups
    )
    provider = None if connection.provider_id is None else providers.find_by_id(unit, connection.provider_id)
    return ScimForm(
        provider=provider.name if provider is not None else "",
        group_roles="\n".join(lines),
        adopt_users="on" if connection.adopt_users else "",
        may_manage_admins="on" if connection.may_manage_admins else "",
        service_account=str(connection.service_id or ""),
    )


@brands.shows
def _list(ctx: RequestContext, call: PageCall[ScimForm | None], unit: TenantUnit) -> SimpleNamespace:
    return SimpleNamespace(
        path=LIST_PATH,
        rows=connections.list_all(unit),
        providers={one.id: one.display_name for one in providers.list_all(unit)},
        options=_providers(unit),
        typed=call.fields or ScimForm(),
        most=connections.MOST,
    )


def _providers(unit: TenantUnit) -> tuple[tuple[str, str], ...]:
    return ("", _("None")), *((one.name, one.display_name) for one in providers.list_all(unit))


async def _create(ctx: RequestContext, call: PageCall[ScimForm]) -> View | Answer[None]:
    form = call.fields
    name, given = form.name.strip(), {"provider": form.provider or None}
    made, token = await ctx.store.write(lambda unit: connections.create(unit, ctx, name, given))
    return call.show_once(PATH.format(connection=made.name), token.text)


@brands.shows
def _show(ctx: RequestContext, call: PageCall[ScimForm | None], unit: TenantUnit) -> SimpleNamespace:
    connection = connections.get(unit, call.path["connection"])
    typed = call.fields if call.fields is not None and call.fields.act == "change" else None
    accounts, _cursor = service_accounts.LISTING.read(unit, service_accounts.MOST, "", "ID", Filters())
    return SimpleNamespace(
        path=PATH.format(connection=connection.name),
        connection=connection,
        base_url=connections.base_url(ctx.services.settings.oauth_issuer, ctx.user.client),
        tokens=[one for one in connections.live_tokens(unit, ctx.now) if one.connection_id == connection.id],
        most_tokens=MOST_TOKENS,
        days=call.fields.expires_in_days if call.fields is not None else DEFAULT_DAYS,
        bounds=(LEAST_DAYS, MOST_DAYS),
        by_admin=rank.is_admin(ctx),
        typed=typed or _typed_of(unit, connection),
        boxes=boxes(typed.roles if typed else connection.default_roles, admin=False),
        providers=_providers(unit),
        accounts=(("", _("None")), *((str(one.id), one.name) for one in accounts)),
        once=call.shown_as(str),
    )


async def _confirm(ctx: RequestContext, call: PageCall[ScimForm]) -> Confirmation | None:
    form, name = call.fields, call.path["connection"]
    await ctx.store.read(lambda unit: connections.get(unit, name))
    if form.act == "delete":
        effects = (
            _("Its tokens stop working immediately."),
            _("Its users stay, with their roles, and you can edit them again."),
        )
        return Confirmation(_("Delete %(name)s?"), effects, _("Delete SCIM connection"), name=name)
    if form.act != "revoke":
        return None
    live = await ctx.store.read(lambda unit: connections.live_tokens(unit, ctx.now))
    return words.REVOKES._replace(name=existing(next((one.hint for one in live if one.id == form.of), None)))


async def _act(ctx: RequestContext, call: PageCall[ScimForm]) -> View | Answer[None]:
    name = call.path["connection"]
    if call.fields.act == "change":
        with frame.naming_lines():
            await saving.change(ctx, lambda unit: unit.of(ctx.user.tenant_id), name, call.fields.given())
        return flash.after(ctx, PATH.format(connection=name), "changed")
    done, work = chosen(_ACTS, call.fields.act)
    outcome = await ctx.store.write(lambda unit: work(unit, ctx, name, call.fields))
    if isinstance(outcome, str):
        return call.show_once(PATH.format(connection=name), outcome)
    return flash.after(ctx, LIST_PATH if done == "deleted" else PATH.format(connection=name), done)


#: By action, except for ``change``: the keyword of the result and the function, which returns a token that is shown
#: once, or an ignored value.
_ACTS: dict[str, tuple[str, Callable[[TenantUnit, RequestContext, str, ScimForm], object]]] = {
    "delete": ("deleted", lambda unit, ctx, name, form: connections.remove(unit, ctx, name)),
    "token": ("", lambda unit, ctx, name, form: connections.create_token(unit, ctx, name, form.expires_in_days).text),
    "revoke": ("revoked", lambda unit, ctx, name, form: connections.revoke_token(unit, ctx, name, form.of)),
}
_LIST_TEMPLATE, _TEMPLATE = "console/scim_connections.html", "console/scim_connection.html"

ROUTES = (
    settings_page("GET", LIST_PATH, _list, _LIST_TEMPLATE, "SCIM connections of the client", said=LIST_DONE),
    settings_page("POST", LIST_PATH, _create, _LIST_TEMPLATE, "Create a SCIM connection"),
    settings_page("GET", PATH, _show, _TEMPLATE, "Get a SCIM connection, with its tokens", said=DONE),
    settings_page(
        "POST",
        PATH,
        _act,
        _TEMPLATE,
        "Change or delete a SCIM connection; create and revoke tokens",
        confirms=_confirm,
    ),
)
