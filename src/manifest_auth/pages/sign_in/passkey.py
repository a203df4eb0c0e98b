"""``/sign-in/passkey``: a passkey alone signs in; and what all forms share that bring a browser's answer of one."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth.accounts.factors.challenges import Pending
from manifest_auth.errors import InvalidCredentials, OtherClient, ValidationError
from manifest_auth.http import Answer
from manifest_auth.http.cookies import browser_of
from manifest_auth.pages import brands, errors
from manifest_auth.pages.call import PageCall, View, see_other
from manifest_auth.pages.refusals import PasskeyOfAnother
from manifest_auth.pages.routing import SIGN_IN, page
from manifest_auth.pages.sign_in import ending, ways
from manifest_auth.pages.sign_in import state as states
from manifest_auth.pages.sign_in.start import TEMPLATE
from manifest_auth.pages.sign_in.state import State
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.passkeys import sign_in as passkeys
from manifest_auth.sign_in.passkeys.sign_in import PasskeyAnswer
from manifest_auth.text.languages import catalogue
from manifest_auth.text.languages import marked as _

PATH = f"{SIGN_IN}/passkey"
#: A credential as ``PublicKeyCredential.toJSON()`` writes it (WebAuthn Level 3, section 5.1), as text.
Credential = Annotated[str, Meta(max_length=16_000)]
NOT_ACCEPTED = _("This passkey does not sign you in here. Try again, or use another way.")
NOT_MADE = _("The passkey could not be set up. Try again.")
_THERE = _("Go to its sign-in")


class PasskeyForm(msgspec.Struct, frozen=True):
    s: Annotated[str, Meta(max_length=8000)] = ""
    credential: Credential = ""


def read(text: str, problem: str = NOT_ACCEPTED) -> dict[str, Any]:
    """The credential that a module put into a field. Raises ValidationError that says ``problem``, also for none: then
    no script ran."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise ValidationError(details=[("", problem)], reason="no credential in the form") from None


def as_json(options: dict[str, Any]) -> str:
    """Options for a module, to stand in an attribute."""
    return msgspec.json.encode(options).decode()


async def _form(ctx: RequestContext, call: PageCall[PasskeyForm], state: State, unknown: str = "") -> View:
    tenant = await ways.client_of(ctx, state)
    view = await ways.view_of(ctx, call, state, tenant)
    call.here = ways.address(SIGN_IN, view.s)
    return View(msgspec.structs.replace(view, unknown=unknown), brand=brands.of_client(tenant))


async def _again(ctx: RequestContext, call: PageCall[PasskeyForm]) -> View | Answer[None]:
    state = await states.unseal(ctx, call.form_cookie, call.fields.s)
    if state is None:
        return see_other(ways.address(SIGN_IN, "old"))
    return await _form(ctx, call, state, ctx.loaded.get(_UNKNOWN, ""))


async def _sign_in(ctx: RequestContext, call: PageCall[PasskeyForm]) -> View | Answer[None]:
    state = await states.unseal(ctx, call.form_cookie, call.fields.s)
    if state is None:
        return see_other(ways.address(SIGN_IN, "old"))
    credential = read(call.fields.credential)
    given = PasskeyAnswer(credential, call.form_cookie, state.client or None, browser_of(ctx, call.head))
    try:
        if state.response != "code":
            return ending.signed_in_here(ctx, state, await passkeys.sign_in(ctx, given))
        pending = Pending("code", state.return_to, state.response, state.challenge)
        coded = await passkeys.sign_in_for_code(ctx, given, pending)
    except OtherClient as refusal:
        return await _elsewhere(ctx, call, refusal)
    except InvalidCredentials as refusal:
        if any(detail == ("credential", "unknown") for detail in refusal.details):
            ctx.loaded[_UNKNOWN] = str(credential.get("id", ""))
        raise InvalidCredentials(details=[("", NOT_ACCEPTED)], reason=refusal.reason, replay=refusal.replay) from None
    tenant, user = coded.account.tenant, coded.account.user
    end = ways.end_of(tenant.settings, state, user.roles)
    return ending.handed_over(ctx, call.form_cookie, state, tenant.identifier, end, coded.code)


async def _elsewhere(ctx: RequestContext, call: PageCall[Any], refusal: OtherClient) -> Answer[None]:
    """The passkey's owner proved to hold it, so the page may name the client that it belongs to."""
    tenant = await ways.client_of(ctx, State(client=refusal.client))
    brand = brands.of_client(tenant)
    t = catalogue(call.language or brand.language)
    there = ways.address(SIGN_IN, states.seal(ctx, call.form_cookie, State(client=refusal.client, anew=True)))
    shown = PasskeyOfAnother(reason=refusal.reason)
    return await errors.page_of(ctx, shown, call.head, way=errors.Way(there, t.gettext(_THERE)), brand=brand)


_UNKNOWN = "passkey-unknown"  # where a request keeps the id of one that nobody has any more

ROUTES = (page("POST", PATH, _sign_in, TEMPLATE, "Sign in with a passkey alone", again=_again, form_at=SIGN_IN),)
