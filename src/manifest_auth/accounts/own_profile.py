"""What a user changes about the own account without anyone's permission: names, title, language. Nothing in it opens
anything."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import audit
from manifest_auth.accounts import users
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.context import Request
from manifest_auth.errors import ValidationError
from manifest_auth.store import TenantUnit
from manifest_auth.text.languages import LANGUAGES

MOST = 100  # characters of a name or title
_WIRE = {"first_name": "firstName", "last_name": "lastName", "title": "title"}


class Profile(NamedTuple):
    """``language``: of :data:`.LANGUAGES`, or empty for none: pages and e-mails then follow browser and client. A
    member that is None stays as it is."""

    first_name: str | None = None
    last_name: str | None = None
    title: str | None = None
    language: str | None = None


def change_own(unit: TenantUnit, who: Request, wanted: Profile) -> User:
    """The caller, changed. What is the same already is not recorded. Raises ValidationError."""
    user = users.get(unit, who.user.user_id, lock=True)
    before = {"first_name": user.first_name, "last_name": user.last_name, "title": user.title}
    given = {name: text for name in before if (text := getattr(wanted, name)) is not None}
    for name, text in given.items():
        if len(text) > MOST:
            sentence = f"Must have at most {MOST} characters"
            raise ValidationError(details=[(_WIRE[name], sentence)], rule=("at_most", MOST))
    if wanted.language and wanted.language not in LANGUAGES:
        raise ValidationError(details=[("language", "No such language")])
    after = users.change(unit, user, email=user.email, **{**before, **given})
    if wanted.language is not None and (wanted.language or None) != user.language:
        after = users.set_language(unit, after, wanted.language or None)
    changed = [name for name in (*before, "language") if getattr(after, name) != getattr(user, name)]
    if changed:
        detail = {"before": {n: getattr(user, n) for n in changed}, "after": {n: getattr(after, n) for n in changed}}
        audit.record(unit, who, Event.USER_CHANGED, f"user:{user.id}", **detail)
    return after
