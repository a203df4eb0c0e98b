"""Which of a user's identities are the user's beyond doubt, so that they stay where all others go.

One is proved when its provider is switched on, reaches Admins, and vouched for the user's present address in a domain
that counts for the client; or when an Admin confirmed it, in place of the vouching. An invitation that was taken, or
the consent of whoever was signed in, proves nothing: either may have been somebody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, not_, select, update

from manifest_auth.errors import NotFound
from manifest_auth.providers.identities import IS_ALIAS, Address, Identity, forget_aliases
from manifest_auth.providers.kept import drop_tokens
from manifest_auth.providers.providers import Provider
from manifest_auth.providers.settings import settings_of
from manifest_auth.store import TenantUnit, bound
from manifest_auth.store.tables import domain_claims, domain_owners, identities, providers
from manifest_auth.text import email_key


class _Known(NamedTuple):
    id: int
    email: str
    vouched: int
    confirmed_at: int | None
    granted: int
    disabled_at: int | None
    reaches_admins: int
    settings: str


class _Domain(NamedTuple):
    domain: str


class _Gone(NamedTuple):
    provider_id: int


class Sifted(NamedTuple):
    """What became of a user's identities: ids of those that stay, how many went, and the mask of the roles that only
    groups of these had added."""

    kept: Sequence[int]
    gone: int
    granted: int


_C, _P, _O = identities.c, providers.c, domain_owners.c
_OF_USER = bound(
    select(_C.id, _C.email, _C.vouched, _C.confirmed_at, _C.granted, _P.disabled_at, _P.reaches_admins, _P.settings)
    .select_from(identities.join(providers, _P.id == _C.provider_id))
    .where(_C.user_id == bindparam("of_user"), not_(IS_ALIAS))
    .order_by(_C.id),
    _Known,
)
_OWNED = bound(
    select(_O.domain)
    .select_from(
        domain_owners.join(
            domain_claims, and_(domain_claims.c.tenant_id == _O.tenant_id, domain_claims.c.domain == _O.domain)
        )
    )
    .where(_O.domain == bindparam("domain")),
    _Domain,
)
_UNLINK = bound(
    delete(identities)
    .where(_C.id == bindparam("id"), _C.user_id == bindparam("of_user"), not_(IS_ALIAS))
    .returning(_C.provider_id),
    _Gone,
)
_CONFIRM = bound(
    update(identities)
    .where(_C.id == bindparam("id"), _C.user_id == bindparam("of_user"), not_(IS_ALIAS))
    .values(confirmed_at=bindparam("now"), confirmed_by=bindparam("by"))
)


def domain_counts(unit: TenantUnit, domain: str) -> bool:
    """Whether the client's claim on an e-mail domain counts."""
    return unit.first(_OWNED, domain=domain) is not None


def is_proved(unit: TenantUnit, provider: Provider, identity: Identity, address: Address, present: str) -> bool:
    """Whether an identity is the user's beyond doubt, by what its provider says now. ``present``: the user's address
    here."""
    known = _Known(
        identity.id, address.email, int(address.vouched), identity.confirmed_at, identity.granted,
        provider.disabled_at, provider.reaches_admins, provider.settings,
    )  # fmt: skip
    return _is_proved(unit, known, present)


def unlink_unproved(unit: TenantUnit, user_id: int, present: str, *, but: int = 0) -> Sifted:
    """Unlinks the user's identities that are not proved, ``but`` one, with what Microsoft's tokens are kept of them."""
    kept, gone, stay, go = list[int](), 0, 0, 0
    unit.announce("user", user_id)  # who calls with a token of theirs is looked for anew
    for known in unit.all(_OF_USER, of_user=user_id):
        if known.id == but or _is_proved(unit, known, present):
            kept.append(known.id)
            stay |= known.granted
        elif row := unit.first(_UNLINK, id=known.id, of_user=user_id):
            forget_aliases(unit, row.provider_id, user_id)
            drop_tokens(unit, user_id, row.provider_id)
            gone, go = gone + 1, go | known.granted
    return Sifted(kept, gone, go & ~stay)


def confirm(unit: TenantUnit, user_id: int, identity_id: int, by: str, now: int) -> None:
    """An Admin says that this is the user's. ``by``: as the audit trail names the Admin. Raises NotFound."""
    if unit.change(_CONFIRM, id=identity_id, of_user=user_id, now=now, by=by) != 1:
        raise NotFound()


def _is_proved(unit: TenantUnit, known: _Known, present: str) -> bool:
    if known.disabled_at is not None or not known.reaches_admins:
        return False
    if known.confirmed_at is not None:
        return True
    key = email_key(present)
    domain = key.rpartition("@")[2]
    speaks = domain in settings_of(known.settings).domains
    return bool(known.vouched) and speaks and email_key(known.email) == key and domain_counts(unit, domain)
