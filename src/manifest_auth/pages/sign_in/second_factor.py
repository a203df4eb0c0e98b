"""``/sign-in/second-factor`` and ``/sign-in/enrol``: the second factor of a sign-in, entered or set up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, Any, Literal

from msgspec import Meta

from manifest_auth.accounts.factors import challenges
from manifest_auth.errors import InvalidCredentials, InvalidToken, MfaRequired, TokenExpired
from manifest_auth.http import Answer
from manifest_auth.http.cookies import browser_of
from manifest_auth.pages import brands, rendering
from manifest_auth.pages.call import PageCall, View, require, see_other
from manifest_auth.pages.routing import page
from manifest_auth.pages.sign_in import done, start, step
from manifest_auth.pages.sign_in.step import StateQuery
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.second_factor import continuing, enrollment, gate
from manifest_auth.sign_in.second_factor.gate import Answer as Given
from manifest_auth.sign_in.second_factor.gate import Question
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _

TEMPLATE = "sign_in/second_factor.html"
Way = Literal["otp", "passkey", "recoveryCode"]
Code = Annotated[str, Meta(max_length=64)]
FACTOR_WRONG: dict[Way, str] = {
    "otp": _("This code is incorrect or was already used. Wait for the next code in your app."),
    "passkey": start.NOT_ACCEPTED,
    "recoveryCode": _("This recovery code is incorrect or was already used."),
}


class FactorQuery(StateQuery, frozen=True):
    """The query of the page. ``way``: the method that the user chose instead of the default."""

    way: Way | Literal[""] = ""


class FactorForm(StateQuery, frozen=True, rename="camel"):
    way: Way = "otp"
    otp: Code = ""
    recovery_code: Code = ""
    credential: start.Credential = ""
    trust: Literal["", "on"] = ""


async def _show_factor(ctx: RequestContext, call: PageCall[FactorQuery]) -> View | Answer[None]:
    try:
        question = await gate.look_at_question(ctx, step.shown(ctx, call.head))
    except (InvalidToken, TokenExpired) as refusal:
        return await step.over(ctx, call, refusal, call.fields.s)
    if question.enrols:
        return see_other(step.way_address(step.ENROL, step.seal_state(ctx, call.form_cookie, step.state_of(question))))
    return await _view(ctx, call, question, call.fields.way)


async def _view(
    ctx: RequestContext, call: PageCall[Any], question: Question, way: Way | Literal[""], *, trust: bool = False
) -> View:
    """Returns the model of the page. ``way``: the requested method if it works; otherwise the most recently used
    factor."""
    s = step.seal_state(ctx, call.form_cookie, step.state_of(question))
    here = step.way_address(step.SECOND_FACTOR, s)
    there = [member for member in question.members if member in FACTOR_WRONG]
    first: Way | Literal[""] = way if way in there else next(iter(there), "")
    call.here = f"{here}&way={first}" if first else here
    view = SimpleNamespace(
        s=s,
        way=first,
        email=question.user.email,
        others=tuple((other, f"{here}&way={other}") for other in there if other != first),
        trusted_days=question.trusted_days,
        trust=trust,
        options=await _options(ctx, call) if first == "passkey" else "",
        again=step.way_address(step.SIGN_IN, s),
    )
    return View(view, brand=brands.of_client(question.tenant))


async def _options(ctx: RequestContext, call: PageCall[Any]) -> str:
    """Returns the options for a passkey. The challenge stays in the browser's cookie, so no script requests it."""
    return start.passkey_json(await gate.to_answer(ctx, step.shown(ctx, call.head)))


async def _again_factor(ctx: RequestContext, call: PageCall[FactorForm]) -> View | Answer[None]:
    try:
        question = await gate.look_at_question(ctx, step.shown(ctx, call.head))
    except (InvalidToken, TokenExpired) as refusal:
        return await step.over(ctx, call, refusal, call.fields.s)
    return await _view(ctx, call, question, call.fields.way, trust=bool(call.fields.trust))


def _given(form: FactorForm) -> Given:
    """Returns the entered response. Raises ValidationError if there is none."""
    if form.way == "passkey":
        return Given(passkey=start.read_passkey(form.credential))
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
            details=[("" if form.way == "passkey" else form.way, FACTOR_WRONG[form.way])],
            reason=wrong.reason,
            replay=wrong.replay,
        ) from None
    except (InvalidToken, TokenExpired) as refusal:
        return await step.over(ctx, call, refusal, form.s)
    return await done.after_step(ctx, call.form_cookie, finished)


WHY = "sign_in/enrol.html"
APP = "sign_in/enrol_app.html"
PASSKEY = "sign_in/enrol_passkey.html"
ENROL_WRONG = _("This code is incorrect. Check that you added this page's key to your app, and enter the current code.")


