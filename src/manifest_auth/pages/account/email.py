"""``/account/email``: asks for another address, which takes effect when its mailbox confirms."""

from __future__ import annotations

import msgspec

from manifest_auth.accounts import users
from manifest_auth.accounts.users import email_changes
from manifest_auth.http import Answer
from manifest_auth.pages import said
from manifest_auth.pages.account.frame import AccountView, just_done, shown
from manifest_auth.pages.call import PageCall, View, require
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import email_change
from manifest_auth.store import TenantUnit

PATH = "/account/email"
TEMPLATE = "account/email.html"


class EmailForm(msgspec.Struct, frozen=True, rename="camel"):
    new_email: str = ""
    current_password: str = ""


class EmailView(AccountView, frozen=True, kw_only=True):
    """``is_proved``: a link in an e-mail to it was followed; ``pending``: the address that waits to be confirmed, until
    ``until`` (milliseconds since 1970); ``why_not``: why no other can be asked for, a message of the catalogue, empty
    where one can; ``typed``: what was asked for before."""

    email: str
    is_proved: bool
    pending: str
    until: int
    why_not: str
    typed: str = ""


def _view(unit: TenantUnit, ctx: RequestContext, done: str = "", typed: str = "") -> EmailView:
    user = users.get(unit, ctx.user.user_id)
    waiting = email_changes.pending_rows(unit, [user.id]).get(user.id)
    pending = waiting if waiting is not None and waiting.is_pending(ctx.now) else None
    return EmailView(
        said=done,
        email=user.email,
        is_proved=user.email_proved_at is not None,
        pending=pending.new_email if pending else "",
        until=pending.expires_at if pending else 0,
        why_not=email_change.why_not(ctx, user),
        typed=typed,
    )


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    done = just_done(ctx, call)
    return await shown(ctx, lambda unit: _view(unit, ctx, done))


async def _again(ctx: RequestContext, call: PageCall[EmailForm]) -> View | Answer[None]:
    return await shown(ctx, lambda unit: _view(unit, ctx, typed=call.fields.new_email))


async def _ask(ctx: RequestContext, call: PageCall[EmailForm]) -> View | Answer[None]:
    form = call.fields
    require(newEmail=form.new_email, currentPassword=form.current_password)
    await email_change.start_own(ctx, form.new_email, form.current_password)
    return said.after(ctx, PATH, "email")


ROUTES = (
    page("GET", PATH, _show, TEMPLATE, "One's e-mail address", audience=Audience.SIGNED_IN),
    page("POST", PATH, _ask, TEMPLATE, "Ask for another", audience=Audience.SIGNED_IN, again=_again),
)
