"""``/sign-in/enrol``: sets up the second factor that a client requires, before a sign-in goes on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth.accounts.factors import challenges
from manifest_auth.errors import InvalidCredentials, InvalidToken, MfaRequired, TokenExpired
from manifest_auth.http import Answer
from manifest_auth.http.cookies import browser_of
from manifest_auth.pages import app_keys, brands
from manifest_auth.pages.app_keys import AppKey
from manifest_auth.pages.call import PageCall, View, require, see_other
from manifest_auth.pages.routing import page
from manifest_auth.pages.sign_in import ending, passkey, step, ways
from manifest_auth.pages.sign_in import state as states
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.second_factor import continuing, enrollment, questions
from manifest_auth.sign_in.second_factor.questions import Answer as Given
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _

WHY = "sign_in/enrol.html"
APP = "sign_in/enrol_app.html"
PASSKEY = "sign_in/enrol_passkey.html"
WRONG = _("This code is not right. Check that your app has the key of this page, and enter the code that it shows now.")


class EnrolQuery(msgspec.Struct, frozen=True):
    """``way``: ``passkey`` to make one."""

    s: Annotated[str, Meta(max_length=8000)] = ""
    way: Literal["", "passkey"] = ""


class EnrolForm(msgspec.Struct, frozen=True):
    """``act``: ``totp`` begins with an authenticator app, ``confirm`` brings its first code, ``passkey`` a new passkey
    by the name of ``name``."""

    s: Annotated[str, Meta(max_length=8000)] = ""
    act: Literal["totp", "confirm", "passkey"] = "confirm"
    otp: Annotated[str, Meta(max_length=64)] = ""
    credential: passkey.Credential = ""
    name: Annotated[str, fields.PASSKEY_NAME.typed] = ""
    trust: Literal["", "on"] = ""


class WhyView(msgspec.Struct, frozen=True):
    """``totp``: whether an authenticator app may be set up; ``passkey``: where a passkey is made, empty for nowhere."""

    s: str
    email: str
    totp: bool
    passkey: str
    again: str


class PasskeyView(msgspec.Struct, frozen=True):
    """A passkey is to be made. ``options``: for the browser, as JSON; ``other``: address of another way, empty for
    none."""

    s: str
    name: str
    options: str
    trusted_days: int
    trust: bool
    other: str
    again: str


class AppView(msgspec.Struct, frozen=True):
    """An app that waits for its first code. ``passkey``: where a passkey is made instead, empty for nowhere."""

    s: str
    email: str
    key: AppKey
    trusted_days: int
    trust: bool
    passkey: str
    again: str


async def _show(ctx: RequestContext, call: PageCall[EnrolQuery]) -> View | Answer[None]:
    return await _page(ctx, call, EnrolForm(), call.fields.way == "passkey")


async def _again(ctx: RequestContext, call: PageCall[EnrolForm]) -> View | Answer[None]:
    return await _page(ctx, call, call.fields, call.fields.act == "passkey")


async def _page(ctx: RequestContext, call: PageCall[Any], typed: EnrolForm, by_passkey: bool) -> View | Answer[None]:
    try:
        challenge = step.shown(ctx, call.head)
        question = await questions.look_at_question(ctx, challenge)
    except (InvalidToken, TokenExpired) as refusal:
        return await step.over(ctx, call, refusal, call.fields.s)
    s = states.seal(ctx, call.form_cookie, step.state_of(question))
    if not question.enrols:
        return see_other(ways.address(step.SECOND_FACTOR, s))
    call.here = ways.address(step.ENROL, s)
    brand, again = brands.of_client(question.tenant), ways.address(ways.SIGN_IN, s)
    there = f"{call.here}&way=passkey" if "passkey" in question.methods else ""
    if there and by_passkey:
        options = passkey.as_json(await questions.to_enrol(ctx, challenge))
        other = call.here if "totp" in question.methods else ""
        call.here = there
        making = PasskeyView(
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
        return View(WhyView(s, question.user.email, "totp" in question.methods, there, again), brand=brand)
    shown = AppView(
        s=s,
        email=question.user.email,
        key=await app_keys.shown(*question.app, call.language or brand.language),
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
            path = ways.address(step.ENROL, form.s) if form.s else step.ENROL
            return see_other(path, (step.cookie(ctx, challenge, challenges.ENROL_S),))
        if form.act == "passkey":
            given = Given(new_passkey=passkey.read(form.credential, passkey.NOT_MADE), name=form.name.strip())
        else:
            require(otp=form.otp.strip())
            given = Given(otp=form.otp.strip())
        browser = browser_of(ctx, call.head)
        finished = await continuing.continue_sign_in(ctx, challenge, given, browser, trust=bool(form.trust))
    except MfaRequired as wrong:
        problem = ("", passkey.NOT_MADE) if form.act == "passkey" else ("otp", WRONG)
        raise InvalidCredentials(details=[problem], reason=wrong.reason, replay=wrong.replay) from None
    except (InvalidToken, TokenExpired) as refusal:
        return await step.over(ctx, call, refusal, form.s)
    return await ending.after_step(ctx, call.form_cookie, finished)


ROUTES = (
    page("GET", step.ENROL, _show, WHY, "Why a second factor has to be set up, and how"),
    page("POST", step.ENROL, _enrol, WHY, "Set a second factor up, and go on with its first code", again=_again),
)
