"""Counters of the throttle that block attempts now, for system admins.

They are listed (keys are hashes), and cleared, all or those of an account or address.
"""

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


class BlockedCounter(NamedTuple):
    """A blocking counter. ``id``: its key, a hash of account and address; ``allowed_at``: when the next attempt is
    allowed."""

    id: str
    failures: int
    allowed_at: int
    updated_at: int


_ALL = select(_T.key, _T.failures, _T.allowed_at, _T.updated_at)
#: The counters that block attempts at ``now``.
LISTING = Listing(
    _ALL.where(_T.allowed_at > bindparam("now", type_=BigInteger())),
    BlockedCounter,
    key=_T.key,
    sorts={"ID": _T.key, "ALLOWED": _T.allowed_at, "FAILURES": _T.failures},
    filters={},
    owned=False,
)
_CLEAR_ALL = global_(delete(throttles))
_ORIGINS = tenant_scoped(select(_O.origin).where(_O.user_id == bindparam("user_id")), str)


def clear_all(unit: SystemUnit) -> int:
    """Clears every counter; how many there were."""
    return unit.change(_CLEAR_ALL)


def clear_account(unit: SystemUnit, tenant_id: int, email_key: str, origins: Iterable[str], address: str | None) -> int:
    """Clears the counters of an account of a client: of anonymous callers, of its known ``origins``, and of ``address``
    where one is given. Returns how many there were."""
    names = (f"{tenant_id}:{email_key}", f"0:{email_key}")
    return sum(_clear_names(unit, entry_point, names, origins, address) for entry_point in _ACCOUNT_ENTRY_POINTS)


def clear_admin(unit: SystemUnit, username: str, addresses: Iterable[str], address: str | None) -> int:
    """As :func:`clear_account`, for a system admin who signed in from ``addresses`` before."""
    origins = {throttle.address_origin(known) for known in addresses}
    return _clear_names(unit, ADMIN_ENTRY_POINT, (username.casefold(),), origins, address)


def clear_address(unit: SystemUnit, address: str) -> int:
    """Clears the counters of an address and the networks around it, for all accounts; how many there were."""
    entry_points: tuple[EntryPoint, ...] = get_args(EntryPoint)
    return _clear(unit, {c.key for point in entry_points for c in throttle.address_counters(point, address)})


def origins_of(unit: TenantUnit, user_id: int) -> list[str]:
    """The origins from which the user signed in before."""
    return unit.all(_ORIGINS, user_id=user_id)


def _clear_names(
    unit: SystemUnit, entry_point: EntryPoint, names: Iterable[str], origins: Iterable[str], address: str | None
) -> int:
    keys = set()
    for name in names:
        account = throttle.counters(entry_point, name, "", None).account
        assert account is not None  # no known origin was passed
        keys.add(account.key)
        source = [*origins, *([throttle.address_origin(address)] if address else [])]
        keys |= {throttle.counters(entry_point, name, "", origin).origin.key for origin in source}
    return _clear(unit, keys)


def _clear(unit: SystemUnit, keys: Iterable[str]) -> int:
    return sum(unit.change(throttle.CLEAR, of_key=key) for key in sorted(keys))
