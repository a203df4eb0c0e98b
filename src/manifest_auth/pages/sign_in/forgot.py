"""``/forgot``: a link for a new password, by e-mail.

The answer is always the same.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer
from manifest_auth.http.cookies import browser_of
from manifest_auth.pages import brands
from manifest_auth.pages.call import PageCall, View, see_other
from manifest_auth.pages.routing import page
from manifest_auth.pages.sign_in import state as states
from manifest_auth.pages.sign_in import ways
from manifest_auth.pages.sign_in.state import State
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import password_reset
from manifest_auth.sign_in.password import Claim
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _

PATH = "/forgot"
TEMPLATE = "sign_in/forgot.html"


class ForgotQuery(msgspec.Struct, frozen=True):
    """``sent``: 1 after the form was posted."""

    s: Annotated[str, Meta(max_length=8000)] = ""
    sent: str = ""


class ForgotForm(msgspec.Struct, frozen=True):
    s: str = ""
    email: fields.TypedEmail = ""


class ForgotView(msgspec.Struct, frozen=True):
    """``mails``: whether this server can send e-mails at all; ``back``: address of the sign-in."""

    s: str
    email: str
    mails: bool
    sent: bool
    back: str


async def _form(ctx: RequestContext, call: PageCall[Any], s: str, email: str | None, *, sent: bool = False) -> View:
    state = await states.unseal(ctx, call.form_cookie, s) or State()
    tenant = await ways.client_of(ctx, state)
    fresh = states.seal(ctx, call.form_cookie, state)
    view = ForgotView(
        s=fresh,
        email=state.email if email is None else email,
        mails=ctx.services.mail.is_set_up,
        sent=sent,
        back=ways.address("/sign-in", fresh),
    )
    call.here = ways.address(PATH, fresh) + ("&sent=1" if sent else "")
    return View(view, brand=brands.of_client(tenant))


async def _show(ctx: RequestContext, call: PageCall[ForgotQuery]) -> View | Answer[None]:
    return await _form(ctx, call, call.fields.s, None, sent=bool(call.fields.sent))


async def _again(ctx: RequestContext, call: PageCall[ForgotForm]) -> View | Answer[None]:
    return await _form(ctx, call, call.fields.s, call.fields.email)


async def _forgot(ctx: RequestContext, call: PageCall[ForgotForm]) -> View | Answer[None]:
    form = call.fields
    state = await states.unseal(ctx, call.form_cookie, form.s) or State()
    if len(form.email) < 3 or "@" not in form.email:
        raise ValidationError(details=[("email", _("Not a valid e-mail address"))])
    await password_reset.forgot(ctx, Claim(form.email, state.client or None, browser_of(ctx, call.head).devices))
    s = states.seal(ctx, call.form_cookie, msgspec.structs.replace(state, email=form.email))
    return see_other(f"{ways.address(PATH, s)}&sent=1")


ROUTES = (
    page("GET", PATH, _show, TEMPLATE, "Ask for a new password"),
    page("POST", PATH, _forgot, TEMPLATE, "Have a link for a new password mailed", again=_again),
)
