"""Errors in the reader's language, by their code and the broken rule.

The JSON message stays English.
"""

from __future__ import annotations

import gettext
from typing import NamedTuple

from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    Forbidden,
    InvalidCredentials,
    InvalidToken,
    MfaRequired,
    NotFound,
    Refusal,
    TokenExpired,
    ValidationError,
)
from manifest_auth.pages.call import Confirmation, FormRefusal, Problem
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.refusal_reasons import SUSPENDED
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import several, shown


class NoFormCookie(ValidationError):
    """The browser stores no cookies, or the page was open for longer than the lifetime of its cookie."""


class UnknownClient(NotFound):
    """No client has that identifier. The page says so, because identifiers aren't secret."""


class StepEnded(InvalidToken):
    """A sign-in cannot continue with its second factor, because of too many incorrect responses, or because the account
    was changed in the meantime."""


class StepExpired(TokenExpired):
    """The second factor was not provided in time."""


class FormExpired(Conflict):
    """A form of this person, but from another session or more than a day old. It is shown again with the entered
    values."""


class PasskeyOfAnother(InvalidCredentials):
    """A passkey that belongs to a client other than the named one."""


_S = 60


class Sentence(NamedTuple):
    """An error message. ``title``: what happened; ``advice``: what to do."""

    title: str
    advice: str


#: Messages of error pages, by code.
PAGES = {
    "NOT_FOUND": Sentence(
        _("Page not found"),
        _("The address might be wrong or outdated, or your account doesn't have access."),
    ),
    "METHOD_NOT_ALLOWED": Sentence(_("This page can't be opened this way"), _("Go to the start page.")),
    "VALIDATION_ERROR": Sentence(_("This link is incomplete"), _("Start again in the app that sent you here.")),
    "FORBIDDEN": Sentence(_("This page has expired"), _("Your changes weren't saved. Go back and try again.")),
    "ACCOUNT_DISABLED": Sentence(_("This account is deactivated"), _("Ask your administrator to reactivate it.")),
    "LICENSE_REQUIRED": Sentence(_("This server has no license yet"), _("Contact the operator of this server.")),
    "LICENSE_EXPIRED": Sentence(
        _("The license of this server has expired"), _("Contact the operator of this server to renew it.")
    ),
    "SSO_FAILED": Sentence(_("Sign-in failed"), _("Start again. If it keeps happening, contact your administrator.")),
    "PROVIDER_UNAVAILABLE": Sentence(
        _("Your organization's sign-in service isn't responding"), _("Try again in a few minutes.")
    ),
    "RATE_LIMITED": Sentence(_("Too many attempts"), _("Wait a moment, and then try again.")),
    "OVERLOADED": Sentence(_("The server is busy"), _("Wait a moment, and then try again.")),
    "PAYLOAD_TOO_LARGE": Sentence(_("Your input is too large"), _("Shorten your input, and try again.")),
    "CONFLICT": Sentence(
        _("This conflicts with a recent change"), _("Something changed in the meantime. Go back, and try again.")
    ),
    "INTERNAL_ERROR": Sentence(
        _("Something went wrong"),
        _("We logged this error. Try again. If it keeps happening, contact support and include the request ID."),
    ),
}
_SUSPENDED = Sentence(
    _("This organization is suspended"),
    _("Nobody can sign in to it. Ask your administrator or the operator of this server."),
)
OTHERWISE = Sentence(_("Something went wrong"), _("Go back and try again."))
#: Refusals that only pages have.
OF_PAGES: dict[type[Refusal], Sentence] = {
    NoFormCookie: Sentence(
        _("Your browser blocked a cookie"),
        _("Cookies are blocked for this site, or the page was open for more than a day. Start again."),
    ),
    UnknownClient: Sentence(
        _("Organization not found"),
        _("Check the link that you followed, or sign in with only your email address."),
    ),
    PasskeyOfAnother: Sentence(
        _("This passkey belongs to a different organization"),
        _("Sign in there, or use a different sign-in method here."),
    ),
    StepEnded: Sentence(
        _("This sign-in can't continue"),
        _(
            "There were too many incorrect codes, or your account changed. Start again. If you used a link from an "
            "email, open it again."
        ),
    ),
    StepExpired: Sentence(
        _("This sign-in expired"),
        _("You aren't signed in. Start again. If you used a link, open it again."),
    ),
}
START = _("Go to the start page")
OPERATOR = _("Sign in as a system admin")

