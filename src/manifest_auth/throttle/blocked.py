"""Whom the throttle holds back now, for system admins: seen as counters, since their keys are hashes, and let go: all,
or those of an account or address that is named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, get_args

from sqlalchemy import BigInteger, bindparam, delete, select

from manifest_auth.runtime.metrics import EntryPoint
from manifest_auth.store import Listing, SystemUnit, TenantUnit, global_, tenant_scoped
from manifest_auth.store.tables import known_origins, throttles
from manifest_auth.throttle import throttle

ADMIN_ENTRY_POINT: EntryPoint = "admin"
_ACCOUNT_ENTRY_POINTS: tuple[EntryPoint, ...] = ("client", "forgot")
_T, _O = throttles.c, known_origins.c


class Held(NamedTuple):
    """A counter. ``id``: its key, a hash of what was typed and from where; ``allowed_at``: when the next attempt may
    come."""

    id: str
    failures: int
    allowed_at: int
    updated_at: int


_ALL = select(_T.key, _T.failures, _T.allowed_at, _T.updated_at)
#: Those that hold somebody back; ``now`` is to be given.
LISTING = Listing(
    _ALL.where(_T.allowed_at > bindparam("now", type_=BigInteger())),
    Held,
    key=_T.key,
    sorts={"ID": _T.key, "ALLOWED": _T.allowed_at, "FAILURES": _T.failures},
    filters={},
    owned=False,
)
_CLEAR_ALL = global_(delete(throttles))
_CLEAR = global_(delete(throttles).where(_T.key == bindparam("key")))
_ORIGINS = tenant_scoped(select(_O.origin).where(_O.user_id == bindparam("user_id")), str)


def clear_all(unit: SystemUnit) -> int:
    """Every counter starts anew. How many there were."""
    return unit.change(_CLEAR_ALL)


def clear_account(unit: SystemUnit, tenant_id: int, email_key: str, origins: Iterable[str], address: str | None) -> int:
    """Lets those go who try an account of a client: from everywhere as strangers, from its known ``origins``, and from
    ``address`` where one is given. How many counters there were."""
    names = (f"{tenant_id}:{email_key}", f"0:{email_key}")
    return sum(_clear_names(unit, entry_point, names, origins, address) for entry_point in _ACCOUNT_ENTRY_POINTS)


def clear_admin(unit: SystemUnit, username: str, addresses: Iterable[str], address: str | None) -> int:
    """As :func:`clear_account`, for a system admin who signed in from ``addresses`` before."""
    origins = {throttle.address_origin(known) for known in addresses}
    return _clear_names(unit, ADMIN_ENTRY_POINT, (username.casefold(),), origins, address)


def clear_address(unit: SystemUnit, address: str) -> int:
    """Lets an address go, whatever accounts it tried, and the networks around it. How many counters there were."""
    entry_points: tuple[EntryPoint, ...] = get_args(EntryPoint)
    return _clear(unit, {c.key for point in entry_points for c in throttle.address_counters(point, address)})


def origins_of(unit: TenantUnit, user_id: int) -> list[str]:
    """Where the user signed in from before."""
    return unit.all(_ORIGINS, user_id=user_id)


def _clear_names(
    unit: SystemUnit, entry_point: EntryPoint, names: Iterable[str], origins: Iterable[str], address: str | None
) -> int:
    keys = set()
    for name in names:
        account = throttle.counters(entry_point, name, "", None).account
        assert account is not None  # nobody is known here
        keys.add(account.key)
        whence = [*origins, *([throttle.address_origin(address)] if address else [])]
        keys |= {throttle.counters(entry_point, name, "", origin).origin.key for origin in whence}
    return _clear(unit, keys)


def _clear(unit: SystemUnit, keys: Iterable[str]) -> int:
    return sum(unit.change(_CLEAR, key=key) for key in sorted(keys))
