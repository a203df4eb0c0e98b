"""Passkeys (WebAuthn Level 3): stored after a verified registration, found by credential ID, listed, and removed."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from sqlalchemy import BigInteger, and_, bindparam, delete, func, insert, or_, select, update

from manifest_auth.store import SystemUnit, TenantUnit, cross_tenant, global_, tenant_scoped, upsert
from manifest_auth.store.tables import passkey_handles, passkey_owners, passkeys, used_passkey_challenges

MOST = 20  # per user
_P, _H, _O = passkeys.c, passkey_handles.c, passkey_owners.c


class Passkey(NamedTuple):
    """A passkey. ``credential_id`` is base64url, ``public_key`` is COSE, and ``transports`` are space-separated."""

    id: str
    tenant_id: int
    user_id: int
    credential_id: str
    public_key: bytes
    algorithm: int
    counter: int
    transports: str
    aaguid: str
    name: str
    backup_eligible: int
    backup_state: int
    rp_id: str
    created_at: int
    last_used_at: int | None


_ALL = select(*(_P[name] for name in Passkey._fields))
_OWN = _P.user_id == bindparam("of_user")
_LIST = tenant_scoped(_ALL.where(_OWN).order_by(_P.created_at, _P.id).limit(MOST), Passkey)
_GET = tenant_scoped(_ALL.where(_OWN, _P.id == bindparam("of_id")), Passkey)
_COUNT = tenant_scoped(select(func.count()).select_from(passkeys).where(_OWN), int)
_COUNT_OF = tenant_scoped(select(func.count()).select_from(passkeys).where(_OWN, _P.rp_id == bindparam("of_rp")), int)
_FIND = cross_tenant(
    _ALL.select_from(
        passkey_owners.join(passkeys, (_P.tenant_id == _O.tenant_id) & (_P.credential_id == _O.credential_id))
    ).where(_O.credential_id == bindparam("credential_id")),
    Passkey,
    because="a passkey names its account; the credential ID is unique in the installation",
)
_NEW = tuple(name for name in Passkey._fields if name not in ("tenant_id", "last_used_at"))
_ADD = tenant_scoped(insert(passkeys).values({name: bindparam(name) for name in _NEW}))
_ADD_OWNER = global_(
    insert(passkey_owners).values(credential_id=bindparam("credential_id"), tenant_id=bindparam("owner"))
)
# A single conditional update, so only one of two responses with the same counter is accepted.
_GOES_ON = or_(_P.counter < bindparam("counter"), and_(_P.counter == 0, bindparam("counter", type_=BigInteger()) == 0))
_USED = tenant_scoped(
    update(passkeys)
    .where(_OWN, _P.id == bindparam("of_id"), _GOES_ON)
    .values(counter=bindparam("counter"), backup_state=bindparam("state"), last_used_at=bindparam("now"))
)
_RENAME = tenant_scoped(update(passkeys).where(_OWN, _P.id == bindparam("of_id")).values(name=bindparam("name")))
_DROP = tenant_scoped(delete(passkeys).where(_OWN, _P.id == bindparam("of_id")))
_DROP_ALL = tenant_scoped(delete(passkeys).where(_OWN, _P.created_at >= bindparam("since")))
_COUNT_FOREIGN = cross_tenant(
    select(func.count()).select_from(passkeys).where(_P.rp_id != bindparam("of_rp")),
    int,
    because="the operator sees how many passkeys of all clients a new public address voids",
)
_HANDLE = tenant_scoped(select(_H.handle).where(_H.user_id == bindparam("of_user")), str)
_ADD_HANDLE = tenant_scoped(insert(passkey_handles).values(user_id=bindparam("user_id"), handle=bindparam("handle")))


def list_all(unit: TenantUnit, user_id: int) -> list[Passkey]:
    """A user's passkeys, oldest first."""
    return unit.all(_LIST, of_user=user_id)


