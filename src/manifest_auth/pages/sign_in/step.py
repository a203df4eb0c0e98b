"""The step between the first proof and the session: the cookie that holds its challenge, and the way to its page.

The challenge stands in the cookie alone, never in an address or a field.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from manifest_auth.accounts.factors.challenges import Pending
from manifest_auth.errors import InvalidToken, MfaRequired, TokenExpired
from manifest_auth.http import Answer, Head, Header, cookies, host_cookie, host_name
from manifest_auth.pages import brands, errors
from manifest_auth.pages.call import PageCall, see_other
from manifest_auth.pages.refusals import StepEnded, StepExpired
from manifest_auth.pages.sign_in import state as states
from manifest_auth.pages.sign_in import ways
from manifest_auth.pages.sign_in.state import State
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.second_factor import questions
from manifest_auth.sign_in.second_factor.questions import Question
from manifest_auth.text.languages import catalogue
from manifest_auth.text.languages import marked as _

SECOND_FACTOR, ENROL = "/sign-in/second-factor", "/sign-in/enrol"
_COOKIE = "step"
_BEGIN_AGAIN = _("Begin again")


async def begin(
    ctx: RequestContext, due: MfaRequired, form_cookie: str, headers: Sequence[Header] = ()
) -> Answer[None]:
    """On to the page that asks for the factor, or enrols it. ``form_cookie``: of the browser, by which it can begin
    again with what it typed. Raises InvalidToken, TokenExpired."""
    state = state_of(await questions.look_at_question(ctx, due.challenge))
    await ctx.services.keys.ensure_current()
    path = ENROL if due.methods else SECOND_FACTOR
    address = ways.address(path, states.seal(ctx, form_cookie, state))
    return see_other(address, (cookie(ctx, due.challenge, due.expires_in), *headers))


async def begin_after_provider(ctx: RequestContext, due: MfaRequired, head: Head) -> Answer[None]:
    """The same for a browser that comes back from a provider."""
    settings = ctx.services.settings
    mark = cookies.shown_form_cookie(head, settings) or cookies.new_form_cookie(ctx)
    return await begin(ctx, due, mark, (cookies.form_cookie_line(mark, settings),))


def cookie(ctx: RequestContext, challenge: str, life_s: int) -> Header:
    """The cookie with a challenge. An empty one with life 0: the step is over."""
    return host_cookie(_COOKIE, challenge, life_s, ctx.services.settings)


def shown(ctx: RequestContext, head: Head) -> str:
    """The challenge that the browser brought. Raises TokenExpired where there is none: its cookie lives as long."""
    challenge = head.cookie(host_name(_COOKIE, ctx.services.settings))
    if not challenge:
        raise TokenExpired(reason="no challenge in a cookie")
    return challenge


def state_of(question: Question) -> State:
    """What a sign-in knows that begins again in place of this one. Where it ended at an address of the provider, or
    gave a code without PKCE, no page of ours could begin it: then it ends as usual."""
    wanted = Pending() if question.provider_id is not None else question.pending
    return State(
        client=question.tenant.identifier,
        email=question.user.email,
        return_to=wanted.return_to,
        response="code" if wanted.response == "code" else "cookie",
        challenge=wanted.code_challenge,
        anew=True,
    )


async def over(ctx: RequestContext, call: PageCall[Any], refusal: InvalidToken | TokenExpired, s: str) -> Answer[None]:
    """The page that says so, and begins again. ``s``: of the sign-in, if it is known."""
    state = await states.unseal(ctx, call.form_cookie, s) if s else None
    tenant = await ways.client_of(ctx, state) if state is not None else None
    brand = brands.of_client(tenant)
    t = catalogue(call.language or brand.language)
    again = ways.address(ways.SIGN_IN, states.seal(ctx, call.form_cookie, state)) if state is not None else ways.SIGN_IN
    kind = StepExpired if isinstance(refusal, TokenExpired) else StepEnded
    shown_as = kind(reason=refusal.reason, replay=refusal.replay)
    way = errors.Way(again, t.gettext(_BEGIN_AGAIN))
    answer = await errors.page_of(ctx, shown_as, call.head, way=way, brand=brand)
    answer.headers = (*answer.headers, cookie(ctx, "", 0))
    return answer
