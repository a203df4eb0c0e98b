"""Who a provider's person is here, and with which roles (contract, section 5).

A person is (provider, subject). One who is new is linked to an account by an open invitation, by the signed-in user's
consent, or because the domain of the address is proved to be the client's and the provider, which speaks for that
domain, vouches for the address; else an account is made, where the provider may. An e-mail address alone links nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from manifest_auth import audit, providers
from manifest_auth.accounts import one_time_links, users, voiding
from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import Conflict, NoSeat, Replay, SsoFailed, ValidationError
from manifest_auth.permissions import Role, role_names
from manifest_auth.providers import Address, How, Identity, Provider
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import group_roles
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import claims
from manifest_auth.text.canonical import check_email, clean_name, email_key

_LONGEST_SUBJECT = 512
_LONGEST_NAME = 100
_MOST_SHOWN, _SHOWN_LENGTH = 10, 40
#: Claims that every token carries and no one sets up.
_PROTOCOL = frozenset(
    {"iss", "aud", "azp", "sub", "exp", "iat", "nbf", "nonce", "jti", "sid", "auth_time", "acr", "amr", "at_hash"}
)
# The first is one sentence for an account that does not exist and for one that is not linked: an address whose owner
# nobody vouched for is not told which.
_NO_ACCOUNT = "You have no account here that belongs to this identity"
_NO_ADDRESS = "The identity provider gives no valid e-mail address"
_NO_ROLE = "Your account at the identity provider gives you no role here"
_NO_GROUPS = "Your account at the identity provider is in more groups than it tells us"


class Proof(NamedTuple):
    """How the provider says that it made sure: ``amr``, ``acr`` and ``auth_time`` (OpenID Connect Core, section 2), or
    the authentication context and its instant (SAML core, section 2.7.2); empty: it does not say."""

    amr: tuple[str, ...] = ()
    acr: str = ""
    auth_time: str = ""


class Person(NamedTuple):
    """Whom the provider says it is. ``vouched``: True, the provider verified the address; False, it says that it did
    not; None, it says nothing of it. ``groups``: None where there are some, and the provider does not say which."""

    subject: str
    email: str | None
    vouched: bool | None
    first_name: str
    last_name: str
    groups: tuple[str, ...] | None
    directory: str = ""  # of Microsoft: its id, within which the subject is the same at every provider
    aliases: tuple[str, ...] = ()  # other subjects of the same person at the same provider
    told: Mapping[str, Any] = MappingProxyType({})  # the claims or attributes that arrived
    proof: Proof = Proof()


class Ticket(NamedTuple):
    """By what right a person who is new may be linked: the user who consented, an invitation, or neither."""

    consenting_user_id: int | None = None
    invitation_id: int | None = None


def match(unit: TenantUnit, ctx: RequestContext, provider: Provider, person: Person, ticket: Ticket) -> User:
    """The user, with the roles that the groups give from now on. Raises SsoFailed, and Conflict when somebody else was
    faster."""
    person = _usable(person)
    if person.groups is None and provider.rules.group_roles:  # as if there were none, it would take roles away
        raise _refused("the provider does not say which groups: too many for its token", _NO_GROUPS)
    identity = providers.find_identity(unit, provider.id, person.subject)
    mapped = provider.rules.roles_of(person.groups or ())
    # For somebody new it is held alone: a second answer about that person waits, and then finds what the first made.
    _hold(unit, provider, alone=identity is None)
    if identity is None and providers.is_linked(unit, provider.id, person.subject):
        raise Conflict()  # to begin anew: whoever locks the identity now may wait for the provider
    aliases = _new_aliases(unit, provider, person, identity)
    group_roles.check_rank(provider, mapped)
    if identity is None:
        identity = _first_time(unit, ctx, provider, person, ticket, mapped)
    elif ticket.consenting_user_id not in (None, identity.user_id):
        raise _refused("the identity belongs to another user", "This identity belongs to another account")
    address = _address(provider, person)
    user = group_roles.grant(unit, ctx, provider, identity, address, mapped)
    for alias in aliases:
        providers.link(unit, provider.id, alias, user.id, How.DIRECTORY, address, 0, ctx.now)
    if not user.roles and user.deactivated_at is None:
        if mapped & Role.ADMIN.bit:
            raise _refused("the groups give the role Admin alone, and no Admin confirmed the identity", _NO_ROLE)
        raise _refused(_no_role(person), _NO_ROLE)
    return user


def _hold(unit: TenantUnit, provider: Provider, *, alone: bool) -> None:
    """The provider stays until the end as it was when it was asked: one that is switched off or changed meanwhile is
    seen here, or ends the session that begins."""
    now = providers.find_by_id(unit, provider.id, shared=not alone, lock=alone)
    if now is None or now.disabled_at is not None or now.changed_at != provider.changed_at:
        raise _refused("the provider was switched off, changed or deleted meanwhile")


def _new_aliases(unit: TenantUnit, provider: Provider, person: Person, identity: Identity | None) -> list[str]:
    """The person's other subjects that nobody has yet. Comes before anything is written, since a refusal keeps what
    was: one that belongs to another user says that this is not whom the subject names."""
    found = {alias: providers.find_identity(unit, provider.id, alias) for alias in person.aliases}
    user_id = identity.user_id if identity is not None else None
    if any(known is not None and known.user_id != user_id for known in found.values()):
        raise _refused("another subject of this person belongs to another user")
    return [alias for alias, known in found.items() if known is None]


def _first_time(
    unit: TenantUnit, ctx: RequestContext, provider: Provider, person: Person, ticket: Ticket, mapped: int
) -> Identity:
    user, how = _find_account(unit, ctx, provider, person, ticket, mapped)
    granted = 0
    if user is None:
        user, how = _create(unit, ctx, provider, person, mapped)
        granted = user.roles
    else:
        group_roles.check_seat(unit, ctx, user, mapped)
    group_roles.check_rank(provider, user.roles)
    if how is How.DOMAIN:
        user = group_roles.begin_anew(unit, ctx, provider, user.id)
    address = _address(provider, person)
    identity = providers.link(unit, provider.id, person.subject, user.id, how, address, granted, ctx.now)
    audit.record(
        unit, ctx, Event.IDENTITY_LINKED, f"user:{user.id}", provider=provider.id, how=how.value, of=person.subject
    )
    return identity


def _find_account(
    unit: TenantUnit, ctx: RequestContext, provider: Provider, person: Person, ticket: Ticket, mapped: int
) -> tuple[User | None, How]:
    if ticket.consenting_user_id is not None:
        return users.get(unit, ticket.consenting_user_id), How.CONSENT
    if ticket.invitation_id is not None:
        return _invited(unit, ctx, provider, ticket.invitation_id, mapped), How.INVITATION
    if person.directory:
        elsewhere = providers.find_in_directory(unit, person.directory, person.subject)
        if elsewhere is not None:
            user = users.get(unit, elsewhere.user_id)
            group_roles.check_rank(providers.get_by_id(unit, elsewhere.provider_id), user.roles)  # as it would be there
            return user, How.DIRECTORY
    found = users.find_by_email(unit, person.email) if person.email else None
    if found is None:
        return None, How.DOMAIN
    if not (_lists(provider, person) and person.vouched):
        raise _refused("an account has this address, and the provider does not vouch for it", _NO_ACCOUNT)
    if not _counts(unit, person):
        why = "an account has this address, and nothing vouches for it: the domain is not proved for this client"
        raise _refused(why, _NO_ACCOUNT)
    if providers.claims_unvouched(unit, found.id):
        raise _refused("the account with this address was made without anybody vouching for the address")
    if providers.has_subject(unit, provider.id, found.id):
        raise _refused("the account with this address belongs to another subject of the provider", _NO_ACCOUNT)
    return found, How.DOMAIN


def _invited(unit: TenantUnit, ctx: RequestContext, provider: Provider, invitation_id: int, mapped: int) -> User:
    sentence = "The invitation is not open any more"
    invitation = one_time_links.find_by_id(unit, invitation_id)
    if invitation is None or not invitation.is_open(Purpose.INVITATION, ctx.now):
        used = invitation is not None and invitation.used_at is not None
        raise _refused("the invitation is used up or expired", sentence, "one_time_link" if used else None)
    user = users.get(unit, invitation.user_id, lock=True)
    group_roles.check_rank(provider, user.roles)
    if user.roles & Role.ADMIN.bit and not voiding.is_an_admins(unit, invitation.invited_by):
        raise _refused("an Admin's account by now, and a User Admin invited to it", sentence)
    group_roles.check_seat(unit, ctx, user, mapped)  # before the invitation is used up
    if not one_time_links.use(unit, invitation, ctx.now):
        raise _refused("the invitation was used meanwhile", sentence, "one_time_link")
    return users.prove_email(unit, user, ctx.now) if invitation.emailed else user


def _create(unit: TenantUnit, ctx: RequestContext, provider: Provider, person: Person, roles: int) -> tuple[User, How]:
    rules = provider.rules
    if not rules.create_users:
        raise _refused("unknown person, and the provider creates no users", _NO_ACCOUNT)
    if not person.email:
        raise _refused("unknown person without a valid e-mail address", _NO_ADDRESS)
    if rules.domains and not _lists(provider, person):
        raise _refused("unknown person of a foreign domain", _NO_ACCOUNT)
    if not roles:
        raise _refused(_no_role(person), _NO_ROLE)
    try:
        user = users.create(
            unit,
            ctx.services.licence,
            email=person.email,
            first_name=clean_name(person.first_name, _LONGEST_NAME),
            last_name=clean_name(person.last_name, _LONGEST_NAME),
            title="",
            roles=roles,
            password_hash=None,
            now=ctx.now,
        )
    except ValidationError as error:
        raise _refused(f"no account can be made: {error}") from error
    except NoSeat as error:
        raise group_roles.no_seat(error) from error
    is_vouched = person.vouched and _lists(provider, person) and _counts(unit, person)
    how = How.CREATED if is_vouched else How.CREATED_UNVOUCHED
    detail = {"email": user.email, "roles": role_names(roles), "provider": provider.id}
    audit.record(unit, ctx, Event.USER_CREATED, f"user:{user.id}", **detail)
    return user, how


def _address(provider: Provider, person: Person) -> Address:
    """What the provider says counts as vouched while it reaches Admins alone: who else changed it last may have chosen
    what it says of people."""
    vouched = bool(person.vouched) and bool(provider.reaches_admins) and _lists(provider, person)
    return Address(person.email or "", vouched)


def _lists(provider: Provider, person: Person) -> bool:
    """Whether the provider is configured to speak for the address's domain."""
    return _domain(person) in provider.rules.domains


