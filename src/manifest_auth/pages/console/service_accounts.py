"""``/console/service-accounts``: machines that call the API, with their API keys and client secrets."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth.accounts import rank, service_accounts
from manifest_auth.accounts.service_accounts import (
    DEFAULT_DAYS,
    DEFAULT_OVERLAP_H,
    MOST_DAYS,
    MOST_OVERLAP_H,
    NOTICE_DAYS,
    ServiceAccount,
    ServiceAccountData,
)
from manifest_auth.errors import Forbidden, ValidationError, existing
from manifest_auth.http import Answer
from manifest_auth.pages import brands, flash, words
from manifest_auth.pages.call import Confirmation, PageCall, View, chosen
from manifest_auth.pages.console import frame
from manifest_auth.pages.console.audit import Names
from manifest_auth.pages.console.frame import RoleBox, RolesForm, boxes
from manifest_auth.pages.routing import users_page
from manifest_auth.permissions import Role
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.text import fields
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.machine_secrets import SecretKind

_DAY_MS = 86_400_000


class AccountForm(RolesForm, frozen=True, rename="camel", kw_only=True):
    """The form of an account. ``addresses``: one network per line; ``jwks``: JSON."""

    name: Annotated[str, Meta(max_length=63)] = ""
    description: Annotated[str, Meta(max_length=1000)] = ""
    addresses: Annotated[str, Meta(max_length=4000)] = ""
    may_introspect: str = ""
    may_forward_address: str = ""
    jwks: str = ""

    def given(self) -> dict[str, Any]:
        """Returns the settings in the form that :func:`.service_accounts.create` accepts. Raises ValidationError."""
        if not self.roles:
            raise ValidationError(details=[("roles", _("Choose at least one role"))])
        return {
            "name": self.name.strip(),
            "roles": self.roles,
            "description": self.description.replace("\r\n", "\n").strip(),
            "addresses": tuple(line.strip() for line in self.addresses.splitlines() if line.strip()),
            "may_introspect": bool(self.may_introspect),
            "may_forward_address": bool(self.may_forward_address),
            "jwks": service_accounts.key_set_in(self.jwks),
        }


def typed_of(account: ServiceAccount) -> AccountForm:
    """Returns the initial values of an account's form; its roles are checkboxes (:func:`boxes_for`)."""
    keys = "" if account.jwks is None else msgspec.json.format(account.jwks, indent=2)
    return AccountForm(
        name=account.name,
        description=account.description,
        addresses="\n".join(account.addresses.split(",")),
        may_introspect="on" if account.may_introspect else "",
        may_forward_address="on" if account.may_forward_address else "",
        jwks=keys,
    )


def boxes_for(unit: TenantUnit, ctx: RequestContext, ticked: int) -> tuple[RoleBox, ...]:
    """Returns the roles that the viewer can give a machine: never Admin, and User Admin only for an Admin."""
    offers_all = rank.manager(unit, ctx).is_admin
    offered = boxes(ticked, admin=False)
    return tuple(box for box in offered if offers_all or box.name != Role.USER_ADMIN.value)


ACCOUNTS_PATH = "/console/service-accounts"
NEW = f"{ACCOUNTS_PATH}/new"
ACCOUNTS_DONE = {"deleted": _("Service account and its keys deleted.")}


@brands.shows
def _list(ctx: RequestContext, call: PageCall[None], unit: TenantUnit) -> SimpleNamespace:
    accounts, _ = service_accounts.LISTING.read(unit, service_accounts.MOST, "", "ID", Filters())
    live = service_accounts.live_secrets(unit, [one.id for one in accounts], ctx.now)
    rows = tuple(ServiceAccountData.of_row(one, live) for one in accounts)
    return SimpleNamespace(rows=rows, most=service_accounts.MOST)


