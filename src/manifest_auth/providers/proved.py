"""Which of a user's identities are the user's beyond doubt, so that they stay where all others go.

One is proved when its provider is switched on, reaches Admins, and vouched for the user's present address in a domain
that counts for the client; or when an Admin confirmed it, in place of the vouching. An invitation that was taken, or
the consent of whoever was signed in, proves nothing: either may have been somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, not_, select, update

from manifest_auth.errors import NotFound
from manifest_auth.providers.identities import IS_ALIAS, Address, Identity, forget_aliases
from manifest_auth.providers.providers import Provider
from manifest_auth.providers.settings import Rules, settings_of
from manifest_auth.providers.upstream_tokens import drop_tokens
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import identities, providers
from manifest_auth.text.canonical import email_key

#: Whether the client's claim on an e-mail domain counts: ``claims`` stands above, so it is handed in.
Counts = Callable[[TenantUnit, str], bool]


class _Known(NamedTuple):
    id: int
    email: str
    vouched: int
    confirmed_at: int | None
    granted: int
    disabled_at: int | None
    reaches_admins: int
    settings: str


class Sifted(NamedTuple):
    """What became of a user's identities: ids of those that stay, how many went, and the mask of the roles that only
    groups of these had added."""

    kept: Sequence[int]
    gone: int
    granted: int


_C, _P = identities.c, providers.c
_OF_USER = tenant_scoped(
    select(_C.id, _C.email, _C.vouched, _C.confirmed_at, _C.granted, _P.disabled_at, _P.reaches_admins, _P.settings)
    .select_from(identities.join(providers, _P.id == _C.provider_id))
    .where(_C.user_id == bindparam("of_user"), not_(IS_ALIAS))
    .order_by(_C.id),
    _Known,
)
_UNLINK = tenant_scoped(
    delete(identities)
    .where(_C.id == bindparam("id"), _C.user_id == bindparam("of_user"), not_(IS_ALIAS))
    .returning(_C.provider_id),
    int,
)
_CONFIRM = tenant_scoped(
    update(identities)
    .where(_C.id == bindparam("id"), _C.user_id == bindparam("of_user"), not_(IS_ALIAS))
    .values(confirmed_at=bindparam("now"), confirmed_by=bindparam("by"))
)


def is_proved(
    unit: TenantUnit, provider: Provider, identity: Identity, address: Address, present: str, counts: Counts
) -> bool:
    """Whether an identity is the user's beyond doubt, by what its provider says now. ``present``: the user's address
    here."""
    known = _Known(
        id=identity.id, email=address.email, vouched=int(address.vouched), confirmed_at=identity.confirmed_at,
        granted=identity.granted, disabled_at=provider.disabled_at, reaches_admins=provider.reaches_admins,
        settings=provider.settings,
    )  # fmt: skip
    return _is_proved(unit, known, present, counts)


def unlink_unproved(unit: TenantUnit, user_id: int, present: str, counts: Counts, *, but: int = 0) -> Sifted:
    """Unlinks the user's identities that are not proved, ``but`` one, with what Microsoft's tokens are kept of them."""
    kept, gone, stay, go = list[int](), 0, 0, 0
    unit.announce("user", user_id)  # who calls with a token of theirs is looked for anew
    for known in unit.all(_OF_USER, of_user=user_id):
        if known.id == but or _is_proved(unit, known, present, counts):
            kept.append(known.id)
            stay |= known.granted
        elif provider_id := unit.first(_UNLINK, id=known.id, of_user=user_id):
            forget_aliases(unit, provider_id, user_id)
            drop_tokens(unit, user_id, provider_id)
            gone, go = gone + 1, go | known.granted
    return Sifted(kept, gone, go & ~stay)


def confirm(unit: TenantUnit, user_id: int, identity_id: int, by: str, now: int) -> None:
    """An Admin says that this is the user's. ``by``: as the audit trail names the Admin. Raises NotFound."""
    if unit.change(_CONFIRM, id=identity_id, of_user=user_id, now=now, by=by) != 1:
        raise NotFound()


def _is_proved(unit: TenantUnit, known: _Known, present: str, counts: Counts) -> bool:
    if known.disabled_at is not None or not known.reaches_admins:
        return False
    if known.confirmed_at is not None:
        return True
    key = email_key(present)
    domain = key.rpartition("@")[2]
    speaks = domain in settings_of(known.settings, Rules).domains
    return bool(known.vouched) and speaks and email_key(known.email) == key and counts(unit, domain)