def _counts(unit: TenantUnit, person: Person) -> bool:
    """Whether the domain of the address is proved to be this client's."""
    return claims.domain_counts(unit, _domain(person))


def _domain(person: Person) -> str:
    return email_key(person.email or "").rpartition("@")[2]


def groups_of(claims: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """The groups that a token's claim holds; a claim that makes no sense holds none. None when the token says that they
    are elsewhere (OpenID Connect Core, section 5.6.2): Entra ID does so beyond 200, or says only that there are some.
    """
    value, elsewhere = claims.get(name), claims.get("_claim_names")
    if value is None and (
        (isinstance(elsewhere, dict) and name in elsewhere)
        or (name == "groups" and claims.get("hasgroups") in (True, "true"))
    ):
        return None
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def proof_of(claims: Mapping[str, Any]) -> Proof:
    """What verified claims say of how the person signed in. Whatever has another type says nothing."""
    amr, acr, at = claims.get("amr"), claims.get("acr"), claims.get("auth_time")
    methods = tuple(one for one in amr if isinstance(one, str)) if isinstance(amr, list) else ()
    is_number = isinstance(at, int | float) and not isinstance(at, bool)
    return Proof(methods, acr if isinstance(acr, str) else "", str(at) if is_number else "")


def _no_role(person: Person) -> str:
    """With what arrived, for those who set up the groups: no value of anything else."""
    groups = ", ".join(_quoted(person.groups or ())) or "none"
    claims = ", ".join(_quoted(tuple(name for name in person.told if name not in _PROTOCOL))) or "none"
    return f"no group gives a role; groups: {groups}; claims: {claims}"


def _quoted(texts: tuple[str, ...]) -> list[str]:
    """The first of many, each cut: what a provider sends is not bounded, a reason is."""
    shown = [repr(text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…") for text in texts[:_MOST_SHOWN]]
    return [*shown, "…"] if len(texts) > _MOST_SHOWN else shown


def _usable(person: Person) -> Person:
    """The person without an address that is none. Raises SsoFailed for a subject that no index could hold."""
    if not 0 < len(person.subject) <= _LONGEST_SUBJECT:
        raise _refused(f"the subject has {len(person.subject)} characters")
    try:
        return person._replace(email=check_email(person.email) if person.email else None)
    except ValidationError:
        return person._replace(email=None)


def _refused(reason: str, sentence: str | None = None, replay: Replay | None = None) -> SsoFailed:
    return SsoFailed(sentence, reason=reason, replay=replay)
