"""``/sign-in/done``, ``/sign-in/codes`` and ``/sign-out``: the end of a sign-in, and of a session."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec

from manifest_auth import tenants
from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer, Header, cookies, host_cookie, host_name
from manifest_auth.http.cookies import browser_of, cookies_of, trust_cookie
from manifest_auth.pages import brands
from manifest_auth.pages.call import PageCall, View, see_other
from manifest_auth.pages.routing import SIGN_IN, page
from manifest_auth.pages.sign_in import step
from manifest_auth.pages.sign_in.step import State, StateQuery
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import exchange_codes, return_addresses, session_lifecycle
from manifest_auth.sign_in.completion import SignedIn
from manifest_auth.sign_in.second_factor import gate
from manifest_auth.sign_in.second_factor.continuing import Finished
from manifest_auth.text.languages import marked as _

# A form post never redirects to another origin, since browsers apply a policy's ``form-action`` to redirects. So an
# address on another origin is reached from a page of this server, by a refresh or a link.


ENDING_PATH = f"{SIGN_IN}/done"
ENDING_TEMPLATE = "sign_in/done.html"
SIGNED_IN = _("You're signed in")
CONTINUE = "sign_in/continue.html"
DUE = "sign_in/due.html"
FACTOR_DUE = "sign_in/factor_due.html"
#: Page that shows new recovery codes on the way, and the cookie that contains them.
CODES, CODES_COOKIE = f"{SIGN_IN}/codes", "codes"
_CODES_S = 600


class ContinueForm(msgspec.Struct, frozen=True):
    s: str = ""


def continue_view(ctx: RequestContext, call: PageCall[Any], state: State) -> SimpleNamespace:
    """Returns the page's model for the user who is signed in here."""
    user = ctx.user
    anew = msgspec.structs.replace(state, anew=True)
    return SimpleNamespace(
        s=step.seal_state(ctx, call.form_cookie, state),
        name=f"{user.first_name} {user.last_name}".strip() or user.email,
        email=user.email,
        client=brands.of_user(user).name,
        other=step.way_address(SIGN_IN, step.seal_state(ctx, call.form_cookie, anew)),
    )


def end_for(settings: str, roles: int, state: State, more: tuple[str, ...] = ()) -> str:
    """Returns the destination of the sign-in, according to the current list. If an address is no longer listed, the
    sign-in ends at the account. ``more``: addresses of the provider."""
    try:
        return step.end_of(settings, state, roles, more)
    except ValidationError:
        return return_addresses.ACCOUNT


def leaving(address: str, title: str = SIGNED_IN) -> SimpleNamespace:
    """Returns the model of the page that leads elsewhere."""
    return SimpleNamespace(address=address, by_itself=return_addresses.is_web(address), title=title)


def signed_in_here(
    ctx: RequestContext,
    form_cookie: str,
    state: State,
    signed_in: SignedIn,
    more: tuple[str, ...] = (),
    headers: tuple[Header, ...] = (),
) -> Answer[None]:
    """After authentication: sets the session's cookies and, unless an app's request is bound to it, a new form cookie,
    and redirects to the destination. ``more``: addresses of the provider."""
    settings, is_of_app = ctx.services.settings, return_addresses.is_of_app(state.return_to)
    mark = form_cookie if is_of_app else cookies.new_form_cookie(ctx)
    headers = (*cookies_of(ctx, signed_in), cookies.form_cookie_line(mark, settings), *headers)
    ends = State(
        client=signed_in.tenant.identifier,
        return_to=end_for(signed_in.tenant.settings, signed_in.user.roles, state, more),
        response=state.response,
        due=signed_in.password_due,
        factor_due_at=signed_in.factor_due_at or 0,
        provider_id=state.provider_id,
        recovery_codes=signed_in.recovery_codes,
    )
    return on_to(ctx, mark, ends, headers)


async def after_step(ctx: RequestContext, form_cookie: str, finished: Finished) -> Answer[None]:
    """Continues after a correct second factor as the first step would have without one. Raises ValidationError if an
    app's address was removed from the list in the meantime."""
    tenant, pending = finished.account.tenant, finished.pending
    more = await step.of_provider(ctx, tenant.id, finished.provider_id)
    over = (step.cookie(ctx, "", 0),)
    if finished.signed_in is not None:
        state = State(return_to=pending.return_to, provider_id=finished.provider_id)
        return signed_in_here(ctx, form_cookie, state, finished.signed_in, more, over)
    assert finished.code is not None, "a session, or a code"
    state = State(
        client=tenant.identifier,
        return_to=pending.return_to,
        response="code",
        challenge=pending.code_challenge,
        code=finished.code,
        provider_id=finished.provider_id,
        recovery_codes=finished.recovery_codes,
    )
    end = step.end_of(tenant.settings, state, finished.account.user.roles, more)
    headers = (*trust_cookie(ctx, tenant, finished.trust), *over)
    return on_to(ctx, form_cookie, msgspec.structs.replace(state, return_to=end), headers)


def on_to(ctx: RequestContext, form_cookie: str, state: State, headers: tuple[Header, ...] = ()) -> Answer[None]:
    """Redirects to the end of a sign-in, ``state.return_to``, or to pages that must be shown first."""
    sealed = step.seal_state(ctx, form_cookie, state)
    if state.recovery_codes:
        return see_other(CODES, (host_cookie(CODES_COOKIE, sealed, _CODES_S, ctx.services.settings), *headers))
    shows_nothing = not (state.due or state.factor_due_at or state.code)
    if shows_nothing and return_addresses.is_own_path(state.return_to):
        return see_other(state.return_to, headers)
    return see_other(step.way_address(ENDING_PATH, sealed), headers)


