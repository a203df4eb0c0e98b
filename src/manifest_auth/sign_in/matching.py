"""Who a provider's person is here, and with which roles (contract, section 5).

A person is (provider, subject). One who is new is linked to an account by an open invitation, by the signed-in user's
consent, or because the provider owns the address's domain and vouches for the address; else an account is made, where
the provider may. An e-mail address alone links nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import audit, providers, users
from manifest_auth.audit import Event
from manifest_auth.context import Context
from manifest_auth.errors import SsoFailed, ValidationError
from manifest_auth.permissions import Role, role_names
from manifest_auth.providers import How, Identity, Provider
from manifest_auth.store import TenantUnit
from manifest_auth.users import User

# The first is one sentence for an account that does not exist and for one that is not linked: an address whose owner
# nobody vouched for is not told which.
_NO_ACCOUNT = "You have no account here that belongs to this identity"
_NO_ROLE = "Your account at the identity provider gives you no role here"


class Person(NamedTuple):
    """Whom the provider says it is. ``vouched``: True, the provider verified the address; False, it says that it did
    not; None, it says nothing of it."""

    subject: str
    email: str | None
    vouched: bool | None
    first_name: str
    last_name: str
    groups: tuple[str, ...]


class Ticket(NamedTuple):
    """By what right a person who is new may be linked: the user who consented, an invitation, or neither."""

    consenting_user_id: int | None = None
    invitation_id: int | None = None


def match(unit: TenantUnit, ctx: Context, provider: Provider, person: Person, ticket: Ticket) -> User:
    """The user, with the roles that the groups give from now on. Raises SsoFailed."""
    identity = providers.find_identity(unit, provider.id, person.subject)
    # For somebody new it is held alone: a second answer about that person waits, and then finds what the first made.
    _hold(unit, provider, alone=identity is None)
    identity = identity or providers.find_identity(unit, provider.id, person.subject)
    if identity is None:
        identity = _first_time(unit, ctx, provider, person, ticket)
    elif ticket.consenting_user_id not in (None, identity.user_id):
        raise _refused("the identity belongs to another user", "This identity belongs to another account")
    user = _with_roles(unit, ctx, provider, person, identity)
    if user.roles & Role.ADMIN.bit and not provider.reaches_admins:
        raise _refused("an Admin's account, and the provider was last changed by a User Admin")
    if not user.roles and user.deactivated_at is None:
        raise _refused("no group gives a role", _NO_ROLE)
    return user


def _hold(unit: TenantUnit, provider: Provider, *, alone: bool) -> None:
    """The provider stays until the end as it was when it was asked: one that is switched off or changed meanwhile is
    seen here, or ends the session that begins."""
    now = providers.find_by_id(unit, provider.id, shared=not alone, lock=alone)
    if now is None or now.disabled_at is not None or now.changed_at != provider.changed_at:
        raise _refused("the provider was switched off, changed or deleted meanwhile")


def _first_time(unit: TenantUnit, ctx: Context, provider: Provider, person: Person, ticket: Ticket) -> Identity:
    user, how = _find_account(unit, ctx, provider, person, ticket)
    granted = 0
    if user is None:
        user, how = _create(unit, ctx, provider, person)
        granted = user.roles
    if user.roles & Role.ADMIN.bit and not provider.reaches_admins:
        raise _refused("an Admin's account, and the provider was last changed by a User Admin")
    identity = providers.link(unit, provider.id, person.subject, user.id, how, person.email or "", granted, ctx.now)
    audit.record(
        unit, ctx, Event.IDENTITY_LINKED, f"user:{user.id}", provider=provider.id, how=how.value, of=person.subject
    )
    return identity


def _find_account(
    unit: TenantUnit, ctx: Context, provider: Provider, person: Person, ticket: Ticket
) -> tuple[User | None, How]:
    if ticket.consenting_user_id is not None:
        return users.get(unit, ticket.consenting_user_id), How.CONSENT
    if ticket.invitation_id is not None:
        invited = providers.use(unit, ticket.invitation_id, ctx.now)
        if invited is None:
            raise _refused("the invitation is used up or expired", "The invitation is not open any more")
        return users.get(unit, invited), How.INVITATION
    found = users.find_by_email(unit, person.email) if person.email else None
    if found is None:
        return None, How.DOMAIN
    if not (_owns(provider, person) and person.vouched):
        raise _refused("an account has this address, and the provider does not vouch for it", _NO_ACCOUNT)
    if providers.claims_unvouched(unit, found.id):
        raise _refused("the account with this address was made without anybody vouching for the address")
    return found, How.DOMAIN


def _create(unit: TenantUnit, ctx: Context, provider: Provider, person: Person) -> tuple[User, How]:
    rules = provider.rules
    if not rules.create_users:
        raise _refused("unknown person, and the provider creates no users", _NO_ACCOUNT)
    if not person.email:
        raise _refused("unknown person without an e-mail address", "The identity provider gives no e-mail address")
    if rules.domains and not _owns(provider, person):
        raise _refused("unknown person of a foreign domain", _NO_ACCOUNT)
    roles = providers.mapped_roles(rules, person.groups)
    if not roles:
        raise _refused("no group gives a role", _NO_ROLE)
    try:
        user = users.create(
            unit,
            email=person.email,
            first_name=person.first_name[:100],
            last_name=person.last_name[:100],
            title="",
            roles=roles,
            password_hash=None,
            now=ctx.now,
        )
    except ValidationError as error:
        raise _refused(f"no account can be made: {error}") from error
    how = How.CREATED if person.vouched and _owns(provider, person) else How.CREATED_UNVOUCHED
    detail = {"email": user.email, "roles": role_names(roles), "provider": provider.id}
    audit.record(unit, ctx, Event.USER_CREATED, f"user:{user.id}", **detail)
    return user, how


def _with_roles(unit: TenantUnit, ctx: Context, provider: Provider, person: Person, identity: Identity) -> User:
    """Adds what the groups give now, takes away what they gave before and do not give any more. Roles that somebody
    granted here, or another provider, stay."""
    mapped = providers.mapped_roles(provider.rules, person.groups)
    gone = identity.granted & ~mapped
    user = users.get(unit, identity.user_id, lock=True, admins=bool(gone & Role.ADMIN.bit))
    if gone:
        gone &= ~providers.granted_by_others(unit, identity)
    kept = 0
    if user.roles & gone & Role.ADMIN.bit and users.is_last_admin(unit, user):
        kept = Role.ADMIN.bit  # contract, section 7: somebody must be left who can let others in
    wanted = user.roles & ~(gone & ~kept) | mapped
    granted = identity.granted & (mapped | kept) | mapped & ~user.roles
    providers.seen(unit, identity, person.email or "", granted, ctx.now)
    if wanted != user.roles:
        detail = {"before": role_names(user.roles), "after": role_names(wanted), "provider": provider.id}
        audit.record(unit, ctx, Event.USER_ROLES_CHANGED, f"user:{user.id}", **detail)
        user = users.set_roles(unit, user, wanted)
    return user


def _owns(provider: Provider, person: Person) -> bool:
    return person.email is not None and person.email.rpartition("@")[2].lower() in provider.rules.domains


def _refused(reason: str, sentence: str | None = None) -> SsoFailed:
    return SsoFailed(sentence, reason=reason)
