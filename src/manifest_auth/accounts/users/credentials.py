"""Password and verified e-mail address of a user: the hash, former hashes, and what is verified."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, func, insert, select, update

from manifest_auth.accounts import factors
from manifest_auth.accounts.users.users import User, change
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import password_history, users

_C = users.c
_SET_PASSWORD = tenant_scoped(
    update(users)
    .where(_C.id == bindparam("id"))
    .values(
        password_hash=bindparam("new_hash"),
        password_changed_at=bindparam("changed_at"),
        email_proved_at=bindparam("proved_at"),
    )
)
_PROVE_EMAIL = tenant_scoped(update(users).where(_C.id == bindparam("id")).values(email_proved_at=bindparam("now")))
_REHASH = tenant_scoped(
    update(users)
    .where(_C.id == bindparam("id"), _C.password_hash == bindparam("old_hash"))
    .values(password_hash=bindparam("new_hash"))
)
_ADD_FORMER = tenant_scoped(
    insert(password_history).values(
        user_id=bindparam("user_id"), password_hash=bindparam("password_hash"), replaced_at=bindparam("now")
    )
)
_WITH_PASSWORD = tenant_scoped(
    select(func.count())
    .select_from(users)
    .where(_C.deactivated_at.is_(None), _C.password_hash.is_not(None), _C.password_changed_at <= bindparam("before")),
    int,
)
_H = password_history.c
_DROP_FORMER = tenant_scoped(delete(password_history).where(_H.user_id == bindparam("user_id")))
_FORMER = tenant_scoped(
    select(_H.password_hash).where(_H.user_id == bindparam("user_id")).order_by(_H.id.desc()).limit(bindparam("limit")),
    str,
)


def with_password(unit: TenantUnit, before: int) -> int:
    """How many active users have a password that they set until ``before``, milliseconds."""
    return unit.one(_WITH_PASSWORD, before=before)


def set_email(unit: TenantUnit, user: User, email: str, now: int) -> User:
    """Sets an address that its mailbox just confirmed. Raises Conflict when it is taken in this tenant."""
    names = {"first_name": user.first_name, "last_name": user.last_name, "title": user.title}
    return prove_email(unit, change(unit, user, email=email, **names), now)


def prove_email(unit: TenantUnit, user: User, now: int) -> User:
    """Marks the user's address as verified, after a link in an e-mail to it was followed and no password was set with
    it. An earlier verification keeps its time."""
    if user.email_proved_at is not None:
        return user
    proved_at = _apart(now, user.password_changed_at)
    unit.change(_PROVE_EMAIL, id=user.id, now=proved_at)
    return user._replace(email_proved_at=proved_at)


def password_is_proved(user: User) -> bool:
    """Whether the password was set with a link that was mailed to the user's present address. Exactly then the two
    times are equal: all other writes keep them different (:func:`_apart`)."""
    return user.password_hash is not None and user.password_changed_at == user.email_proved_at


def _apart(now: int, other: int | None) -> int:
    return now + 1 if now == other else now


def set_password(unit: TenantUnit, user: User, password_hash: str, now: int, *, by_emailed_link: bool = False) -> None:
    """Stores the new hash, and the old one for the history rule. ``by_emailed_link``: see
    :func:`password_is_proved`."""
    _store_former_hash(unit, user, now)
    proved_at = now if by_emailed_link else user.email_proved_at
    changed_at = now if by_emailed_link else _apart(now, proved_at)
    _store(unit, user, password_hash, changed_at, proved_at)


def void_password(unit: TenantUnit, user: User, now: int) -> None:
    """Removes the password; the old hash stays in the history."""
    _store_former_hash(unit, user, now)
    _store(unit, user, None, None, user.email_proved_at)


def drop_password(unit: TenantUnit, user: User) -> User:
    """Removes the password and the history."""
    _store(unit, user, None, None, user.email_proved_at)
    unit.change(_DROP_FORMER, user_id=user.id)
    return user._replace(password_hash=None, password_changed_at=None)


def _store(unit: TenantUnit, user: User, new_hash: str | None, changed_at: int | None, proved_at: int | None) -> None:
    """The one place that replaces a password: browsers that were trusted behind the old one are asked again."""
    unit.change(_SET_PASSWORD, id=user.id, new_hash=new_hash, changed_at=changed_at, proved_at=proved_at)
    factors.trusted_browsers.end_all(unit, user.id)


def _store_former_hash(unit: TenantUnit, user: User, now: int) -> None:
    if user.password_hash:
        unit.change(_ADD_FORMER, user_id=user.id, password_hash=user.password_hash, now=now)


def former_hashes(unit: TenantUnit, user: User, count: int) -> list[str]:
    """The current hash and the ``count - 1`` before it, newest first."""
    former = unit.all(_FORMER, user_id=user.id, limit=count)
    return ([user.password_hash] if user.password_hash else [])[:count] + former[: max(0, count - 1)]


def rehash(unit: TenantUnit, user_id: int, old_hash: str, new_hash: str) -> bool:
    """Stores a new hash of the same password. False when the password was changed meanwhile."""
    if unit.change(_REHASH, id=user_id, old_hash=old_hash, new_hash=new_hash) != 1:
        return False
    factors.challenges.rehashed(unit, user_id, old_hash, new_hash)
    return True