class EnrolQuery(StateQuery, frozen=True):
    """The query of the page. ``way``: ``passkey`` to create one."""

    way: Literal["", "passkey"] = ""


class EnrolForm(StateQuery, frozen=True):
    """The form of the page. ``act``: ``totp`` starts with an authenticator app, ``confirm`` sends its first code,
    ``passkey`` sends a new passkey called ``name``."""

    act: Literal["totp", "confirm", "passkey"] = "confirm"
    otp: Annotated[str, Meta(max_length=64)] = ""
    credential: start.Credential = ""
    name: Annotated[str, fields.PASSKEY_NAME.typed] = ""
    trust: Literal["", "on"] = ""


async def _show_enrol(ctx: RequestContext, call: PageCall[EnrolQuery]) -> View | Answer[None]:
    return await _page(ctx, call, EnrolForm(), call.fields.way == "passkey")


async def _again_enrol(ctx: RequestContext, call: PageCall[EnrolForm]) -> View | Answer[None]:
    return await _page(ctx, call, call.fields, call.fields.act == "passkey")


async def _page(ctx: RequestContext, call: PageCall[Any], typed: EnrolForm, by_passkey: bool) -> View | Answer[None]:
    try:
        challenge = step.shown(ctx, call.head)
        question = await gate.look_at_question(ctx, challenge)
    except (InvalidToken, TokenExpired) as refusal:
        return await step.over(ctx, call, refusal, call.fields.s)
    s = step.seal_state(ctx, call.form_cookie, step.state_of(question))
    if not question.enrols:
        return see_other(step.way_address(step.SECOND_FACTOR, s))
    call.here = step.way_address(step.ENROL, s)
    brand, again = brands.of_client(question.tenant), step.way_address(step.SIGN_IN, s)
    there = f"{call.here}&way=passkey" if "passkey" in question.methods else ""
    if there and by_passkey:
        options = start.passkey_json(await gate.to_enrol(ctx, challenge))
        other = call.here if "totp" in question.methods else ""
        call.here = there
        making = SimpleNamespace(
            s=s,
            name=typed.name,
            options=options,
            trusted_days=question.trusted_days,
            trust=bool(typed.trust),
            other=other,
            again=again,
        )
        return View(making, template=PASSKEY, brand=brand)
    if question.app is None:
        return View(
            SimpleNamespace(
                s=s, email=question.user.email, totp="totp" in question.methods, passkey=there, again=again
            ),
            brand=brand,
        )
    shown = SimpleNamespace(
        s=s,
        email=question.user.email,
        key=await rendering.app_key(*question.app, call.language or brand.language),
        trusted_days=question.trusted_days,
        trust=bool(typed.trust),
        passkey=there,
        again=again,
    )
    return View(shown, template=APP, brand=brand)


async def _enrol(ctx: RequestContext, call: PageCall[EnrolForm]) -> View | Answer[None]:
    form = call.fields
    try:
        challenge = step.shown(ctx, call.head)
        if form.act == "totp":
            await enrollment.enrol_totp(ctx, challenge)
            path = step.way_address(step.ENROL, form.s) if form.s else step.ENROL
            return see_other(path, (step.cookie(ctx, challenge, challenges.ENROL_S),))
        if form.act == "passkey":
            given = Given(new_passkey=start.read_passkey(form.credential, start.NOT_MADE), name=form.name.strip())
        else:
            require(otp=form.otp.strip())
            given = Given(otp=form.otp.strip())
        browser = browser_of(ctx, call.head)
        finished = await continuing.continue_sign_in(ctx, challenge, given, browser, trust=bool(form.trust))
    except MfaRequired as wrong:
        problem = ("", start.NOT_MADE) if form.act == "passkey" else ("otp", ENROL_WRONG)
        raise InvalidCredentials(details=[problem], reason=wrong.reason, replay=wrong.replay) from None
    except (InvalidToken, TokenExpired) as refusal:
        return await step.over(ctx, call, refusal, form.s)
    return await done.after_step(ctx, call.form_cookie, finished)


ROUTES = (
    page("GET", step.SECOND_FACTOR, _show_factor, TEMPLATE, "Enter the second factor of a sign-in"),
    page("POST", step.SECOND_FACTOR, _answer, TEMPLATE, "Continue with the second factor", again=_again_factor),
    page("GET", step.ENROL, _show_enrol, WHY, "Set up a required second factor"),
    page(
        "POST", step.ENROL, _enrol, WHY, "Set up a second factor, and continue with its first code", again=_again_enrol
    ),
)
