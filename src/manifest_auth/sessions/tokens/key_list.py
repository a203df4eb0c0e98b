"""The list of signing keys, without their secrets."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, and_, bindparam, select

from manifest_auth.sessions.tokens.key import Purpose
from manifest_auth.store import Listing, SystemUnit, global_
from manifest_auth.store.tables import signing_keys


class ListedKey(NamedTuple):
    """A key without its secret."""

    id: str
    purpose: str
    algorithm: str
    created_at: int
    retired_at: int | None
    expires_at: int | None


_K = signing_keys.c
_ALL_LISTED = select(*(_K[name] for name in ListedKey._fields))
_SIGNS_ACCESS = global_(
    select(_K.algorithm)
    .where(_K.purpose == Purpose.ACCESS.value, _K.retired_at.is_(None))
    .order_by(_K.created_at.desc(), _K.id.desc()),
    str,
)
_LISTED = global_(_ALL_LISTED.where(_K.id == bindparam("id")), ListedKey)
LISTING = Listing(
    _ALL_LISTED,
    ListedKey,
    key=_K.id,
    sorts={"ID": _K.id, "CREATED": _K.created_at},
    filters={
        "purpose": _K.purpose == bindparam("of_purpose"),
        "signing": _K.retired_at.is_(None),
        "verifying": and_(_K.retired_at.is_not(None), _K.expires_at > bindparam("now", type_=BigInteger())),
        "expired": _K.expires_at <= bindparam("now", type_=BigInteger()),
    },
    owned=False,
)


def access_algorithm(unit: SystemUnit) -> str | None:
    """With which users' access tokens are signed; None before the first key."""
    return unit.first(_SIGNS_ACCESS)


def find_listed_key(unit: SystemUnit, key_id: str) -> ListedKey | None:
    """A key without its secret."""
    return unit.first(_LISTED, id=key_id)
