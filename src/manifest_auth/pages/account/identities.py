"""``/account/identities`` and ``/reauthenticate``: linked accounts, and re-authentication."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth.accounts import users
from manifest_auth.context import Principal
from manifest_auth.errors import InvalidCredentials, ReauthenticationRequired
from manifest_auth.http import Answer, flow_cookie
from manifest_auth.http.cookies import browser_of
from manifest_auth.pages import brands, flash
from manifest_auth.pages import step_up as way_there
from manifest_auth.pages.call import Confirmation, PageCall, View, require, see_other
from manifest_auth.pages.routing import account_page
from manifest_auth.pages.sign_in import start, step
from manifest_auth.pages.sign_in.second_factor import FACTOR_WRONG, Code
from manifest_auth.pages.sign_in.step import State, StateQuery
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import identities, reauthentication
from manifest_auth.sign_in.identities import begin_linking, offered
from manifest_auth.sign_in.providers.kind import SignInStart
from manifest_auth.sign_in.second_factor.gate import Answer as Given
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.text import fields
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.throttle.limits import FLOW_LIFE_S

# A form post never redirects to another origin, so the provider is reached from this page, by a refresh or a link.


_IDENTITIES = "/account/identities"
PROVIDER_PATH = f"{_IDENTITIES}/provider"


def to_provider(ctx: RequestContext, call: PageCall[Any], started: SignInStart) -> Answer[None]:
    """Sends the browser to the provider, bound to the sign-in that was started there."""
    begun, settings = started.begun, ctx.services.settings
    cookie = flow_cookie(begun.cookie, begun.browser, FLOW_LIFE_S, settings, cross_site=started.cross_site)
    s = step.seal_state(ctx, _of_this(call), State(return_to=started.address))
    return see_other(f"{PROVIDER_PATH}?s={s}", (cookie,))


async def _to_provider_page(ctx: RequestContext, call: PageCall[StateQuery]) -> View | Answer[None]:
    state = await step.unseal_state(ctx, _of_this(call), call.fields.s)
    if state is None:
        return see_other(_IDENTITIES)
    return View(state.return_to, brand=brands.of_user(ctx.user))


def _of_this(call: PageCall[Any]) -> str:
    """Returns the holder of encrypted values that open only for this page and this session."""
    return f"link {call.session_id} {call.form_cookie}"


PATH = "/account/identities"
TEMPLATE = "account/identities.html"
_NEW_MS = 5 * 60_000
_UNLINKS = Confirmation(
    _("Unlink your account at %(name)s?"),
    (
        _("You can't sign in with it until you link it again."),
        _("Ends the other sessions in which you signed in with it."),
    ),
    _("Unlink account"),
)


class ChangeForm(msgspec.Struct, frozen=True):
    """One of two forms. ``link``: name of a provider; ``unlink``: ID of an identity."""

    link: Annotated[str, Meta(max_length=63)] = ""
    unlink: Annotated[int, Meta(ge=0, le=2**53)] = 0


@brands.shows
def _show(ctx: RequestContext, call: PageCall[None], unit: TenantUnit) -> SimpleNamespace:
    own = identities.own(unit, ctx)
    linked = {row.provider for row, _why in own}
    return SimpleNamespace(
        identities=own,
        new_since=when(ctx.now - _NEW_MS),
        offers=[one for one in offered(unit) if one.name not in linked],
        has_password=users.get(unit, ctx.user.user_id).password_hash is not None,
    )


async def _confirm(ctx: RequestContext, call: PageCall[ChangeForm]) -> Confirmation | None:
    own = await ctx.store.read(lambda unit: identities.own(unit, ctx))
    title = next((row.title for row, why in own if row.id == call.fields.unlink and not why), None)
    return None if title is None else _UNLINKS._replace(name=title)


async def _change(ctx: RequestContext, call: PageCall[ChangeForm]) -> View | Answer[None]:
    form = call.fields
    if form.unlink:
        await ctx.store.write(lambda unit: identities.unlink_own(unit, ctx, form.unlink))
        return flash.after(ctx, PATH, "unlinked")
    require(link=form.link)
    started = await begin_linking(ctx, form.link, PATH)
    return to_provider(ctx, call, started)


PROOF_TEMPLATE = "account/reauthenticate.html"
Way = Literal["passkey", "otp", "recoveryCode", "password", "provider"]
ReturnTo = Annotated[str, Meta(max_length=6000)]


class ProofQuery(msgspec.Struct, frozen=True, rename="camel"):
    """The query of the page. ``way``: the method that the user chose instead of the default."""

    return_to: ReturnTo = ""
    way: Way | Literal[""] = ""


class ProofForm(msgspec.Struct, frozen=True, rename="camel"):
    """The form of the page. ``provider``: the provider's name, to re-authenticate there."""

    return_to: ReturnTo = ""
    way: Way = "password"
    current_password: fields.TypedPassword = ""
    otp: Code = ""
    recovery_code: Code = ""
    credential: start.Credential = ""
    provider: Annotated[str, Meta(max_length=63)] = ""


