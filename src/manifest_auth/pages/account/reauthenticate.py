"""``/reauthenticate``: asks the one who is signed in for a recent proof, and goes back to where it was needed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth.context import Principal
from manifest_auth.errors import InvalidCredentials, ReauthenticationRequired
from manifest_auth.http import Answer
from manifest_auth.http.cookies import browser_of
from manifest_auth.pages import brands
from manifest_auth.pages import step_up as way_there
from manifest_auth.pages.account import identities
from manifest_auth.pages.call import PageCall, View, require, see_other
from manifest_auth.pages.routing import account_page
from manifest_auth.pages.sign_in import start
from manifest_auth.pages.sign_in.second_factor import FACTOR_WRONG, Code
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import reauthentication
from manifest_auth.sign_in.second_factor.gate import Answer as Given
from manifest_auth.tenants import step_up
from manifest_auth.text import fields

TEMPLATE = "account/reauthenticate.html"
Way = Literal["passkey", "otp", "recoveryCode", "password", "provider"]
ReturnTo = Annotated[str, Meta(max_length=6000)]


class ProofQuery(msgspec.Struct, frozen=True, rename="camel"):
    """``way``: that was chosen in place of the usual one."""

    return_to: ReturnTo = ""
    way: Way | Literal[""] = ""


class ProofForm(msgspec.Struct, frozen=True, rename="camel"):
    """``provider``: name of the one at which it is proved."""

    return_to: ReturnTo = ""
    way: Way = "password"
    current_password: fields.TypedPassword = ""
    otp: Code = ""
    recovery_code: Code = ""
    credential: start.Credential = ""
    provider: Annotated[str, Meta(max_length=63)] = ""


async def _ways(ctx: RequestContext, caller: Principal) -> list[Way]:
    """What can prove the caller here, the easiest first. A provider comes before a code that needs it."""
    wanted = await reauthentication.ways(ctx)
    first: Way = "password" if "password" in wanted else "provider"
    if not caller.factors:
        return [first]
    if first == "provider" and not step_up.has_recent_first(caller, ctx.now):
        codes: list[Way] = ["provider"]
    else:
        codes = [way for way in ("otp", "recoveryCode") if way in wanted]
    return ["passkey", *codes] if "credential" in wanted else codes


async def _show(ctx: RequestContext, call: PageCall[ProofQuery]) -> View | Answer[None]:
    return await _view(ctx, call, call.fields.return_to, call.fields.way)


async def _view(ctx: RequestContext, call: PageCall[Any], return_to: str, asked: str) -> View:
    caller = ctx.user
    ways, back = await _ways(ctx, caller), way_there.way_back(return_to)
    way = next((one for one in ways if one == asked), ways[0])
    call.here = way_there.address(back, way)
    is_code = way in ("otp", "recoveryCode")
    return brands.own_page(
        ctx,
        email=caller.email,
        return_to=back,
        way=way,
        others=tuple((one, way_there.address(back, one)) for one in ways if one != way),
        needs_password=way == "password" or (is_code and not step_up.has_recent_first(caller, ctx.now)),
        options=start.passkey_json(await reauthentication.options(ctx)) if way == "passkey" else "",
        providers=await reauthentication.at_providers(ctx) if way == "provider" else [],
        code_follows=bool(caller.factors),
    )


async def _prove(ctx: RequestContext, call: PageCall[ProofForm]) -> View | Answer[None]:
    form, back = call.fields, way_there.way_back(call.fields.return_to)
    if form.way == "provider":
        require(provider=form.provider)
        end = way_there.address(back) if ctx.user.factors else back  # a code completes it
        return identities.to_provider(ctx, call, await reauthentication.begin_at_provider(ctx, form.provider, end))
    password, given = _given(ctx, form)
    try:
        await reauthentication.reauthenticate(ctx, password, given, browser_of(ctx, call.head))
    except InvalidCredentials as refusal:
        if refusal.details and form.way in FACTOR_WRONG:
            details = [("" if form.way == "passkey" else form.way, FACTOR_WRONG[form.way])]
            raise InvalidCredentials(details=details, reason=refusal.reason, replay=refusal.replay) from None
        raise
    except ReauthenticationRequired:  # the proof at the provider became old meanwhile
        return way_there.asked_first(back)
    return see_other(back)


def _given(ctx: RequestContext, form: ProofForm) -> tuple[str | None, Given]:
    """Password and answer that were typed; those that are not asked for are left out. Raises ValidationError."""
    if form.way == "passkey":
        return None, Given(passkey=start.read_passkey(form.credential))
    wanted: dict[str, str] = {}
    typed = form.current_password or None
    if form.way == "password" or (step_up.uses_password(ctx.user) and not step_up.has_recent_first(ctx.user, ctx.now)):
        wanted["currentPassword"] = form.current_password
    code = (form.otp if form.way == "otp" else form.recovery_code).strip()
    if form.way != "password":
        wanted[form.way] = code
    require(**wanted)
    if form.way == "password":
        return typed, Given()
    return typed, Given(otp=code) if form.way == "otp" else Given(recovery_code=code)


ROUTES = (
    account_page("GET", way_there.PATH, _show, TEMPLATE, "Asks for a recent proof of who one is"),
    account_page("POST", way_there.PATH, _prove, TEMPLATE, "Proves it, and goes back", again=_show),
)
