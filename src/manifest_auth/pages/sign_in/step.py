"""The state of a sign-in in progress, its client and methods, and the step between the first factor and the session."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta

from manifest_auth import providers, tenants
from manifest_auth.accounts.factors.challenges import Pending
from manifest_auth.errors import InvalidToken, MfaRequired, TokenExpired, ValidationError
from manifest_auth.http import Answer, Head, Header, cookies, host_cookie, host_name
from manifest_auth.pages import brands, errors, security
from manifest_auth.pages.call import Link, PageCall, see_other
from manifest_auth.pages.words import StepEnded, StepExpired, UnknownClient
from manifest_auth.runtime.mail import RemovedData
from manifest_auth.runtime.settings import why_no_passkeys
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import return_addresses
from manifest_auth.sign_in.providers import kinds
from manifest_auth.sign_in.providers.kinds import start_address
from manifest_auth.sign_in.second_factor import gate
from manifest_auth.sign_in.second_factor.gate import Question
from manifest_auth.tenants import Tenant
from manifest_auth.text.canonical import check_email
from manifest_auth.text.languages import catalogue
from manifest_auth.text.languages import marked as _

# The state of a sign-in is encrypted, bound to the browser, and valid for an hour. The browser keeps it in a hidden
# field, or in the query after a form was posted. It opens nothing, and anonymous callers leave no row behind.


class StateQuery(msgspec.Struct, frozen=True):
    """The query of a sign-in page. ``s``: the sealed :class:`State` of a sign-in."""

    s: Annotated[str, Meta(max_length=8000)] = ""


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of a sign-in. ``client``: identifier of the client, empty until it is known; ``email``: as typed;
    ``return_to``: as requested, checked on arrival and again when the sign-in ends; ``invitation_id``: an open
    invitation with a token that was sent; ``anew``: a signed-in user wants to use another account; ``code``: a one-time
    code to pass on; ``due``: the password is older than the client's rules allow; ``factor_due_at``: when a second
    factor becomes required, or 0; ``provider_id``: the provider whose return addresses are valid too;
    ``recovery_codes``: shown before the user continues; ``done``: what a one-time link did; ``removed``, ``manages``:
    the results of undoing a change of address; ``made_at``: milliseconds since 1970, like ``factor_due_at``."""

    client: str = ""
    email: str = ""
    return_to: str = ""
    response: Literal["cookie", "code"] = "cookie"
    challenge: str = ""
    invitation_id: int | None = None
    anew: bool = False
    code: str = ""
    due: bool = False
    factor_due_at: int = 0
    provider_id: int | None = None
    recovery_codes: tuple[str, ...] = ()
    done: Literal["", "confirmed", "undone", "undone-resets"] = ""
    removed: RemovedData | None = None
    manages: bool = False
    made_at: int = 0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(State).decode


def seal_state(ctx: RequestContext, form_cookie: str, state: State) -> str:
    """Returns the state as text for an address or a field."""
    return security.seal(ctx, form_cookie, _encode(msgspec.structs.replace(state, made_at=ctx.now)))


async def unseal_state(ctx: RequestContext, form_cookie: str, text: str) -> State | None:
    """Reads a sealed state. None if it was changed, belongs to another browser, or is older than an hour."""
    opened = await security.unseal(ctx, form_cookie, text)
    state = _decode(opened) if opened is not None else None
    return state if state is not None and security.is_fresh(state.made_at, ctx.now) else None


SIGN_IN = "/sign-in"


class SignInView(msgspec.Struct, frozen=True):
    """The model of the page. ``client``: its name, empty until it is known; ``fixed``: the email address was typed on
    the previous page; ``password``: whether the page asks for it; ``passkey``: whether users can sign in with one;
    ``unknown``: credential ID of a removed passkey; ``fresh``: the sign-in restarted, because its state was old or
    invalid; ``s``: the state for the form; ``change``, ``forgot``: addresses of links."""

    client: str
    s: str
    email: str = ""
    fixed: bool = False
    password: bool = True
    passkey: bool = False
    unknown: str = ""
    ways: tuple[Link, ...] = ()
    fresh: bool = False
    change: str = ""
    forgot: str = ""


async def client_of(ctx: RequestContext, state: State) -> Tenant | None:
    """Returns the client of the sign-in. Raises UnknownClient."""
    if not state.client:
        return None
    found = await ctx.services.store.read(lambda unit: tenants.find(unit, state.client))
    if found is None:
        raise UnknownClient(reason=f"no client {state.client[:63]!r}")
    return found


def end_of(settings: str, state: State, roles: int = 0, more: tuple[str, ...] = ()) -> str:
    """Returns the end of a sign-in. ``settings``: the client's, as stored; ``roles``: those of the user, if known;
    ``more``: addresses of the provider. Raises ValidationError."""
    listed = tenants.return_addresses_for(tenants.settings_of(settings), roles)
    return return_addresses.choose((*more, *listed), state.return_to, state.response)


async def of_provider(ctx: RequestContext, tenant_id: int, provider_id: int | None) -> tuple[str, ...]:
    """Returns the return addresses of the sign-in's provider, in addition to the client's."""
    if provider_id is None:
        return ()
    found = await ctx.services.store.of(tenant_id).read(lambda unit: providers.find_by_id(unit, provider_id))
    return tuple(found.rules.return_addresses) if found is not None and found.disabled_at is None else ()


def way_address(path: str, s: str) -> str:
    """Returns a page's address with the state of the sign-in."""
    return f"{path}?s={s}"