@brands.shows
def _ask(ctx: RequestContext, call: PageCall[AccountForm | None], unit: TenantUnit) -> SimpleNamespace:
    typed = call.fields or AccountForm(role_viewer="on")
    boxes = boxes_for(unit, ctx, typed.roles)
    return SimpleNamespace(path=NEW, typed=typed, boxes=boxes, most_keys=service_accounts.MOST_KEYS)


async def _create(ctx: RequestContext, call: PageCall[AccountForm]) -> View | Answer[None]:
    given = call.fields.given()
    made = await ctx.store.write(lambda unit: service_accounts.create(unit, ctx, given))
    return flash.after(ctx, f"{ACCOUNTS_PATH}/{made.id}", "created")


_NEW = "console/service_account_new.html"


ACCOUNT_PATH = f"{ACCOUNTS_PATH}/{{id}}"
ACCOUNT_DONE = {
    "created": _("Service account created. Create an API key for it."),
    "changed": _("Changes saved. They take effect immediately."),
    "disabled": _("Service account disabled. Its keys and tokens are rejected."),
    "enabled": _("Service account enabled."),
    "revoked": _("Revoked. It no longer works."),
}
_KINDS = {"key": SecretKind.API_KEY, "secret": SecretKind.CLIENT_SECRET}
OVERLAPS = (
    (0, _("Expires immediately")),
    (1, _("Expires in 1 hour")),
    (DEFAULT_OVERLAP_H, _("Expires in 1 day")),
    (72, _("Expires in 3 days")),
    (MOST_OVERLAP_H, _("Expires in 7 days")),
)


class ActForm(AccountForm, frozen=True, rename="camel", kw_only=True):
    """The form of the page. ``act``: which form it is; ``kind``: ``key`` or ``secret``; ``secret``: its ID;
    ``confirm_name``: typed to confirm that the account is deleted."""

    act: str = ""
    kind: str = ""
    secret: fields.TypedToken = ""
    label: Annotated[str, Meta(max_length=1000)] = ""
    expires_in_days: int = DEFAULT_DAYS
    overlap_hours: int = DEFAULT_OVERLAP_H
    confirm_name: str = ""


class OneTimeSecret(msgspec.Struct, frozen=True):
    """A new secret, shown once. ``old_ends_at``: when the replaced one expires, in milliseconds, or 0."""

    kind: str
    text: str
    ends_at: int
    old_ends_at: int = 0


@brands.shows
def _show(ctx: RequestContext, call: PageCall[ActForm | None], unit: TenantUnit) -> SimpleNamespace:
    typed, account, why_not = call.fields, service_accounts.get(unit, frame.number_in(call)), ""
    act = typed.act if typed is not None else ""
    try:
        service_accounts.check_may_give(unit, ctx, account.roles, account=account)
    except Forbidden as refusal:
        why_not = refusal.message
    live = service_accounts.live_secrets(unit, [account.id], ctx.now)
    changed = typed if typed is not None and act == "change" else None
    return SimpleNamespace(
        path=ACCOUNT_PATH.format(id=account.id),
        account=ServiceAccountData.of_row(account, live),
        soon=when(ctx.now + NOTICE_DAYS[0] * _DAY_MS),
        created_by=Names(unit, actors=[account.created_by]).part(account.created_by, {}),
        why_not=why_not,
        boxes=boxes_for(unit, ctx, changed.roles if changed else account.roles),
        typed=changed or typed_of(account),
        new=typed if typed is not None and act == "make" else ActForm(kind="key"),
        confirm_name=typed.confirm_name if typed is not None else "",
        once=call.shown_as(OneTimeSecret),
        overlaps=OVERLAPS,
        default_overlap=DEFAULT_OVERLAP_H,
        most_days=MOST_DAYS,
        most_keys=service_accounts.MOST_OF[SecretKind.API_KEY],
        most_secrets=service_accounts.MOST_OF[SecretKind.CLIENT_SECRET],
        most_public=service_accounts.MOST_KEYS,
    )


