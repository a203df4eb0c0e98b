"""Changes of one's own account that need no proof: names, title, language.

Never the address or a role.
"""

from __future__ import annotations

from typing import Any, TypedDict, cast

from manifest_auth import audit
from manifest_auth.accounts import users
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.context import Request
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.text.languages import Language

_NAMES = ("first_name", "last_name", "title")


class ProfileChange(TypedDict, total=False):
    """Members that are left out stay. ``language`` None: none is chosen."""

    first_name: str
    last_name: str
    title: str
    language: Language | None


def change_own(unit: TenantUnit, who: Request, given: ProfileChange) -> User:
    """The caller's account afterwards. Raises ValidationError, Forbidden for a device."""
    step_up.not_for_devices(who)
    user = users.get(unit, who.user.user_id, lock=True)
    names: dict[str, str] = {name: getattr(user, name) for name in _NAMES}
    names |= {name: text for name, text in cast("dict[str, str]", given).items() if name in _NAMES}
    after = users.change(unit, user, email=user.email, description=user.description, **names)
    if "language" in given:
        users.set_language(unit, user.id, given["language"])
        after = after._replace(language=given["language"])
    changed = [name for name in given if getattr(user, name) != getattr(after, name)]
    if changed:
        detail: dict[str, Any] = {
            "before": {name: getattr(user, name) for name in changed},
            "after": {name: getattr(after, name) for name in changed},
        }
        audit.record(unit, who, Event.USER_CHANGED, f"user:{user.id}", **detail)
    return after