async def view_of(
    ctx: RequestContext, call: PageCall[Any], state: State, tenant: Tenant | None, *, fresh: bool = False
) -> SignInView:
    """Returns the model. With a client, all of its sign-in methods are on one page. Without a client, the email address
    comes first, then the password; both appear together if no address can lead to a provider."""
    s = seal_state(ctx, call.form_cookie, state)
    others = seal_state(ctx, call.form_cookie, msgspec.structs.replace(state, email="", client=""))
    passkey = not why_no_passkeys(ctx.services.settings)
    if tenant is None:
        leads_on = not state.email and await ctx.services.store.read(providers.list_domains)
        return SignInView(
            client="",
            s=s,
            email=state.email,
            fixed=bool(state.email),
            password=not leads_on,
            passkey=passkey,
            fresh=fresh,
            change=way_address("/sign-in", others),
            forgot=way_address("/forgot", s),
        )
    found = await kinds.discover(ctx, state.email, tenant.identifier)
    ways = (
        (start_address(ctx, tenant.identifier, way.kind, way.name), way.display_name or way.name)
        for way in found.providers
    )
    return SignInView(
        client=tenants.shown_name(tenant),
        s=s,
        email=state.email,
        password=found.password,
        passkey=passkey and tenants.passkeys_sign_in(tenants.settings_of(tenant.settings)),
        ways=tuple(Link(f"{href}&s={quote(s)}", name) for href, name in ways if href),
        fresh=fresh,
        change=way_address("/sign-in", others),
        forgot=way_address("/forgot", s),
    )


# The challenge of the second step is only in the cookie, never in an address or a field.


SECOND_FACTOR, ENROL = "/sign-in/second-factor", "/sign-in/enrol"
_COOKIE = "step"
_BEGIN_AGAIN, BACK = _("Start again"), _("Go back to the app")


async def begin(ctx: RequestContext, due: MfaRequired, form_cookie: str, *, is_new: bool = False) -> Answer[None]:
    """Redirects to the page that requests the factor or enrolls it. ``form_cookie``: the browser's, with which it can
    restart with the entered values; ``is_new``: the browser doesn't have it yet. Raises InvalidToken, TokenExpired."""
    question = await gate.look_at_question(ctx, due.challenge)
    await ctx.services.keys.ensure_current()
    path = ENROL if due.methods else SECOND_FACTOR
    address = way_address(path, seal_state(ctx, form_cookie, state_of(question)))
    headers = [cookie(ctx, due.challenge, due.expires_in)]
    if is_new and not return_addresses.is_of_app(question.pending.return_to):  # the same as after a complete sign-in
        headers.append(cookies.form_cookie_line(form_cookie, ctx.services.settings))
    return see_other(address, headers)


async def begin_after_provider(ctx: RequestContext, due: MfaRequired, head: Head) -> Answer[None]:
    """Redirects like :func:`begin`, for a browser that returns from a provider, whose post sends no form cookie."""
    mark = cookies.shown_form_cookie(head, ctx.services.settings)
    return await begin(ctx, due, mark or cookies.new_form_cookie(ctx), is_new=not mark)


def cookie(ctx: RequestContext, challenge: str, life_s: int) -> Header:
    """Returns the cookie with a challenge. An empty one with lifetime 0 ends the step."""
    return host_cookie(_COOKIE, challenge, life_s, ctx.services.settings)


def shown(ctx: RequestContext, head: Head) -> str:
    """Returns the browser's challenge. Raises TokenExpired if there is none, because its cookie has the same
    lifetime."""
    challenge = head.cookie(host_name(_COOKIE, ctx.services.settings))
    if not challenge:
        raise TokenExpired(reason="no challenge in a cookie")
    return challenge


def state_of(question: Question) -> State:
    """Returns the state of a sign-in that restarts this one. If this one ended at an address of the provider, or issued
    a code without PKCE, no page of this server could start it, so it ends at the default page."""
    wanted = Pending() if question.provider_id is not None else question.pending
    return State(
        client=question.tenant.identifier,
        email=question.user.email,
        return_to=wanted.return_to,
        response="code" if wanted.response == "code" else "cookie",
        challenge=wanted.code_challenge,
        anew=True,
    )


async def way_back(ctx: RequestContext, call: PageCall[Any]) -> Link | None:
    """Returns the path back to the app that requested a rejected sign-in; None if no app did."""
    state = await unseal_state(ctx, call.form_cookie, getattr(call.fields, "s", ""))
    if state is None or not return_addresses.is_of_app(state.return_to):
        return None
    return Link(return_addresses.denied(state.return_to), catalogue(call.language or "en").gettext(BACK))


async def over(ctx: RequestContext, call: PageCall[Any], refusal: InvalidToken | TokenExpired, s: str) -> Answer[None]:
    """Returns the page that explains this and starts again. ``s``: the state of the sign-in, if known."""
    state = await unseal_state(ctx, call.form_cookie, s) if s else None
    tenant = await client_of(ctx, state) if state is not None else None
    brand = brands.of_client(tenant)
    t = catalogue(call.language or brand.language)
    again = way_address(SIGN_IN, seal_state(ctx, call.form_cookie, state)) if state is not None else SIGN_IN
    kind = StepExpired if isinstance(refusal, TokenExpired) else StepEnded
    shown_as = kind(reason=refusal.reason, replay=refusal.replay)
    answer = await errors.page_of(ctx, shown_as, call.head, way=Link(again, t.gettext(_BEGIN_AGAIN)), brand=brand)
    answer.headers = (*answer.headers, cookie(ctx, "", 0))
    return answer


def hinted(text: str) -> str:
    """Returns the address that an application suggests; empty for any other text, because a link must not add its own
    text to the page."""
    try:
        return check_email(text)
    except ValidationError:
        return ""
