"""``/installation/admins`` and ``/installation/account``: the system admins, and the caller's account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from manifest_auth.accounts.admins import management, second_factor
from manifest_auth.errors import InvalidCredentials, NotFound, ValidationError
from manifest_auth.http import Answer
from manifest_auth.maintenance import system_admins
from manifest_auth.maintenance.system_admins import AdminMadeData
from manifest_auth.pages import flash, rendering, step_up, words
from manifest_auth.pages.call import Confirmation, PageCall, View, chosen
from manifest_auth.pages.console.frame import ListQuery, address, one_of
from manifest_auth.pages.routing import ADMIN_ACCOUNT, ADMIN_OVERVIEW, admin_page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_accounts
from manifest_auth.sign_in.admin_accounts import Credentials
from manifest_auth.store import Filters, SystemUnit
from manifest_auth.tenants import PasswordRules
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _

PATH = f"{ADMIN_OVERVIEW}/admins"
_SIZE = 50
_TEMPLATE = "installation/admins.html"
_STATES = {"": _("All"), "active": _("Active"), "disabled": _("Disabled")}
DONE = {
    "disabled": _("System admin disabled and signed out."),
    "enabled": _("System admin enabled."),
    "factor": _("Second factor removed. The next sign-in requires only the password."),
    "ended": _("All sessions of the system admin ended."),
}
Text = Annotated[str, Meta(max_length=300)]


class AdminForm(msgspec.Struct, frozen=True):
    """The form of the page. ``act``: what to do with the system admin with the number ``id``, or to create one called
    ``username``."""

    act: Text = ""
    id: Text = ""
    username: Text = ""


async def _show(ctx: RequestContext, call: PageCall[ListQuery]) -> View | Answer[None]:
    return await _view(ctx, call.fields, made=call.shown_as(AdminMadeData))


async def _again(ctx: RequestContext, call: PageCall[AdminForm]) -> View | Answer[None]:
    return await _view(ctx, ListQuery(), call.fields.username)


async def _view(ctx: RequestContext, asked: ListQuery, username: str = "", made: AdminMadeData | None = None) -> View:
    state = one_of(asked.state, _STATES)
    filters = Filters(state).search(asked.q.strip().casefold())

    def read(unit: SystemUnit) -> SimpleNamespace:
        found, goes_on = management.LISTING.read(unit, _SIZE, asked.after, "USERNAME", filters)
        return SimpleNamespace(
            rows=tuple(found),
            me=ctx.admin.admin_id,
            query=msgspec.structs.replace(asked, state=state),
            states=tuple(_STATES.items()),
            is_narrowed=bool(asked.q or state),
            is_required=second_factor.is_required(unit),
            first=address(PATH, q=asked.q, state=state) if asked.after else "",
            next=address(PATH, q=asked.q, state=state, after=goes_on) if goes_on else "",
            username=username,
            made=made,
        )

    return View(await ctx.services.store.read(read))


async def _act(ctx: RequestContext, call: PageCall[AdminForm]) -> View | Answer[None]:
    form = call.fields
    if form.act == "make":
        return call.show_once(PATH, await system_admins.create(ctx, form.username.strip()))
    if form.act == "password":
        return call.show_once(PATH, await system_admins.reset_password(ctx, _id(form)))
    (done, act), admin_id = chosen(_ACTS, form.act), _id(form)
    await ctx.services.store.write(lambda unit: act(unit, ctx, admin_id))
    return flash.after(ctx, PATH, done)


async def _question(ctx: RequestContext, call: PageCall[AdminForm] | PageCall[AccountForm]) -> Confirmation | None:
    form, ask = call.fields, _ASKS.get(call.fields.act)
    if ask is None:
        return None

    def read(unit: SystemUnit) -> Confirmation:
        admin = management.get_listed(unit, _id(form) if isinstance(form, AdminForm) else ctx.admin.admin_id)
        ends = len(management.open_sessions(unit, admin.id, ctx.now)) - isinstance(form, AccountForm)
        return ask._replace(name=admin.username, effects=(words.ends_sessions(ends), *ask.effects))

    return await ctx.services.store.read(read)


#: The question before an action. The number of sessions that end comes first.
_ASKS = {
    "disable": Confirmation(
        _("Disable %(name)s?"), (_("They can't sign in until you enable their account."),), _("Disable")
    ),
    "factor": Confirmation(
        _("Remove the second factor of %(name)s?"),
        (_("After that, only a password protects their account."),),
        _("Remove factor"),
    ),
    "end": Confirmation(_("Sign out %(name)s everywhere?"), (), _("End all sessions")),
    "end-others": Confirmation(_("Sign out everywhere else?"), (), _("End all other sessions")),
}


def _id(form: AdminForm) -> int:
    if not (form.id.isascii() and form.id.isdigit() and len(form.id) < 19):
        raise NotFound()
    return int(form.id)


def _enable(unit: SystemUnit, ctx: RequestContext, admin_id: int) -> None:
    management.enable(unit, ctx, management.get_managed(unit, ctx, admin_id))


def _end(unit: SystemUnit, ctx: RequestContext, admin_id: int) -> None:
    management.sign_out_all(unit, ctx, admin_id)


#: By action, a keyword of :data:`DONE`, and the operation.
_ACTS: dict[str, tuple[str, Callable[[SystemUnit, RequestContext, int], None]]] = {
    "disable": ("disabled", management.disable),
    "enable": ("enabled", _enable),
    "factor": ("factor", management.reset_second_factor),
    "end": ("ended", _end),
}


ACCOUNT_PATH = ADMIN_ACCOUNT
_ACCOUNT_TEMPLATE = "installation/account.html"
ACCOUNT_DONE = {
    "password": _("Password changed. Your other sessions ended."),
    "removed": _("Second factor removed. You now sign in with only your password."),
    "ended": _("Your other sessions ended."),
}
T = TypeVar("T")
Password = fields.TypedPassword


class AccountForm(msgspec.Struct, frozen=True, rename="camel"):
    """The form of the caller's account. ``act``: what to do. Each form has its own password and code fields, so that
    errors appear next to the right one. ``secret``: the secret of the second factor that is being added, shown again
    until a code confirms it."""

    act: Password = ""
    current_password: Password = ""
    new_password: Password = ""
    otp: Password = ""
    factor_password: Password = ""
    factor_otp: Password = ""
    secret: Annotated[str, Meta(max_length=64, pattern=r"^[A-Z2-7]*$")] = ""


class ShownFactor(msgspec.Struct, frozen=True):
    """A secret that is shown once: the ``secret`` of a second factor being added, or recovery ``codes``."""

    secret: str = ""
    codes: tuple[str, ...] = ()


async def _show_account(ctx: RequestContext, call: PageCall[AccountForm | None]) -> View | Answer[None]:
    form, shown = call.fields, call.shown_as(ShownFactor) or ShownFactor()
    secret = form.secret if form and form.act == "confirm" else shown.secret
    return await _account_view(ctx, call, secret, shown.codes)


async def _account_view(
    ctx: RequestContext, call: PageCall[AccountForm | None], secret: str, codes: tuple[str, ...]
) -> View:
    me = ctx.admin
    new = await rendering.app_key(secret, admin_accounts.app_address(ctx, secret), call.language) if secret else None

    def read(unit: SystemUnit) -> SimpleNamespace:
        has_factor = second_factor.is_enrolled(unit, me.admin_id)
        return SimpleNamespace(
            username=me.username,
            is_limited=me.limited and not has_factor,
            has_factor=has_factor,
            is_required=second_factor.is_required(unit),
            codes_left=second_factor.codes_left(unit, me.admin_id),
            min_length=PasswordRules().min_length,
            new=new,
            codes=codes,
            sessions=tuple(management.open_sessions(unit, me.admin_id, ctx.now)),
            this_session=me.session_id,
        )

    return View(await ctx.services.store.read(read))


async def _act_account(ctx: RequestContext, call: PageCall[AccountForm]) -> View | Answer[None]:
    done = await chosen(_ACCOUNT_ACTS, call.fields.act)(ctx, call.fields)
    return call.show_once(ACCOUNT_PATH, done) if isinstance(done, ShownFactor) else flash.after(ctx, ACCOUNT_PATH, done)


async def _password(ctx: RequestContext, form: AccountForm) -> str:
    shown = Credentials(form.current_password, form.otp.strip() or None)
    try:
        await admin_accounts.change_password(ctx, shown, form.new_password)
    except InvalidCredentials as refusal:
        raise step_up.beside_proof(refusal, "currentPassword", "otp") from None
    return "password"


async def _end_others(ctx: RequestContext, form: AccountForm) -> str:
    await admin_accounts.end_other_sessions(ctx)
    return "ended"


async def _add(ctx: RequestContext, form: AccountForm) -> ShownFactor:
    return ShownFactor(secret=await admin_accounts.enrol(ctx, Credentials(None, None)))


async def _confirm(ctx: RequestContext, form: AccountForm) -> ShownFactor:
    try:
        codes = await admin_accounts.confirm(ctx, None, form.factor_otp.strip())
    except ValidationError as refusal:
        details = [("factorOtp" if field == "otp" else field, sentence) for field, sentence in refusal.details]
        raise ValidationError(details=details, reason=refusal.reason) from None
    return ShownFactor(codes=codes)


async def _codes(ctx: RequestContext, form: AccountForm) -> ShownFactor:
    return ShownFactor(codes=await _with_proof(form, lambda shown: admin_accounts.new_codes(ctx, shown)))


async def _remove(ctx: RequestContext, form: AccountForm) -> str:
    await _with_proof(form, lambda shown: admin_accounts.remove(ctx, shown))
    return "removed"


async def _with_proof(form: AccountForm, work: Callable[[Credentials], Awaitable[T]]) -> T:
    try:
        return await work(Credentials(form.factor_password, form.factor_otp.strip() or None))
    except InvalidCredentials as refusal:
        raise step_up.beside_proof(refusal, "factorPassword", "factorOtp") from None


#: Each returns a keyword of :data:`ACCOUNT_DONE`, or a value that is shown once.
_ACCOUNT_ACTS: dict[str, Callable[[RequestContext, AccountForm], Awaitable[str | ShownFactor]]] = {
    "password": _password,
    "end-others": _end_others,
    "add": _add,
    "confirm": _confirm,
    "codes": _codes,
    "remove": _remove,
}


ROUTES = (
    admin_page("GET", PATH, _show, _TEMPLATE, "System admins", said=DONE),
    admin_page(
        "POST",
        PATH,
        _act,
        _TEMPLATE,
        "Create, disable, enable, or reset a system admin",
        again=_again,
        confirms=_question,
    ),
    admin_page(
        "GET", ACCOUNT_PATH, _show_account, _ACCOUNT_TEMPLATE, "A system admin's own account", said=ACCOUNT_DONE
    ),
    admin_page(
        "POST",
        ACCOUNT_PATH,
        _act_account,
        _ACCOUNT_TEMPLATE,
        "Change your password, second factor, or sessions",
        confirms=_question,
    ),
)