async def _confirm(ctx: RequestContext, call: PageCall[ActForm]) -> Confirmation | None:
    account_id, form = frame.number_in(call), call.fields
    if form.act != "revoke":
        return None
    live = await ctx.store.read(lambda unit: service_accounts.live_secrets(unit, [account_id], ctx.now))
    return words.REVOKES._replace(name=existing(next((one.hint for one in live if one.id == form.secret), None)))


async def _act(ctx: RequestContext, call: PageCall[ActForm]) -> View | Answer[None]:
    account_id, (done, work) = frame.number_in(call), chosen(_ACTS, call.fields.act)
    outcome = await ctx.store.write(lambda unit: work(unit, ctx, account_id, call.fields))
    if isinstance(outcome, OneTimeSecret):
        return call.show_once(ACCOUNT_PATH.format(id=account_id), outcome)
    return flash.after(ctx, ACCOUNTS_PATH if done == "deleted" else ACCOUNT_PATH.format(id=account_id), done)


def _delete(unit: TenantUnit, ctx: RequestContext, account_id: int, form: ActForm) -> None:
    if form.confirm_name.strip() != service_accounts.get(unit, account_id).name:
        raise ValidationError(details=[("confirmName", _("Enter the name of the service account"))])
    service_accounts.delete(unit, ctx, account_id)


def _make(unit: TenantUnit, ctx: RequestContext, account_id: int, form: ActForm) -> OneTimeSecret:
    kind, label = _kind(form), form.label.strip()
    made = service_accounts.make_secret(unit, ctx, account_id, kind, label, form.expires_in_days)
    return OneTimeSecret(form.kind, made.text, made.secret.ends_at)


def _rotate(unit: TenantUnit, ctx: RequestContext, account_id: int, form: ActForm) -> OneTimeSecret:
    made = service_accounts.rotate_secret(unit, ctx, account_id, _kind(form), form.secret, form.overlap_hours)
    live = service_accounts.live_secrets(unit, [account_id], ctx.now)
    old_ends_at = next((one.ends_at for one in live if one.id == form.secret), ctx.now)
    return OneTimeSecret(form.kind, made.text, made.secret.ends_at, old_ends_at)


def _kind(form: ActForm) -> SecretKind:
    if form.kind not in _KINDS:
        raise ValidationError(details=[("kind", _("Choose an API key or a client secret"))])
    return _KINDS[form.kind]


#: By action, the keyword of the result and the function, which returns a secret that is shown once, or an ignored
#: value.
_ACTS: dict[str, tuple[str, Callable[[TenantUnit, RequestContext, int, ActForm], object]]] = {
    "change": ("changed", lambda unit, ctx, account, form: service_accounts.change(unit, ctx, account, form.given())),
    "disable": ("disabled", lambda unit, ctx, account, form: service_accounts.disable(unit, ctx, account)),
    "enable": ("enabled", lambda unit, ctx, account, form: service_accounts.enable(unit, ctx, account)),
    "delete": ("deleted", _delete),
    "make": ("", _make),
    "rotate": ("", _rotate),
    "revoke": (
        "revoked",
        lambda unit, ctx, account, form: service_accounts.revoke_secret(unit, ctx, account, _kind(form), form.secret),
    ),
}
_TEMPLATE = "console/service_account.html"


ROUTES = (
    users_page(
        "GET",
        ACCOUNTS_PATH,
        _list,
        "console/service_accounts.html",
        "Service accounts, which call the API",
        said=ACCOUNTS_DONE,
    ),
    users_page("GET", NEW, _ask, _NEW, "A new service account"),
    users_page("POST", NEW, _create, _NEW, "Create a service account"),
    users_page("GET", ACCOUNT_PATH, _show, _TEMPLATE, "Get a service account, with its valid keys", said=ACCOUNT_DONE),
    users_page(
        "POST",
        ACCOUNT_PATH,
        _act,
        _TEMPLATE,
        "Change a service account; create, rotate, and revoke its keys",
        confirms=_confirm,
    ),
)
