"""Administrators who may prove a Microsoft directory, by the roles in their token (``wids``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from manifest_auth.errors import Marked, SsoFailed

#: Role template ids, the same in every directory. No claims mapping of Microsoft's can write the claim ``wids``.
ROLES = {
    "62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
    "e8611ab8-c189-46e8-94e1-60213ab1f814": "Privileged Role Administrator",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
}
# English alone: programs get these, and no page shows them.
OTHER_DIRECTORY = Marked("You signed in to another directory than the one that is claimed")
ROLES_MISSING = Marked(
    "Microsoft did not say which roles you have: set groupMembershipClaims to DirectoryRole or All in the "
    "application's manifest"
)
NO_ROLE = Marked(f"The administrator must be a {', a '.join(list(ROLES.values())[:2])} or an Application Administrator")


def role_of(claims: Iterable[Any]) -> str:
    """The name of a role that may prove the directory. ``claims``: ``wids`` of each token of the sign-in, None where it
    has none. Raises SsoFailed, with the remedy."""
    lists = [wids for wids in claims if isinstance(wids, list)]
    if not lists:
        raise SsoFailed(ROLES_MISSING, reason="wids: missing")
    own = {wid.lower() for wids in lists for wid in wids if isinstance(wid, str)}
    for wid, name in ROLES.items():
        if wid in own:
            return name
    raise SsoFailed(NO_ROLE, reason="wids: none of the three roles")
