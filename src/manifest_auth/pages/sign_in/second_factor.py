"""``/sign-in/second-factor``: the second factor of a sign-in whose first proof was right."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth.errors import InvalidCredentials, InvalidToken, MfaRequired, TokenExpired
from manifest_auth.http import Answer
from manifest_auth.http.cookies import browser_of
from manifest_auth.pages import brands
from manifest_auth.pages.call import PageCall, View, require, see_other
from manifest_auth.pages.routing import page
from manifest_auth.pages.sign_in import ending, passkey, step, ways
from manifest_auth.pages.sign_in import state as states
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.second_factor import continuing, questions
from manifest_auth.sign_in.second_factor.questions import Answer as Given
from manifest_auth.sign_in.second_factor.questions import Question
from manifest_auth.text.languages import marked as _

TEMPLATE = "sign_in/second_factor.html"
Way = Literal["otp", "passkey", "recoveryCode"]
Code = Annotated[str, Meta(max_length=64)]
WRONG: dict[Way, str] = {
    "otp": _("This code is not right, or was used before. Wait for the next one that your app shows, and enter that."),
    "passkey": passkey.NOT_ACCEPTED,
    "recoveryCode": _("This recovery code is not right, or was used before."),
}


class FactorQuery(msgspec.Struct, frozen=True):
    """``way``: that was chosen in place of the usual one."""

    s: Annotated[str, Meta(max_length=8000)] = ""
    way: Way | Literal[""] = ""


class FactorForm(msgspec.Struct, frozen=True, rename="camel"):
    s: Annotated[str, Meta(max_length=8000)] = ""
    way: Way = "otp"
    otp: Code = ""
    recovery_code: Code = ""
    credential: passkey.Credential = ""
    trust: Literal["", "on"] = ""


class Other(msgspec.Struct, frozen=True):
    """Another way to answer. ``href``: of the page that asks for it."""

    way: Way
    href: str


class FactorView(msgspec.Struct, frozen=True):
    """``way``: what is asked for, empty where nothing can answer here; ``trusted_days``: 0 where no browser can be
    trusted; ``trust``: that is wanted; ``options``: of a passkey that is asked for, as JSON; ``again``: address to
    begin again."""

    s: str
    way: Way | Literal[""]
    email: str
    others: tuple[Other, ...]
    trusted_days: int
    trust: bool
    options: str
    again: str


async def _show(ctx: RequestContext, call: PageCall[FactorQuery]) -> View | Answer[None]:
    try:
        question = await questions.look_at_question(ctx, step.shown(ctx, call.head))
    except (InvalidToken, TokenExpired) as refusal:
        return await step.over(ctx, call, refusal, call.fields.s)
    if question.enrols:
        return see_other(ways.address(step.ENROL, states.seal(ctx, call.form_cookie, step.state_of(question))))
    return await _view(ctx, call, question, call.fields.way)


async def _view(
    ctx: RequestContext, call: PageCall[Any], question: Question, way: Way | Literal[""], *, trust: bool = False
) -> View:
    """``way``: that is asked for, if it can answer; else the factor that was used last."""
    s = states.seal(ctx, call.form_cookie, step.state_of(question))
    here = ways.address(step.SECOND_FACTOR, s)
    there = [member for member in question.members if member in WRONG]
    first: Way | Literal[""] = way if way in there else next(iter(there), "")
    call.here = f"{here}&way={first}" if first else here
    view = FactorView(
        s=s,
        way=first,
        email=question.user.email,
        others=tuple(Other(other, f"{here}&way={other}") for other in there if other != first),
        trusted_days=question.trusted_days,
        trust=trust,
        options=await _options(ctx, call) if first == "passkey" else "",
        again=ways.address(ways.SIGN_IN, s),
    )
    return View(view, brand=brands.of_client(question.tenant))


async def _options(ctx: RequestContext, call: PageCall[Any]) -> str:
    """What the browser needs to answer with a passkey. The challenge stays in its cookie: no script asks."""
    return passkey.as_json(await questions.to_answer(ctx, step.shown(ctx, call.head)))


async def _again(ctx: RequestContext, call: PageCall[FactorForm]) -> View | Answer[None]:
    try:
        question = await questions.look_at_question(ctx, step.shown(ctx, call.head))
    except (InvalidToken, TokenExpired) as refusal:
        return await step.over(ctx, call, refusal, call.fields.s)
    return await _view(ctx, call, question, call.fields.way, trust=bool(call.fields.trust))


def _given(form: FactorForm) -> Given:
    """The answer that was typed. Raises ValidationError for none."""
    if form.way == "passkey":
        return Given(passkey=passkey.read(form.credential))
    typed = (form.otp if form.way == "otp" else form.recovery_code).strip()
    require(**{form.way: typed})
    return Given(otp=typed) if form.way == "otp" else Given(recovery_code=typed)


async def _answer(ctx: RequestContext, call: PageCall[FactorForm]) -> View | Answer[None]:
    form = call.fields
    given = _given(form)
    browser = browser_of(ctx, call.head)
    try:
        challenge = step.shown(ctx, call.head)
        finished = await continuing.continue_sign_in(ctx, challenge, given, browser, trust=bool(form.trust))
    except MfaRequired as wrong:
        raise InvalidCredentials(
            details=[("" if form.way == "passkey" else form.way, WRONG[form.way])],
            reason=wrong.reason,
            replay=wrong.replay,
        ) from None
    except (InvalidToken, TokenExpired) as refusal:
        return await step.over(ctx, call, refusal, form.s)
    return await ending.after_step(ctx, call.form_cookie, finished)


ROUTES = (
    page("GET", step.SECOND_FACTOR, _show, TEMPLATE, "Asks for the second factor of a sign-in"),
    page("POST", step.SECOND_FACTOR, _answer, TEMPLATE, "Go on with the second factor", again=_again),
)
