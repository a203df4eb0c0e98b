"""One-time links: whoever holds one comes in for the first time, or chooses a new password, once. Owns ``invitations``.

A link is the address of a page with a random token behind ``#``, which browsers send to nobody. Only the token's hash
is kept. What a link is good for besides its time (the user, the client, ranks) is judged by those who take it.
"""

from __future__ import annotations

import enum
import hashlib
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, update

from manifest_auth.runtime.settings import HOUR, MINUTE
from manifest_auth.store import SystemUnit, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import invitations

PAGE = "/welcome"


class Purpose(enum.Enum):
    """``INVITATION``: to come in for the first time, through a provider or with a first password. ``RESET``: to choose
    a new password, and nothing else."""

    INVITATION = "invitation"
    RESET = "reset"


LIFE_S = {Purpose.INVITATION: 72 * HOUR, Purpose.RESET: 30 * MINUTE}


class Link(NamedTuple):
    """``invited_by``: as the audit trail names who made it (``user:5``, ``admin:1``); the user itself, for one that was
    asked for at its own address. ``emailed``: 1 where it went to the user's address and was shown to no one, so that
    who follows it reads that mailbox."""

    id: int
    tenant_id: int
    user_id: int
    purpose: str
    invited_by: str
    expires_at: int
    used_at: int | None
    emailed: int

    def is_open(self, purpose: Purpose, now: int) -> bool:
        """Whether it is good for that, now."""
        return self.purpose == purpose.value and self.used_at is None and self.expires_at > now


_C = invitations.c
_OPEN = (_C.used_at.is_(None), _C.expires_at > bindparam("now"))
_NEW = ("user_id", "purpose", "key", "invited_by", "emailed", "created_at", "expires_at")
_ADD = tenant_scoped(insert(invitations).values({name: bindparam(name) for name in _NEW}).returning(_C.id), int)
_CLOSING = update(invitations).where(_C.user_id == bindparam("of_user"), *_OPEN).values(expires_at=bindparam("now"))
_CLOSE_ALL = tenant_scoped(_CLOSING)
_CLOSE = tenant_scoped(_CLOSING.where(_C.purpose == bindparam("of_purpose")))
_ALL = select(*(_C[name] for name in Link._fields))
_FIND = tenant_scoped(_ALL.where(_C.key == bindparam("key")), Link)
_ANYWHERE = cross_tenant(
    _ALL.where(_C.key == bindparam("key")),
    Link,
    because="whoever follows a link shows its token and nothing else; the token names the tenant",
)
_BY_ID = tenant_scoped(_ALL.where(_C.id == bindparam("id")), Link)
_USE = tenant_scoped(update(invitations).where(_C.id == bindparam("id"), *_OPEN).values(used_at=bindparam("now")))


def _key(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def make(
    unit: TenantUnit, user_id: int, purpose: Purpose, token: str, made_by: str, now: int, *, emailed: bool,
    life_s: int | None = None,
) -> int:  # fmt: skip
    """Opens a link under a random token; earlier ones of the user for the same purpose close. ``emailed``: whether it
    goes to the user's own address and nowhere else. ``life_s``: in place of the purpose's own. When it expires, in
    milliseconds."""
    close(unit, user_id, now, purpose)
    expires_at = now + (life_s or LIFE_S[purpose]) * 1000
    unit.first(
        _ADD,
        user_id=user_id,
        purpose=purpose.value,
        key=_key(token),
        invited_by=made_by,
        emailed=int(emailed),
        created_at=now,
        expires_at=expires_at,
    )
    return expires_at


def find(unit: TenantUnit, token: str) -> Link | None:
    """A link of the tenant, open or not."""
    return unit.first(_FIND, key=_key(token))


def find_anywhere(unit: SystemUnit, token: str) -> Link | None:
    """A link of any tenant, open or not."""
    return unit.first(_ANYWHERE, key=_key(token))


def find_by_id(unit: TenantUnit, link_id: int) -> Link | None:
    """A link of the tenant, open or not."""
    return unit.first(_BY_ID, id=link_id)


def use(unit: TenantUnit, link: Link, now: int) -> bool:
    """Uses a link up. False when it is not open any more: of those who race, one is told True."""
    return unit.change(_USE, id=link.id, now=now) == 1


def close(unit: TenantUnit, user_id: int, now: int, purpose: Purpose | None = None) -> int:
    """Closes the open links of a user, of one purpose or of all. How many there were."""
    if purpose is None:
        return unit.change(_CLOSE_ALL, of_user=user_id, now=now)
    return unit.change(_CLOSE, of_user=user_id, of_purpose=purpose.value, now=now)


def address(public_url: str, token: str) -> str:
    """Where the link leads."""
    return f"{public_url.rstrip('/')}{PAGE}#{token}"
