"""Why a sign-in through a provider failed, in the reader's language: our own fixed sentences.

A sentence that is not listed here is not shown, so a provider's own words, or what an attacker writes in their place,
reach no page.
"""

from __future__ import annotations

from manifest_auth.errors import Refusal, SsoFailed
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import early_refusals
from manifest_auth.text.languages import Words
from manifest_auth.text.languages import marked as _

OTHER_BROWSER = _(
    "This sign-in began in another browser, or not at %(address)s; start again there, with cookies allowed"
)
#: As programs get them in English.
SENTENCES = frozenset(
    (
        # what the provider answered
        _("The sign-in was cancelled or not allowed at your organisation's sign-in page."),
        _("Your organisation's sign-in page asks you to sign in there first. Please try again."),
        _("Please choose an account at your organisation's sign-in page and try again."),
        _("Your consent is needed at your organisation's sign-in page. Please try again."),
        _("Your organisation's sign-in page needs something more from you. Please try again."),
        _("Your organisation's sign-in page is busy or under maintenance. Please try again in a few minutes."),
        _("Your organisation's sign-in page has a fault of its own. Please try again in a few minutes."),
        _("Your organisation's sign-in page did not let you in. If this goes on, please tell your administrator."),
        _("The sign-in took too long or was completed already. Please start again."),
        _("Single sign-on is not set up correctly. Please tell your administrator."),
        # who came back
        _("You have no account here that belongs to this identity"),
        _("The identity provider gives no valid e-mail address"),
        _("Your account at the identity provider gives you no role here"),
        _("Your account at the identity provider is in more groups than it tells us"),
        _("You are not a user of the organisation in Dynamics"),
        _("This identity belongs to another account"),
        _("This installation's licence has no free seat for you; an administrator can free one"),
        # what happened here meanwhile
        _("This sign-in is over, start again"),
        _("This way to sign in is switched off"),
        _("The invitation is not open any more"),
        _("You are not signed in any more"),
        _("You may not do this any more"),
        _("Another session of this browser started this"),
        # a new proof of who is signed in
        _("You signed in as another person"),
        _("The provider did not ask you to sign in again"),
    )
)


def advice(ctx: RequestContext, refusal: Refusal, t: Words) -> str:
    """The sentence for a page; empty where the refusal has none of these."""
    if not isinstance(refusal, SsoFailed):
        return ""
    if refusal.message in SENTENCES:
        return _ended(t.gettext(refusal.message))
    if refusal.message == early_refusals.other_browser(ctx):
        return _ended(t.gettext(OTHER_BROWSER) % {"address": early_refusals.start_address(ctx)})
    return ""


def _ended(text: str) -> str:
    """With the end that a sentence has; those of JSON may lack it."""
    return text if text.endswith((".", "。")) else f"{text}."