def count(unit: TenantUnit, user_id: int) -> int:
    return unit.one(_COUNT, of_user=user_id)


def count_of(unit: TenantUnit, user_id: int, rp_id: str) -> int:
    """The number of passkeys that were created for this RP ID."""
    return unit.one(_COUNT_OF, of_user=user_id, of_rp=rp_id)


def find(unit: SystemUnit, credential_id: str) -> Passkey | None:
    """Returns the passkey with this credential ID (base64url), of any tenant."""
    return unit.first(_FIND, credential_id=credential_id)


def add(unit: TenantUnit, passkey: Passkey) -> None:
    """Stores a new passkey. Ignores ``tenant_id`` and ``last_used_at``. Raises Conflict if any account of the
    installation already has the credential."""
    unit.change(_ADD, **{name: getattr(passkey, name) for name in _NEW})
    unit.change(_ADD_OWNER, credential_id=passkey.credential_id, owner=unit.tenant_id)


def use(unit: TenantUnit, passkey: Passkey, counter: int, backup_state: int, now: int) -> bool:
    """Stores the counter, the backup state, and the time of a verified response. Stores nothing and returns False if
    the passkey no longer exists, or if the counter isn't greater than the stored one, unless both are 0 (WebAuthn Level
    3, section 7.2, step 22)."""
    values = {"counter": counter, "state": backup_state, "now": now}
    return unit.change(_USED, of_user=passkey.user_id, of_id=passkey.id, **values) == 1


def get(unit: TenantUnit, user_id: int, passkey_id: str) -> Passkey | None:
    """Returns the passkey if it belongs to the user."""
    return unit.first(_GET, of_user=user_id, of_id=passkey_id)


def rename(unit: TenantUnit, user_id: int, passkey_id: str, name: str) -> bool:
    """Renames a passkey. Returns False if the user has no such passkey."""
    return unit.change(_RENAME, of_user=user_id, of_id=passkey_id, name=name) == 1


def drop(unit: TenantUnit, user_id: int, passkey_id: str) -> bool:
    """Removes a passkey. Returns False if the user has no such passkey."""
    return unit.change(_DROP, of_user=user_id, of_id=passkey_id) == 1


def drop_all(unit: TenantUnit, user_id: int, *, since: int = 0) -> int:
    """Removes the user's passkeys that were added ``since`` this time (milliseconds). Returns how many there were."""
    return unit.change(_DROP_ALL, of_user=user_id, since=since)


def handle_of(unit: TenantUnit, user_id: int) -> str | None:
    """Returns the handle by which an authenticator identifies the user; None if there is none yet."""
    return unit.first(_HANDLE, of_user=user_id)


def count_foreign(unit: SystemUnit, rp_id: str) -> int:
    """The number of passkeys of all tenants that belong to another RP ID, and therefore no longer work."""
    return unit.one(_COUNT_FOREIGN, of_rp=rp_id)


def handle(unit: TenantUnit, user_id: int, fresh: str) -> str:
    """Returns the user's handle. If there is none yet, creates it from ``fresh`` (64 random bytes in base64url)."""
    found = unit.first(_HANDLE, of_user=user_id)
    if found is None:
        unit.change(_ADD_HANDLE, user_id=user_id, handle=fresh)
    return found or fresh


# This table contains only challenges that include their own expiry. They are stored with the correct response, not
# before.

_U = used_passkey_challenges
_USE_UP = global_(
    upsert(_U)
    .values(key=bindparam("key"), expires_at=bindparam("expires_at"))
    .on_conflict_do_nothing(index_elements=["key"])
)


def use_up(unit: SystemUnit | TenantUnit, challenge: str, expires_at: int) -> bool:
    """Marks the challenge as used. If called concurrently, only one call returns True. ``expires_at`` is in
    milliseconds."""
    key = hashlib.sha256(challenge.encode("utf-8", "surrogatepass")).hexdigest()
    return unit.change(_USE_UP, key=key, expires_at=expires_at) == 1
