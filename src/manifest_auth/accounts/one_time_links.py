"""One-time links, stored in ``invitations``: each allows a first sign-in, or a new password, once.

A link is the address of a page with a random token in the fragment (``#``), which browsers never send. Only the token's
hash is stored. Callers check everything except the link's own state: user, client, ranks.
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
    """``INVITATION``: a first sign-in, through a provider or with a first password. ``RESET``: only a new password."""

    INVITATION = "invitation"
    RESET = "reset"


LIFE_S = {Purpose.INVITATION: 72 * HOUR, Purpose.RESET: 30 * MINUTE}


class Link(NamedTuple):
    """``invited_by``: the actor who made it, as in the audit trail (``user:5``, ``admin:1``); the user for "forgot
    password". ``emailed``: 1 where it was only mailed to the user's address, so that using it proves the mailbox."""

    id: int
    tenant_id: int
    user_id: int
    purpose: str
    invited_by: str
    expires_at: int
    used_at: int | None
    emailed: int

    def is_open(self, purpose: Purpose, now: int) -> bool:
        """Whether it can be used for that purpose now."""
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
    because="a request with a link has only its token; the token names the tenant",
)
_BY_ID = tenant_scoped(_ALL.where(_C.id == bindparam("id")), Link)
_USE = tenant_scoped(update(invitations).where(_C.id == bindparam("id"), *_OPEN).values(used_at=bindparam("now")))


def _key(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def make(
    unit: TenantUnit, user_id: int, purpose: Purpose, token: str, made_by: str, now: int, *, emailed: bool,
    life_s: int | None = None,
) -> int:  # fmt: skip
    """Stores a link with a random token; earlier ones of the user for the same purpose close. ``emailed``: it is only
    mailed to the user's own address. ``life_s``: lifetime in seconds, in place of the purpose's. Returns when it
    expires, in milliseconds."""
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


def find_in_any_tenant(unit: SystemUnit, token: str) -> Link | None:
    """A link of any tenant, open or not; None: no link has this token."""
    return unit.first(_ANYWHERE, key=_key(token))


def find_by_id(unit: TenantUnit, link_id: int) -> Link | None:
    """A link of the tenant, open or not."""
    return unit.first(_BY_ID, id=link_id)


def use(unit: TenantUnit, link: Link, now: int) -> bool:
    """Marks a link as used. False when it is no longer open: of concurrent calls, one gets True."""
    return unit.change(_USE, id=link.id, now=now) == 1


def close(unit: TenantUnit, user_id: int, now: int, purpose: Purpose | None = None) -> int:
    """Closes the open links of a user, of one purpose or of all; how many there were."""
    if purpose is None:
        return unit.change(_CLOSE_ALL, of_user=user_id, now=now)
    return unit.change(_CLOSE, of_user=user_id, of_purpose=purpose.value, now=now)


def address(public_url: str, token: str) -> str:
    """The link's address."""
    return f"{public_url.rstrip('/')}{PAGE}#{token}"
