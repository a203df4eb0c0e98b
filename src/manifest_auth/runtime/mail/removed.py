"""Sentences of an email and of a page on what was taken from an account whose former address was restored.

No input or output.
"""

from __future__ import annotations

from manifest_auth.runtime.mail.writing import Sentence, several
from manifest_auth.runtime.mail.writing import sentence as _
from manifest_auth.text.wire import Wire

_REMOVED = _(
    "Sign-in methods were removed because they were added in the 24 hours before the change was requested, or later:"
)


class RemovedData(Wire, frozen=True):
    """What was added in the 24 hours before the change was requested, or later. ``app``: the authenticator app;
    ``identities``: how many were unlinked."""

    app: bool
    passkeys: int
    recovery_codes: bool
    identities: int
    badges: int
    pin: bool


def after_undoing(removed: RemovedData, manages: bool) -> tuple[Sentence, ...]:
    """What a user has to know whose former address was restored. ``manages``: the user manages other users."""
    passkeys, identities, badges = removed.passkeys, removed.identities, removed.badges
    each = (
        (removed.app, _("The authenticator app was removed.")),
        (passkeys, several("%(num)s passkey was removed.", "%(num)s passkeys were removed.", passkeys)),
        (removed.recovery_codes, _("The recovery codes no longer work.")),
        (
            identities,
            several("%(num)s linked account was unlinked.", "%(num)s linked accounts were unlinked.", identities),
        ),
        (badges, several("%(num)s badge no longer works.", "%(num)s badges no longer work.", badges)),
        (removed.pin, _("The PIN no longer works.")),
    )
    gone = [sentence for count, sentence in each if count]
    if gone:
        gone = [_REMOVED, *gone, _("If you added one of them yourself, add it again.")]
    return (*gone, *([_("Check the audit log for changes that this account made.")] if manages else []))
