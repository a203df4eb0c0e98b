"""Verified identities of a user, which stay when the others are unlinked.

An identity is verified if its provider is enabled, was last saved by an Admin, and confirmed the user's current address
in a domain that the client verified, or if an Admin confirmed the identity. A used invitation or consent verifies
nothing, because an attacker might have used the link or the session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import bindparam, delete, not_, select, update

from manifest_auth.errors import NotFound
from manifest_auth.providers.identities import IS_ALIAS, Identity, LinkedBy, ProviderEmail, forget_aliases
from manifest_auth.providers.providers import Provider, drop_tokens
from manifest_auth.providers.settings import Rules, settings_of
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import identities, providers
from manifest_auth.text.canonical import email_domain, email_key

#: Whether the client's claim on an email domain counts. It is passed in, since ``claims`` is not imported here.
DomainCounts = Callable[[TenantUnit, str], bool]


class _IdentityFacts(NamedTuple):
    id: int
    email: str
    vouched: int
    confirmed_at: int | None
    granted: int
    disabled_at: int | None
    reaches_admins: int
    settings: str
    created_at: int = 0
    how: str = ""


_CREATED = (LinkedBy.CREATED.value, LinkedBy.CREATED_UNVOUCHED.value)
_C, _P = identities.c, providers.c
_OWN = _IdentityFacts._fields[:5]
_OF_USER = tenant_scoped(
    select(*(_C[name] for name in _OWN), _P.disabled_at, _P.reaches_admins, _P.settings, _C.created_at, _C.how)
    .select_from(identities.join(providers, _P.id == _C.provider_id))
    .where(_C.user_id == bindparam("of_user"), not_(IS_ALIAS))
    .order_by(_C.id),
    _IdentityFacts,
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
    unit: TenantUnit, provider: Provider, identity: Identity, address: ProviderEmail, email: str, counts: DomainCounts
) -> bool:
    """Whether an identity is verified, based on its provider's current data. ``email``: the user's address here."""
    facts = _IdentityFacts(
        id=identity.id,
        email=address.email,
        vouched=int(address.vouched),
        confirmed_at=identity.confirmed_at,
        granted=identity.granted,
        disabled_at=provider.disabled_at,
        reaches_admins=provider.reaches_admins,
        settings=provider.settings,
    )
    return _is_proved(unit, facts, email, counts)


def has_proved(unit: TenantUnit, user_id: int, email: str, counts: DomainCounts) -> bool:
    """Whether a provider confirms that the address belongs to its person, who has this account. ``email``: the user's
    address here."""
    return any(_is_proved(unit, facts, email, counts) for facts in unit.all(_OF_USER, of_user=user_id))


def unlink_unproved(
    unit: TenantUnit, user_id: int, email: str, counts: DomainCounts, *, but: int = 0, since: int = 0
) -> tuple[list[int], int, int]:
    """Unlinks the user's identities that are not verified, except ``but``, with their stored Microsoft tokens.
    ``since``: only those that were linked since then (milliseconds) to an account that already existed. Returns the IDs
    of the remaining ones, the number of unlinked ones, and the bit mask of the roles that only groups of the latter had
    added."""
    kept, gone, stay, go = list[int](), 0, 0, 0
    unit.announce("user", user_id)  # callers with their providers' tokens are verified again
    for facts in unit.all(_OF_USER, of_user=user_id):
        is_older = facts.created_at < since or (since > 0 and facts.how in _CREATED)
        if facts.id == but or is_older or _is_proved(unit, facts, email, counts):
            kept.append(facts.id)
            stay |= facts.granted
        elif provider_id := unit.first(_UNLINK, id=facts.id, of_user=user_id):
            forget_aliases(unit, provider_id, user_id)
            drop_tokens(unit, user_id, provider_id)
            gone, go = gone + 1, go | facts.granted
    return kept, gone, go & ~stay


def confirm(unit: TenantUnit, user_id: int, identity_id: int, by: str, now: int) -> None:
    """Records that an Admin confirmed the identity. ``by``: the Admin, as in the audit trail. Raises NotFound."""
    if unit.change(_CONFIRM, id=identity_id, of_user=user_id, now=now, by=by) != 1:
        raise NotFound()


def _is_proved(unit: TenantUnit, facts: _IdentityFacts, email: str, counts: DomainCounts) -> bool:
    if facts.disabled_at is not None or not facts.reaches_admins:
        return False
    if facts.confirmed_at is not None:
        return True
    key, domain = email_key(email), email_domain(email)
    speaks = domain in settings_of(facts.settings, Rules).domains
    return bool(facts.vouched) and speaks and email_key(facts.email) == key and counts(unit, domain)
