"""Recent proofs: the way to the page that asks for one, and password and code asked for again with a form."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from manifest_auth.accounts.admins import second_factor
from manifest_auth.errors import InvalidCredentials, ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages.call import AdminProof, PageCall, View, see_other
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_accounts
from manifest_auth.sign_in.admin_accounts import Credentials
from manifest_auth.sign_in.return_addresses import ACCOUNT, is_own_path

PATH = "/reauthenticate"


def asked_first(back: str) -> Answer[None]:
    """On to the question; nothing that was typed goes along. ``back``: the page to which it leads afterwards."""
    return see_other(address(back))


def address(back: str, way: str = "") -> str:
    """Of the question. ``way``: by which it is answered, empty for the usual one."""
    chosen = f"&way={way}" if way else ""
    return f"{PATH}?returnTo={quote(way_back(back), safe='/?=')}{chosen}"


def way_back(asked: str) -> str:
    """Where it leads afterwards: a page of ours that a sign-in may lead to, and not the question itself."""
    return asked if is_own_path(asked) and not asked.startswith(PATH) else ACCOUNT


# The page that asks for a proof has all that was entered before, in hidden fields, and posts to the same address:
# nothing is entered twice. It never has a password in it.


TEMPLATE = "installation/prove.html"
PASSWORD, OTP = "proofPassword", "proofOtp"
_SECRET = re.compile("code|otp|password|.*(Otp|Password)")  # such a field is entered again, never sent back


def proof_of(texts: dict[str, str]) -> AdminProof:
    """Takes the proof out of ``texts``, the fields of the submitted form; the others stay there."""
    password, otp = texts.pop(PASSWORD, None), texts.pop(OTP, None)
    waits = {name: text for name, text in texts.items() if not _SECRET.fullmatch(name)}
    return AdminProof(password, otp, waits)


async def check_proof(ctx: RequestContext, shown: AdminProof) -> None:
    """Verifies what was entered, if it was asked for; from then on it counts as fresh. Raises ValidationError,
    InvalidCredentials, RateLimited, Overloaded, InvalidToken."""
    if shown.password is None:
        return
    shown.is_wrong = True
    if not shown.password:
        raise ValidationError(details=[(PASSWORD, "Enter your password")])
    try:
        await admin_accounts.reauthenticate(ctx, Credentials(shown.password, shown.otp or None))
    except InvalidCredentials as refusal:
        raise beside_proof(refusal, PASSWORD, OTP) from None
    shown.is_wrong = False
    ctx.caller = replace(ctx.admin, proved_at=ctx.now)


def beside_proof(refusal: InvalidCredentials, password: str, otp: str) -> InvalidCredentials:
    """The refusal of a password or a code, with the field of a form that it is about."""
    is_code = any(field == "otp" for field, _ in refusal.details)
    sentence = refusal.details[0][1] if is_code else refusal.message
    return InvalidCredentials(details=[(otp if is_code else password, sentence)], reason=refusal.reason)


async def proof_view(ctx: RequestContext, call: PageCall[Any]) -> View:
    """The page that asks."""
    assert call.proof is not None
    me = ctx.admin.admin_id
    asks_code = await ctx.services.store.read(lambda unit: second_factor.is_enrolled(unit, me))
    model = SimpleNamespace(action=call.here, fields=tuple(call.proof.others.items()), asks_code=asks_code)
    return View(model, status=403, template=TEMPLATE)
