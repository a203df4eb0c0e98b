"""``/installation/account``: a system admin's own password, second factor and sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from manifest_auth.accounts.admins import management, second_factor
from manifest_auth.accounts.admins.management import OwnSession
from manifest_auth.errors import InvalidCredentials, ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages import flash, qr_codes, step_up
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.routing import ADMIN_ACCOUNT, admin_page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_accounts
from manifest_auth.sign_in.admin_accounts import Credentials
from manifest_auth.sign_in.second_factor.enrollment import TotpSecretData
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import PasswordRules
from manifest_auth.text import fields

PATH = ADMIN_ACCOUNT
_TEMPLATE = "installation/account.html"
DONE = {
    "password": "Your password is changed, and your other sessions have ended.",
    "removed": "Your second factor is removed. The password alone signs you in.",
    "ended": "Your other sessions have ended.",
}
T = TypeVar("T")
Text = fields.TypedPassword


class AccountForm(msgspec.Struct, frozen=True, rename="camel"):
    """``act``: what to do. Each form has a password and a code of its own, so that what is wrong stands beside the
    right one. ``secret``: that of the second factor that is being added, shown again until a code confirms it."""

    act: Text = ""
    current_password: Text = ""
    new_password: Text = ""
    otp: Text = ""
    factor_password: Text = ""
    factor_otp: Text = ""
    secret: Annotated[str, Meta(max_length=64, pattern=r"^[A-Z2-7]*$")] = ""


class AccountView(msgspec.Struct, frozen=True):
    """``new``: a second factor that is being added, None for none; ``codes``: recovery codes, to be shown this
    once."""

    username: str
    is_limited: bool
    has_factor: bool
    is_required: bool
    codes_left: int
    min_length: int
    done: str
    new: TotpSecretData | None
    codes: tuple[str, ...]
    sessions: tuple[OwnSession, ...]
    this_session: str


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _view(ctx, flash.sentence(ctx, call, DONE))


async def _again(ctx: RequestContext, call: PageCall[AccountForm]) -> View | Answer[None]:
    return await _view(ctx, secret=call.fields.secret if call.fields.act == "confirm" else "")


async def _view(ctx: RequestContext, done: str = "", secret: str = "", codes: tuple[str, ...] = ()) -> View:
    me, new = ctx.admin, await new_factor(ctx, secret) if secret else None

    def read(unit: SystemUnit) -> AccountView:
        has_factor = second_factor.is_enrolled(unit, me.admin_id)
        return AccountView(
            username=me.username,
            is_limited=me.limited and not has_factor,
            has_factor=has_factor,
            is_required=second_factor.is_required(unit),
            codes_left=second_factor.codes_left(unit, me.admin_id),
            min_length=PasswordRules().min_length,
            done=done,
            new=new,
            codes=codes,
            sessions=tuple(management.open_sessions(unit, me.admin_id, ctx.now)),
            this_session=me.session_id,
        )

    return View(await ctx.services.store.read(read))


async def new_factor(ctx: RequestContext, secret: str) -> TotpSecretData:
    """What the page shows of a secret of the caller's; ``qr`` is markup. ``secret``: base32."""
    uri = admin_accounts.app_address(ctx, secret)
    return TotpSecretData(secret, uri, await qr_codes.qr_code(uri, "QR code with the key for your authenticator app"))


async def _act(ctx: RequestContext, call: PageCall[AccountForm]) -> View | Answer[None]:
    act = _ACTS.get(call.fields.act)
    if act is None:
        raise ValidationError(reason="no such act")
    done = await act(ctx, call.fields)
    return done if isinstance(done, View) else flash.after(ctx, PATH, done)


async def _password(ctx: RequestContext, form: AccountForm) -> str:
    shown = Credentials(form.current_password, form.otp.strip() or None)
    try:
        await admin_accounts.change_password(ctx, shown, form.new_password)
    except InvalidCredentials as refusal:
        raise step_up.beside_proof(refusal, "currentPassword", "otp") from None
    return "password"


async def _end(ctx: RequestContext, form: AccountForm) -> str:
    await admin_accounts.end_other_sessions(ctx)
    return "ended"


async def _add(ctx: RequestContext, form: AccountForm) -> View:
    """The secret is shown this once, so no redirect comes before it."""
    return await _view(ctx, secret=await _with_proof(form, lambda shown: admin_accounts.enrol(ctx, shown)))


async def _confirm(ctx: RequestContext, form: AccountForm) -> View:
    try:
        codes = await _with_proof(
            form, lambda shown: admin_accounts.confirm(ctx, shown.password, form.factor_otp.strip())
        )
    except ValidationError as refusal:
        details = [("factorOtp" if field == "otp" else field, sentence) for field, sentence in refusal.details]
        raise ValidationError(details=details, reason=refusal.reason) from None
    return await _view(ctx, codes=codes)


async def _codes(ctx: RequestContext, form: AccountForm) -> View:
    return await _view(ctx, codes=await _with_proof(form, lambda shown: admin_accounts.new_codes(ctx, shown)))


async def _remove(ctx: RequestContext, form: AccountForm) -> str:
    await _with_proof(form, lambda shown: admin_accounts.remove(ctx, shown))
    return "removed"


async def _with_proof(form: AccountForm, work: Callable[[Credentials], Awaitable[T]]) -> T:
    try:
        return await work(Credentials(form.factor_password, form.factor_otp.strip() or None))
    except InvalidCredentials as refusal:
        raise step_up.beside_proof(refusal, "factorPassword", "factorOtp") from None


#: Each returns a word of :data:`DONE`, or what is to be shown once.
_ACTS: dict[str, Callable[[RequestContext, AccountForm], Awaitable[str | View]]] = {
    "password": _password,
    "end-others": _end,
    "add": _add,
    "confirm": _confirm,
    "codes": _codes,
    "remove": _remove,
}
ROUTES = (
    admin_page("GET", PATH, _show, _TEMPLATE, "A system admin's own account"),
    admin_page("POST", PATH, _act, _TEMPLATE, "Change the own password, second factor or sessions", again=_again),
)
