"""Password and code once more, where an operation asks for them: the form that was posted waits, and is done with them.

The page that asks has all that was entered before, in hidden fields, and posts to the same address: nothing is entered
twice. It never has a password in it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec

from manifest_auth.accounts.admins import second_factor
from manifest_auth.errors import InvalidCredentials, ValidationError
from manifest_auth.pages.call import PageCall, Proof, View
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_own_account
from manifest_auth.sign_in.admin_own_account import Credentials

TEMPLATE = "installation/prove.html"
PASSWORD, OTP = "proofPassword", "proofOtp"
_SECRET = re.compile("code|otp|password|.*(Otp|Password)")  # such a field is entered again, never sent back


class ProveView(msgspec.Struct, frozen=True):
    """``fields``: names and values that wait; ``action``: where they go; ``back``: the page without them."""

    action: str
    fields: tuple[tuple[str, str], ...]
    asks_code: bool


def taken(texts: dict[str, str]) -> Proof:
    """Takes the proof out of ``texts``, the fields of the submitted form; the others stay there."""
    password, otp = texts.pop(PASSWORD, None), texts.pop(OTP, None)
    waits = {name: text for name, text in texts.items() if not _SECRET.fullmatch(name)}
    return Proof(password, otp, waits)


async def check(ctx: RequestContext, shown: Proof) -> None:
    """Verifies what was entered, if it was asked for; from then on it counts as fresh. Raises ValidationError,
    InvalidCredentials, RateLimited, Overloaded, InvalidToken."""
    if shown.password is None:
        return
    shown.is_wrong = True
    if not shown.password:
        raise ValidationError(details=[(PASSWORD, "Enter your password")])
    try:
        await admin_own_account.reauthenticate(ctx, Credentials(shown.password, shown.otp or None))
    except InvalidCredentials as refusal:
        raise beside(refusal, PASSWORD, OTP) from None
    shown.is_wrong = False
    ctx.caller = replace(ctx.admin, proved_at=ctx.now)


def beside(refusal: InvalidCredentials, password: str, otp: str) -> InvalidCredentials:
    """The refusal of a password or a code, with the field of a form that it is about."""
    is_code = any(field == "otp" for field, _ in refusal.details)
    sentence = refusal.details[0][1] if is_code else refusal.message
    return InvalidCredentials(details=[(otp if is_code else password, sentence)], reason=refusal.reason)


async def view(ctx: RequestContext, call: PageCall[Any]) -> View:
    """The page that asks."""
    assert call.proof is not None
    me = ctx.admin.admin_id
    asks_code = await ctx.services.store.read(lambda unit: second_factor.is_enrolled(unit, me))
    model = ProveView(call.here, tuple(call.proof.others.items()), asks_code)
    return View(model, status=403, template=TEMPLATE)
