"""``/sign-in/enrol``: sets up the second factor that a client requires, before a sign-in goes on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth.accounts.factors import challenges
from manifest_auth.errors import InvalidCredentials, InvalidToken, MfaRequired, TokenExpired
from manifest_auth.http import Answer
from manifest_auth.http.sign_in_cookies import browser_of
from manifest_auth.pages import brands, qr
from manifest_auth.pages.call import PageCall, View, require, see_other
from manifest_auth.pages.routing import page
from manifest_auth.pages.sign_in import ending, step, ways
from manifest_auth.pages.sign_in import state as states
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.second_factor import asked, continuing
from manifest_auth.sign_in.second_factor.answer import Answer as Given
from manifest_auth.sign_in.second_factor.asked import Question
from manifest_auth.text.languages import catalogue
from manifest_auth.text.languages import marked as _

WHY = "sign_in/enrol.html"
APP = "sign_in/enrol_app.html"
_WRONG = _(
    "This code is not right. Check that your app has the key of this page, and enter the code that it shows now."
)
_QR_TITLE = _("QR code with the key for your authenticator app")


class EnrolQuery(msgspec.Struct, frozen=True):
    s: Annotated[str, Meta(max_length=8000)] = ""


class EnrolForm(msgspec.Struct, frozen=True):
    """``act``: ``totp`` begins with an authenticator app, ``confirm`` brings its first code."""

    s: Annotated[str, Meta(max_length=8000)] = ""
    act: Literal["totp", "confirm"] = "confirm"
    otp: Annotated[str, Meta(max_length=64)] = ""
    trust: Literal["", "on"] = ""


class WhyView(msgspec.Struct, frozen=True):
    """``totp``: whether an authenticator app may be set up."""

    s: str
    email: str
    totp: bool
    again: str


class AppView(msgspec.Struct, frozen=True):
    """An app that waits for its first code. ``secret``: in groups of four; ``uri``: what an app on this device opens;
    ``qr``: the same as markup."""

    s: str
    email: str
    secret: str
    uri: str
    qr: str
    trusted_days: int
    trust: bool
    again: str


async def _show(ctx: RequestContext, call: PageCall[EnrolQuery]) -> View | Answer[None]:
    return await _page(ctx, call)


async def _again(ctx: RequestContext, call: PageCall[EnrolForm]) -> View | Answer[None]:
    return await _page(ctx, call, trust=bool(call.fields.trust))


async def _page(ctx: RequestContext, call: PageCall[Any], *, trust: bool = False) -> View | Answer[None]:
    try:
        question = await asked.look(ctx, step.shown(ctx, call.head))
    except (InvalidToken, TokenExpired) as refusal:
        return await step.over(ctx, call, refusal, call.fields.s)
    s = states.seal(ctx, call.form_cookie, step.state_of(question))
    if not question.enrols:
        return see_other(ways.address(step.SECOND_FACTOR, s))
    call.here = ways.address(step.ENROL, s)
    brand, again = brands.of_client(question.tenant), ways.address(ways.SIGN_IN, s)
    if question.enrolment is None:
        return View(WhyView(s, question.user.email, "totp" in question.methods, again), brand=brand)
    t = catalogue(call.language or brand.language)
    return View(await _app_view(question, s, again, t.gettext(_QR_TITLE), trust=trust), template=APP, brand=brand)


async def _app_view(question: Question, s: str, again: str, title: str, *, trust: bool) -> AppView:
    assert question.enrolment is not None
    secret, uri = question.enrolment
    return AppView(
        s=s,
        email=question.user.email,
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        uri=uri,
        qr=await qr.code(uri, title),
        trusted_days=question.trusted_days,
        trust=trust,
        again=again,
    )


async def _enrol(ctx: RequestContext, call: PageCall[EnrolForm]) -> View | Answer[None]:
    form = call.fields
    try:
        challenge = step.shown(ctx, call.head)
        if form.act == "totp":
            await continuing.enrol_totp(ctx, challenge)
            path = ways.address(step.ENROL, form.s) if form.s else step.ENROL
            return see_other(path, (step.cookie(ctx, challenge, challenges.ENROL_S),))
        require(otp=form.otp.strip())
        given, browser = Given(otp=form.otp.strip()), browser_of(ctx, call.head)
        finished = await continuing.continue_sign_in(ctx, challenge, given, browser, trust=bool(form.trust))
    except MfaRequired as wrong:
        raise InvalidCredentials(details=[("otp", _WRONG)], reason=wrong.reason, replay=wrong.replay) from None
    except (InvalidToken, TokenExpired) as refusal:
        return await step.over(ctx, call, refusal, form.s)
    return await ending.after_step(ctx, call.form_cookie, finished)


ROUTES = (
    page("GET", step.ENROL, _show, WHY, "Why a second factor has to be set up, and how"),
    page("POST", step.ENROL, _enrol, WHY, "Set a second factor up, and go on with its first code", again=_again),
)