async def _ways(ctx: RequestContext, caller: Principal) -> list[Way]:
    """Lists the methods to re-authenticate the caller here, easiest first. A provider comes before a code that needs
    it."""
    wanted = await reauthentication.ways(ctx)
    first: Way = "password" if "password" in wanted else "provider"
    if not caller.factors:
        return [first]
    if first == "provider" and not step_up.has_recent_first(caller, ctx.now):
        codes: list[Way] = ["provider"]
    else:
        codes = [way for way in ("otp", "recoveryCode") if way in wanted]
    return ["passkey", *codes] if "credential" in wanted else codes


async def _show_proof(ctx: RequestContext, call: PageCall[ProofQuery]) -> View | Answer[None]:
    return await _proof_view(ctx, call, call.fields.return_to, call.fields.way)


async def _proof_view(ctx: RequestContext, call: PageCall[Any], return_to: str, asked: str) -> View:
    caller = ctx.user
    ways, back = await _ways(ctx, caller), way_there.way_back(return_to)
    way = next((one for one in ways if one == asked), ways[0])
    call.here = way_there.address(back, way)
    is_code = way in ("otp", "recoveryCode")
    return brands.own_page(
        ctx,
        email=caller.email,
        return_to=back,
        leaving=way_there.leaving(back),
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
        return to_provider(ctx, call, await reauthentication.begin_at_provider(ctx, form.provider, end))
    password, given = _given(ctx, form)
    try:
        await reauthentication.reauthenticate(ctx, password, given, browser_of(ctx, call.head))
    except InvalidCredentials as refusal:
        if refusal.details and form.way in FACTOR_WRONG:
            details = [("" if form.way == "passkey" else form.way, FACTOR_WRONG[form.way])]
            raise InvalidCredentials(details=details, reason=refusal.reason, replay=refusal.replay) from None
        raise
    except ReauthenticationRequired:  # the re-authentication at the provider expired in the meantime
        return see_other(way_there.address(back))
    return see_other(back)


def _given(ctx: RequestContext, form: ProofForm) -> tuple[str | None, Given]:
    """Returns the entered password and code, without those that aren't required. Raises ValidationError."""
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
    account_page("GET", PROVIDER_PATH, _to_provider_page, "account/leaving.html", "Continue to the provider"),
    account_page("GET", PATH, _show, TEMPLATE, "Your linked accounts at providers"),
    account_page("POST", PATH, _change, TEMPLATE, "Link or unlink an account", confirms=_confirm),
    account_page("GET", way_there.PATH, _show_proof, PROOF_TEMPLATE, "Re-authenticate"),
    account_page("POST", way_there.PATH, _prove, PROOF_TEMPLATE, "Re-authenticate, and return", once=False),
)