def handed_over(ctx: RequestContext, form_cookie: str, state: State, client: str, end: str, code: str) -> Answer[None]:
    """Sends an app a one-time code at its own address, without a session here. The challenge stays in the state, so
    that anyone who restarts with this state gets no code without it."""
    ends = State(client=client, return_to=end, response="code", challenge=state.challenge, code=code)
    return on_to(ctx, form_cookie, ends)


async def _show_ending(ctx: RequestContext, call: PageCall[StateQuery]) -> View | Answer[None]:
    state = await step.unseal_state(ctx, call.form_cookie, call.fields.s) or State()
    if state.code:
        tenant = await step.client_of(ctx, state)
        more = await step.of_provider(ctx, tenant.id, state.provider_id) if tenant is not None else ()
        end = step.end_of(tenant.settings if tenant is not None else "{}", state, more=more)
        address = f"{end}{'&' if '?' in end else '?'}code={state.code}"
        return View(leaving(address), brand=brands.of_client(tenant))
    if call.user is None:
        return see_other(SIGN_IN)
    more = await step.of_provider(ctx, call.user.tenant_id, state.provider_id)
    end = end_for(call.user.tenant_settings, call.user.roles, state, more)
    brand = brands.of_user(call.user)
    if state.factor_due_at:
        later = msgspec.structs.replace(state, factor_due_at=0)
        address = step.way_address(ENDING_PATH, step.seal_state(ctx, call.form_cookie, later)) if state.due else end
        methods = gate.methods_of(ctx, tenants.settings_of(call.user.tenant_settings))
        return View(
            SimpleNamespace(address=address, due_at=state.factor_due_at, methods=methods),
            template=FACTOR_DUE,
            brand=brand,
        )
    if state.due:
        return View(SimpleNamespace(address=end), template=DUE, brand=brand)
    if return_addresses.is_own_path(end):
        return see_other(end)
    return View(leaving(end), brand=brand)


async def _continue(ctx: RequestContext, call: PageCall[ContinueForm]) -> View | Answer[None]:
    """Handles the button "Continue as …". No code is ever issued without pressing it, because apps can share a
    scheme."""
    user, state = call.user, await step.unseal_state(ctx, call.form_cookie, call.fields.s)
    if user is None or state is None:
        return see_other(SIGN_IN if state is None else step.way_address(SIGN_IN, call.fields.s))
    if state.response == "code":
        end = step.end_of(user.tenant_settings, state, user.roles)
        code = await exchange_codes.of_session(ctx, browser_of(ctx, call.head).trust, state.challenge)
        if code is None:
            anew = msgspec.structs.replace(state, client=user.client, email=user.email, anew=True)
            return see_other(step.way_address(SIGN_IN, step.seal_state(ctx, call.form_cookie, anew)))
        return handed_over(ctx, call.form_cookie, state, user.client, end, code)
    end = end_for(user.tenant_settings, user.roles, state)
    return on_to(ctx, call.form_cookie, State(return_to=end, response=state.response))


# Recovery codes come in a cookie, sealed and bound to the browser. It ends when the user confirms that they're saved,
# or after ten minutes.


CODES_TEMPLATE = "sign_in/codes.html"


async def _waiting(ctx: RequestContext, call: PageCall[None]) -> State | None:
    """Returns the content of the cookie, for the user who has just signed in; for an app, no session begins here."""
    text = call.head.cookie(host_name(CODES_COOKIE, ctx.services.settings)) or ""
    state = await step.unseal_state(ctx, call.form_cookie, text)
    return state if state is not None and (state.code or call.user is not None) else None


async def _show_codes(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    state = await _waiting(ctx, call)
    if state is None:
        return see_other("/")
    return View(state.recovery_codes, brand=brands.of_client(await step.client_of(ctx, state)))


async def _go_on(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    state = await _waiting(ctx, call)
    if state is None:
        return see_other("/")
    if state.code and (tenant := await step.client_of(ctx, state)) is not None:
        await exchange_codes.hand_out(ctx, tenant.id, state.code)
    ended = (host_cookie(CODES_COOKIE, "", 0, ctx.services.settings),)
    return on_to(ctx, call.form_cookie, msgspec.structs.replace(state, recovery_codes=()), ended)


OUT_PATH = "/sign-out"


async def _ask(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return View(brand=brands.of_user(call.user))


async def _end(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    settings = ctx.services.settings
    if call.user is not None:
        await session_lifecycle.sign_out(ctx)
    form = cookies.form_cookie_line(cookies.new_form_cookie(ctx), settings)
    return see_other(OUT_PATH, (*await cookies.after_sign_out(ctx, call.head), form))


ROUTES = (
    page("GET", ENDING_PATH, _show_ending, ENDING_TEMPLATE, "The end of a sign-in, at another address"),
    page("POST", ENDING_PATH, _continue, ENDING_TEMPLATE, "Continue with the existing session", shows_again=False),
    page("GET", CODES, _show_codes, CODES_TEMPLATE, "New recovery codes, during a sign-in"),
    page(
        "POST",
        CODES,
        _go_on,
        CODES_TEMPLATE,
        "Confirm that you saved the recovery codes, and continue the sign-in",
        shows_again=False,
    ),
    page("GET", OUT_PATH, _ask, "sign_in/out.html", "Confirm the sign-out"),
    page("POST", OUT_PATH, _end, "sign_in/out.html", "End this session"),
)
