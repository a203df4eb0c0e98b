"""Browsers in which a user chose to skip the second factor for a while.

The cookie has 256 random bits and works only for its user, so a planted cookie is worthless. It isn't a factor and
never counts as re-authentication.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import bindparam, delete, func, insert, select

from manifest_auth.context import Request
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import DAY
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import trusted_browsers
from manifest_auth.text.canonical import when
from manifest_auth.text.models import Time, Wire

MOST = 50  # shown in lists
_T = trusted_browsers.c
_NEW = ("id", "user_id", "key", "user_agent", "address", "created_at", "ends_at")


class TrustedData(Wire, frozen=True):
    id: str
    user_agent: str
    address: str
    created_at: Time
    ends_at: Time


_OWN = _T.user_id == bindparam("of_user")
#: ``since``: browsers trusted before this time have expired under the client's current policy, even if the policy was
#: different when they were trusted.
_HOLDS = (_T.ends_at > bindparam("now"), _T.created_at > bindparam("since"))
_ADD = tenant_scoped(insert(trusted_browsers).values({name: bindparam(name) for name in _NEW}))
_FIND = tenant_scoped(select(_T.id).where(_OWN, _T.key == bindparam("key"), *_HOLDS), str)
_LIST = tenant_scoped(
    select(*(_T[name] for name in TrustedData.__struct_fields__))
    .where(_OWN, *_HOLDS)
    .order_by(_T.created_at.desc(), _T.id)
    .limit(MOST)
)
_COUNT = tenant_scoped(select(func.count()).select_from(trusted_browsers).where(*_HOLDS), int)
_DROP_KEY = tenant_scoped(delete(trusted_browsers).where(_T.key == bindparam("key")))
_DROP_ONE = tenant_scoped(delete(trusted_browsers).where(_OWN, _T.id == bindparam("of_id")))
_DROP = tenant_scoped(delete(trusted_browsers).where(_OWN))
_DROP_OLDER = tenant_scoped(delete(trusted_browsers).where(_T.created_at <= bindparam("since")))


def trust(unit: TenantUnit, request: Request, random: Random, user_id: int, days: int, before: str | None) -> str:
    """Trusts the request's browser. Returns the value of its cookie. ``before`` is the browser's previous value, of any
    user, which ends."""
    if before:
        unit.change(_DROP_KEY, key=_key(before))
    cookie, now = random.text(32), request.now
    unit.change(
        _ADD,
        id=random.text(12),
        user_id=user_id,
        key=_key(cookie),
        user_agent=request.user_agent,
        address=request.address,
        created_at=now,
        ends_at=now + _span(days),
    )
    return cookie


def is_trusted(unit: TenantUnit, user_id: int, cookie: str | None, days: int, now: int) -> bool:
    """Whether the browser with this cookie can skip the second factor. ``days`` comes from the client's current
    policy."""
    if not cookie:
        return False
    return unit.first(_FIND, of_user=user_id, key=_key(cookie), now=now, since=now - _span(days)) is not None


def list_all(unit: TenantUnit, user_id: int, days: int, now: int) -> list[TrustedData]:
    """A user's trusted browsers, newest first, with their end times under the current policy."""
    found = unit.all(_LIST, of_user=user_id, now=now, since=now - _span(days))
    return [
        TrustedData(one, agent, address, when(since), when(min(ends, since + _span(days))))
        for one, agent, address, since, ends in found
    ]


def end_one(unit: TenantUnit, user_id: int, trusted_id: str) -> bool:
    """Ends the trust of one of a user's browsers. Returns False if there is no such browser."""
    return unit.change(_DROP_ONE, of_user=user_id, of_id=trusted_id) == 1


def end_all(unit: TenantUnit, user_id: int) -> int:
    """Ends the trust of all browsers of a user. Returns how many there were."""
    return unit.change(_DROP, of_user=user_id)


def ending(unit: TenantUnit, days: int, days_then: int, now: int) -> int:
    """The number of browsers, of all users of the tenant, that :func:`end_older` would end. ``days`` comes from the
    current policy, and ``days_then`` from the new one."""
    trusted, left = (unit.one(_COUNT, now=now, since=now - _span(each)) for each in (days, days_then))
    return trusted - left


def end_older(unit: TenantUnit, days: int, now: int) -> int:
    """Ends the trust of all the tenant's browsers that a new policy expires, so that no later policy revives it.
    Returns how many there were."""
    return unit.change(_DROP_OLDER, since=now - _span(days))


def _span(days: int) -> int:
    return days * DAY * 1000


def _key(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "surrogateescape")).hexdigest()
