"""Acts that need a recent proof of who acts, and the events by which the audit trail knows them.

:mod:`manifest_auth.tenants.step_up` decides whether the proof is recent, and marks the request with the act that it was
asked about. The trail refuses an event of such an act from a request without that mark, and with it the whole
transaction: an act that forgets to ask does not happen.
"""

from __future__ import annotations

from manifest_auth.audit.catalogue import Event
from manifest_auth.context import Acting, AdminCaller, Principal, Request


class NotAsked(Exception):
    """A bug: an act that needs a recent proof did not ask for it."""


def check_was_asked(acting: Acting, event: Event, subject: str) -> None:
    """Raises NotAsked where the event's act was not asked about in this request."""
    if not isinstance(acting, Request):
        return
    caller = acting.caller
    if not isinstance(caller, Principal | AdminCaller):
        return
    about, needed = event.about, event.about.asks
    if subject == caller.actor:
        needed |= about.asks_users if isinstance(caller, Principal) else about.asks_admins
    if needed and not needed & acting.asked:
        raise NotAsked(f"{event.value} of {caller.actor}: no recent proof was asked for")