#: The sentence above a form that is shown again, by code.
FORMS = {
    "INVALID_CREDENTIALS": _("Incorrect email address or password."),
    "INVALID_TOKEN": _("This link or code is no longer valid. Request a new one."),
    "TOKEN_EXPIRED": _("This has expired. Start again."),
    "RATE_LIMITED": _("Too many attempts. Try again later."),
    "OVERLOADED": _("The server is busy. Your changes weren't saved. Try again in a moment."),
    "CONFLICT": _("This conflicts with a recent change. Reload the page and try again."),
    "VALIDATION_ERROR": _("Check what you entered."),
    "UNSUPPORTED_MEDIA_TYPE": _("Check what you entered."),
    "FORBIDDEN": _("You don't have permission to do this."),
    "LICENSE_INVALID": _("The license key isn't valid for this server."),
    "SSO_FAILED": _("Sign-in failed. Start again."),
    "PROVIDER_UNAVAILABLE": _("Your organization's sign-in service isn't responding. Try again in a few minutes."),
}

#: Sentences above a form: two for one that wasn't carried out, and one for a form that might have been.
EXPIRED = _(
    "Nothing was saved because your session expired. Check the form, enter passwords and other secrets again, and then "
    "submit it."
)
NOT_SAVED = _(
    "These changes weren't saved. Check the form, enter passwords and other secrets again, and then submit it."
)
UNKNOWN_RESULT = _(
    "This form was already submitted, but the result isn't known. Check whether it was saved before you submit it "
    "again."
)

#: A field that the page's own form would not have sent.
NOT_SO = _("Too long or invalid")


def ends_sessions(number: int) -> str:
    """Returns the number of sessions that an action ends, for the question before it."""
    return several("Ends %(number)d open session.", "Ends %(number)d open sessions.", number)


#: The question before a key or secret of a program is revoked; ``name``: its last characters.
REVOKES = Confirmation(
    _("Revoke the credential that ends with %(name)s?"),
    (_("Programs that use it stop working immediately."), _("You can't undo this.")),
    _("Revoke credential"),
)


#: Errors with their own sentence that says more than the sentence of their code.
_SAYS_WHY = (Conflict, Forbidden, InvalidCredentials)


def refused(ctx: RequestContext, refusal: Refusal, t: gettext.NullTranslations) -> FormRefusal:
    """Returns the sentences above a rejected form, and beside its fields."""
    wait = refusal.retry_after or 0
    at = ctx.now + wait * 1000 if wait else 0
    if isinstance(refusal, (ValidationError, Forbidden, InvalidCredentials, MfaRequired)) and refusal.details:
        return FormRefusal(tuple(Problem(field, shown(text, t)) for field, text in refusal.details), wait, at)
    text = FORMS.get(refusal.code)
    specific = isinstance(refusal, _SAYS_WHY) and refusal.message != refusal.sentence
    said = shown(refusal.message if specific or text is None else text, t)
    return FormRefusal((Problem(refusal.field, said),), wait, at)


def sentence_of(refusal: Refusal, t: gettext.NullTranslations) -> Sentence:
    """Returns title and advice of the page that shows a refusal."""
    found = OF_PAGES.get(type(refusal)) or PAGES.get(refusal.code, OTHERWISE)
    if isinstance(refusal, AccountDisabled) and refusal.reason == SUSPENDED.text:
        found = _SUSPENDED
    return Sentence(t.gettext(found.title), t.gettext(found.advice))
