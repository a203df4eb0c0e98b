"""Parameters of callbacks, and the response to every sign-in: tokens, user, cookies, and the redirect."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.http import Answer, Call, Header, Time, Wire, cookies, flow_cookie, ok, redirect
from manifest_auth.http.cookies import cookies_of
from manifest_auth.permissions import role_names
from manifest_auth.providers.sign_in_flows import Flow, StartedFlow
from manifest_auth.services import Owner, RequestContext
from manifest_auth.sign_in import return_addresses
from manifest_auth.sign_in.completion import SignedIn
from manifest_auth.sign_in.providers.oidc import CallbackParams
from manifest_auth.sign_in.providers.provider_flow import Outcome
from manifest_auth.text.canonical import when
from manifest_auth.throttle.limits import FLOW_LIFE_S

Name = Annotated[str, Meta(max_length=63)]


class WireUser(Wire, frozen=True):
    id: int
    email: str
    first_name: str
    last_name: str
    roles: tuple[str, ...]
    client_id: str


class SignInData(Wire, frozen=True):
    token: str
    refresh_token: str
    expires_in: int
    user: WireUser
    password_change_due: bool | msgspec.UnsetType = msgspec.UNSET
    second_factor_due: Time | msgspec.UnsetType = msgspec.UNSET
    recovery_codes: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


def signed_in_answer(ctx: RequestContext, signed_in: SignedIn, headers: tuple[Header, ...] = ()) -> Answer[SignInData]:
    """Returns tokens and user in the envelope, with the cookies."""
    user = signed_in.user
    ctx.owner = Owner(signed_in.tenant.settings, user.roles)
    shown = WireUser.of(user, roles=role_names(user.roles), client_id=signed_in.tenant.identifier)
    due = True if signed_in.password_due else msgspec.UNSET
    factor_due = when(signed_in.factor_due_at) if signed_in.factor_due_at is not None else msgspec.UNSET
    data = SignInData(*signed_in.pair, shown, due, factor_due, signed_in.recovery_codes or msgspec.UNSET)
    return ok(data, headers=(*cookies_of(ctx, signed_in), *headers))


def redirect_outcome(ctx: RequestContext, outcome: Outcome, status: int, headers: tuple[Header, ...]) -> Answer[None]:
    """Redirects the browser to the return address, which never contains tokens."""
    if outcome.code is not None:
        mark = "&" if "?" in outcome.return_to else "?"
        return redirect(f"{outcome.return_to}{mark}code={outcome.code}", status=status, headers=headers)
    if outcome.signed_in is not None:
        headers = (*cookies_of(ctx, outcome.signed_in), *headers)
        if not return_addresses.is_of_app(outcome.return_to):  # an app's request is bound to the existing cookie
            mark = cookies.new_form_cookie(ctx)
            headers = (cookies.form_cookie_line(mark, ctx.services.settings), *headers)
    return redirect(outcome.return_to, status=status, headers=headers)


def set_flow_cookie(ctx: RequestContext, begun: StartedFlow, *, cross_site: bool) -> Header:
    """Returns the cookie that binds the sign-in to the browser."""
    return flow_cookie(begun.cookie, begun.browser, FLOW_LIFE_S, ctx.services.settings, cross_site=cross_site)


def clear_flow_cookie(ctx: RequestContext, flow: Flow | None, *, cross_site: bool) -> tuple[Header, ...]:
    """Deletes that cookie."""
    return (flow_cookie(flow.cookie, "", 0, ctx.services.settings, cross_site=cross_site),) if flow else ()


class ClientQuery(msgspec.Struct, frozen=True):
    client: Name = ""


class CallbackQuery(msgspec.Struct, frozen=True):
    state: Annotated[str, Meta(max_length=500)] = ""
    code: Annotated[str, Meta(max_length=8000)] = ""
    iss: Annotated[str, Meta(max_length=2000)] | None = None
    error: Annotated[str, Meta(max_length=500)] = ""
    error_description: str = ""


def callback_params(call: Call[None], callback_address: str) -> CallbackParams:
    """The parameters that a callback address received."""
    q: CallbackQuery = call.parameters
    return CallbackParams(
        state=q.state,
        code=q.code,
        iss=q.iss,
        error=q.error,
        callback_address=callback_address,
        description=q.error_description,
    )
