"""``/console/service-accounts/{id}``: one service account, its API keys and client secrets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.accounts import service_accounts
from manifest_auth.accounts.service_accounts import (
    DEFAULT_DAYS,
    DEFAULT_OVERLAP_H,
    MOST_DAYS,
    MOST_OVERLAP_H,
    NewSecret,
)
from manifest_auth.errors import Forbidden, ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages import said
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console import frame, service_account_views
from manifest_auth.pages.console.roles import RoleBox
from manifest_auth.pages.console.service_account_views import AccountForm, SecretRow
from manifest_auth.pages.console.service_accounts import PATH as LIST
from manifest_auth.pages.console.trail import Names, Part
from manifest_auth.pages.routing import Audience, page
from manifest_auth.permissions import Permission, permissions_in, role_names
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.text import fields
from manifest_auth.text.machine_secrets import SecretKind

PATH = f"{LIST}/{{id}}"
DONE = {
    "created": "The service account is made. Make a key for it.",
    "changed": "The service account is changed. It counts from the next request on.",
    "disabled": "The service account is disabled: none of its keys and tokens is good.",
    "enabled": "The service account may call again.",
    "revoked": "It is revoked, and good for nothing any more.",
}
_KINDS = {"key": SecretKind.API_KEY, "secret": SecretKind.CLIENT_SECRET}
_OVERLAPS = ((0, "It ends at once"), (1, "1 hour more"), (DEFAULT_OVERLAP_H, "1 day more"), (72, "3 days more"),
             (MOST_OVERLAP_H, "7 days more"))  # fmt: skip


class ActForm(AccountForm, frozen=True, rename="camel", kw_only=True):
    """``act``: which of the page's forms; ``kind``: ``key`` or ``secret``; ``secret``: which one it is about;
    ``confirm_name``: typed before the account is deleted."""

    act: str = ""
    kind: str = ""
    secret: fields.TypedToken = ""
    label: Annotated[str, Meta(max_length=1000)] = ""
    expires_in_days: int = DEFAULT_DAYS
    overlap_hours: int = DEFAULT_OVERLAP_H
    confirm_name: str = ""


class Once(msgspec.Struct, frozen=True):
    """A new secret, shown this once. ``old_ends_at``: of the one that it replaces, milliseconds, 0 for none."""

    kind: str
    text: str
    ends_at: int
    old_ends_at: int = 0


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """``why_not``: why who looks gives it nothing, empty where they may; ``scopes``: None: all that the roles allow;
    ``typed``: what its forms hold. Times in milliseconds."""

    path: str
    id: int
    name: str
    description: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...] | None
    addresses: tuple[str, ...]
    may_introspect: bool
    is_active: bool
    created_at: int
    created_by: Part
    why_not: str
    boxes: tuple[RoleBox, ...]
    typed: ActForm | AccountForm
    new: ActForm
    keys: tuple[SecretRow, ...]
    secrets: tuple[SecretRow, ...]
    confirm_name: str = ""
    done: str = ""
    once: Once | None = None
    overlaps: tuple[tuple[int, str], ...] = _OVERLAPS
    default_overlap: int = DEFAULT_OVERLAP_H
    most_days: int = MOST_DAYS
    most_keys: int = service_accounts.MOST_OF[SecretKind.API_KEY]
    most_secrets: int = service_accounts.MOST_OF[SecretKind.CLIENT_SECRET]
    most_public: int = service_accounts.MOST_KEYS


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _view(ctx, frame.number_in(call), done=said.sentence(ctx, call, DONE))


async def _again(ctx: RequestContext, call: PageCall[ActForm]) -> View | Answer[None]:
    return await _view(ctx, frame.number_in(call), typed=call.fields)


async def _view(
    ctx: RequestContext, account_id: int, *, typed: ActForm | None = None, done: str = "", once: Once | None = None
) -> View:
    act = typed.act if typed is not None else ""

    def work(unit: TenantUnit) -> AccountView:
        account, why_not = service_accounts.get(unit, account_id), ""
        try:
            service_accounts.check_may_give(unit, ctx, account.roles)
        except Forbidden as refusal:
            why_not = refusal.message
        live = service_accounts.live_secrets(unit, [account.id], ctx.now)
        changed = typed if typed is not None and act == "change" else None
        return AccountView(
            path=PATH.format(id=account.id),
            id=account.id,
            name=account.name,
            description=account.description,
            roles=role_names(account.roles),
            scopes=None if account.scopes is None else tuple(one.value for one in permissions_in(account.scopes)),
            addresses=tuple(account.addresses.split(",")) if account.addresses else (),
            may_introspect=bool(account.may_introspect),
            is_active=account.deactivated_at is None,
            created_at=account.created_at,
            created_by=Names(unit, actors=[account.created_by]).part(account.created_by, {}),
            why_not=why_not,
            boxes=service_account_views.boxes_for(unit, ctx, changed.roles if changed else account.roles),
            typed=changed or service_account_views.typed_of(account),
            new=typed if typed is not None and act == "make" else ActForm(kind="key"),
            keys=service_account_views.rows_of(live, SecretKind.API_KEY, ctx.now),
            secrets=service_account_views.rows_of(live, SecretKind.CLIENT_SECRET, ctx.now),
            confirm_name=typed.confirm_name if typed is not None else "",
            done=done,
            once=once,
        )

    return await frame.shown(ctx, work)


async def _act(ctx: RequestContext, call: PageCall[ActForm]) -> View | Answer[None]:
    account_id, act = frame.number_in(call), _ACTS.get(call.fields.act)
    if act is None:
        raise ValidationError(reason="no such act")
    outcome = await act(ctx, account_id, call.fields)
    if isinstance(outcome, Once):  # it cannot be shown again, so no redirect comes before it
        return await _view(ctx, account_id, once=outcome)
    return said.after(ctx, LIST if outcome == "deleted" else PATH.format(id=account_id), outcome)


async def _change(ctx: RequestContext, account_id: int, form: ActForm) -> str:
    given = form.given()
    await ctx.store.write(lambda unit: service_accounts.change(unit, ctx, account_id, given))
    return "changed"


async def _disable(ctx: RequestContext, account_id: int, form: ActForm) -> str:
    await ctx.store.write(lambda unit: service_accounts.disable(unit, ctx, account_id))
    return "disabled"


async def _enable(ctx: RequestContext, account_id: int, form: ActForm) -> str:
    await ctx.store.write(lambda unit: service_accounts.enable(unit, ctx, account_id))
    return "enabled"


async def _delete(ctx: RequestContext, account_id: int, form: ActForm) -> str:
    account = await ctx.store.read(lambda unit: service_accounts.get(unit, account_id))
    if form.confirm_name.strip() != account.name:
        raise ValidationError(details=[("confirmName", "Type the name of the service account")])
    await ctx.store.write(lambda unit: service_accounts.delete(unit, ctx, account_id))
    return "deleted"


async def _make(ctx: RequestContext, account_id: int, form: ActForm) -> Once:
    kind, random, label = _kind(form), ctx.services.random, form.label.strip()

    def work(unit: TenantUnit) -> NewSecret:
        return service_accounts.make_secret(unit, ctx, random, account_id, kind, label, form.expires_in_days)

    made = await ctx.store.write(work)
    return Once(form.kind, made.text, made.secret.ends_at)


async def _rotate(ctx: RequestContext, account_id: int, form: ActForm) -> Once:
    kind, random = _kind(form), ctx.services.random

    def work(unit: TenantUnit) -> tuple[NewSecret, int]:
        made = service_accounts.rotate_secret(unit, ctx, random, account_id, kind, form.secret, form.overlap_hours)
        live = service_accounts.live_secrets(unit, [account_id], ctx.now)
        return made, next((one.ends_at for one in live if one.id == form.secret), ctx.now)

    made, old_ends_at = await ctx.store.write(work)
    return Once(form.kind, made.text, made.secret.ends_at, old_ends_at)


async def _revoke(ctx: RequestContext, account_id: int, form: ActForm) -> str:
    kind = _kind(form)
    await ctx.store.write(lambda unit: service_accounts.revoke_secret(unit, ctx, account_id, kind, form.secret))
    return "revoked"


def _kind(form: ActForm) -> SecretKind:
    if form.kind not in _KINDS:
        raise ValidationError(details=[("kind", "Choose an API key or a client secret")])
    return _KINDS[form.kind]


#: Each returns a word of what was done, or the secret that is to be shown once.
_ACTS: dict[str, Callable[[RequestContext, int, ActForm], Awaitable[str | Once]]] = {
    "change": _change,
    "disable": _disable,
    "enable": _enable,
    "delete": _delete,
    "make": _make,
    "rotate": _rotate,
    "revoke": _revoke,
}
_TEMPLATE = "console/service_account.html"
ROUTES = (
    page("GET", PATH, _show, _TEMPLATE, "One service account, with its live keys", audience=Audience.SIGNED_IN,
         permission=Permission.USERS_MANAGE, english=True),
    page("POST", PATH, _act, _TEMPLATE, "Change a service account; make, rotate and revoke its keys",
         audience=Audience.SIGNED_IN, permission=Permission.USERS_MANAGE, english=True, again=_again),
)  # fmt: skip
