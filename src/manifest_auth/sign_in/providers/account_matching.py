"""Matching of a provider's person to a user, with their authentication there and their roles."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from manifest_auth import audit, providers
from manifest_auth.accounts import credential_voiding, mail_queue, one_time_links, users
from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import Conflict, Marked, NoSeat, Reason, Replay, SsoFailed, ValidationError
from manifest_auth.permissions import Role, role_names
from manifest_auth.providers import Identity, Issuer, LinkedBy, Provider, ProviderEmail
from manifest_auth.runtime.tracing import spanned
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import group_roles
from manifest_auth.sign_in.providers.group_roles import RANK
from manifest_auth.sign_in.refusal_reasons import CHANGED
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import claims
from manifest_auth.text import fields
from manifest_auth.text.canonical import check_email, clean_name, email_domain
from manifest_auth.text.languages import marked as _

_LAST_S = 253_402_300_800  # the year 10000


class ProviderProof(NamedTuple):
    """The provider's authentication of the person: ``amr``, ``acr`` and ``auth_time`` (OpenID Connect Core, section 2),
    or authentication context and instant (SAML core, section 2.7.2), empty if it doesn't report them. ``at`` is the
    same time in milliseconds, or None; ``acrs`` are authentication contexts of Entra ID."""

    amr: tuple[str, ...] = ()
    acr: str = ""
    auth_time: str = ""
    at: int | None = None
    acrs: tuple[str, ...] = ()


def proof_of(claims: Mapping[str, Any]) -> ProviderProof:
    """Returns the proof from verified claims. Values of other types count as absent."""
    amr, acr, acrs, at = (claims.get(name) for name in ("amr", "acr", "acrs", "auth_time"))
    number: float | None = at if isinstance(at, int | float) and not isinstance(at, bool) else None
    return ProviderProof(
        _texts(amr),
        acr if isinstance(acr, str) else "",
        "" if number is None else str(number),
        int(number * 1000) if number is not None and 0 < number < _LAST_S else None,  # a float can be infinite
        (acrs,) if isinstance(acrs, str) else _texts(acrs),
    )


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


# A person is (provider, subject). A new person is linked to an account by an open invitation, by the signed-in user's
# consent, or by an email address. The address links only if its domain is verified as the client's, and the provider
# lists the domain and has verified the address. Otherwise an account is created, if the provider allows it. An address
# by itself links nothing.

_LONGEST_SUBJECT = 512
_MOST_SHOWN, _SHOWN_LENGTH = 10, 40
#: Protocol claims, which describe no user.
_PROTOCOL = frozenset(
    {"iss", "aud", "azp", "sub", "exp", "iat", "nbf", "nonce", "jti", "sid", "auth_time", "acr", "amr", "at_hash"}
)
# The message is the same whether no account exists or one is not linked, because the owner of an unverified address
# must not learn which.
_NO_ACCOUNT = _("There's no account for this user here")
_NO_ADDRESS = _("The identity provider didn't send a valid email address")
_NO_ROLE = _("Your account at the identity provider doesn't grant you any roles here")
_NO_GROUPS = _("Your account at the identity provider is in too many groups")

_NOT_VOUCHED = Reason(
    "an account has this address, and the provider does not confirm it",
    cause="The domain isn't in `domains`, or the address isn't verified at the provider",
    cure="Add the domain to `domains`, verify the address, or invite the user",
)
_NOT_PROVED = Reason(
    "an account has this address, and the domain is not verified for this client",
    cause="The client claimed the domain and hasn't [verified](../domains.md) it",
    cure="Add its DNS record, ask the operator to approve the domain, or invite the user",
)
_OTHER_SUBJECT = Reason(
    "the account with this address belongs to another subject of the provider",
    cause="The address was reassigned to another person, or the user was created again at the provider. The server "
    "also knows the subjects of deleted providers",
    cure="Invite the user, or give the new user another address",
)
_OTHER_OF_ISSUER = _OTHER_SUBJECT.also("the account with this address belongs to another subject of its issuer")
_OTHER_PROVIDER = Reason(
    "the account with this address belongs to a user of another provider",
    cause="Another provider of the client confirmed the address, or an Admin confirmed its user. It might be "
    "a different person",
    cure="Sign in with the other provider and link this one, or invite the user",
)
_ADMIN_ALONE = Reason(
    "the groups grant only the Admin role, and no Admin confirmed the identity",
    cause="The provider doesn't confirm the user's address in a verified domain",
    cure="Confirm the identity, see [Protection of Admin accounts](README.md#protection-of-admin-accounts)",
)
_CREATED_UNVOUCHED = Reason(
    "the account with this address was created without a verified address",
    cause="The account was created at a sign-in with an unverified address, so it might belong to another person",
    cure="An Admin checks who owns the account, or invites the user",
)
_NOT_CREATED = Reason(
    "unknown user, and the provider creates no users",
    cause="The user isn't linked yet",
    cure="Invite the user, or turn `createUsers` on",
)
_FOREIGN_DOMAIN = Reason(
    "unknown user, and the address is in no listed domain",
    cause="The address doesn't belong to a domain in `domains`",
    cure="Add the domain to `domains`, or invite the user",
)
_ADDRESS_INVALID = Reason(
    "unknown user without a valid email address",
    cause="An account needs a valid email address and valid names",
    cure="Check the user data that the provider sends",
)
_CANNOT_BE_MADE = _ADDRESS_INVALID.also("no account can be created: …")
_SUBJECT = Reason(
    "the subject has …",
    cause="The subject has more than 512 characters, or is missing",
    cure="Use another claim as subject",
)
_LINKED_ELSEWHERE = Reason(
    "the identity is linked to another user",
    cause="The identity is already linked to another user",
    cure="Unlink it there first",
)
_ALIAS_ELSEWHERE = Reason(
    "another subject of this user is linked to a different user",
    cause="Dynamics: the user in Dataverse was reassigned to another person",
    cure="Unlink the old identity",
)
INVITATION_OVER = Reason(
    "the invitation was used or has expired",
    cause="The invitation was used before, is older than 72 hours, or was closed by a change of address or a "
    "deactivation",
    cure="Invite the user again; only the newest invitation works",
)
_INVITATION_TAKEN = INVITATION_OVER.also("the invitation was used in the meantime")
_INVITED_TO_ADMIN = RANK.also("the account belongs to an Admin now, and a User Admin created the invitation")
_TOO_MANY_GROUPS = Reason(
    "the provider does not list the groups: too many for its token",
    cause="Entra ID sends no groups if a user has more than 200",
    cure="Use *Groups assigned to the application* in [Entra ID](entra-id.md#openid-connect)",
)
_NO_GROUP = Reason(
    "no group grants a role; …",
    cause="The provider sent no groups, or none of them is in `groupRoles`. The rest of the "
    "reason lists the groups, claims, and attributes that arrived",
    cure="Check the group claim at the provider, `groupRoles`, and `defaultRoles`",
)


class Person(NamedTuple):
    """A person as the provider describes them. ``email_verified`` is None if the provider doesn't report it. ``groups``
    is None if there are some, but the provider doesn't list them."""

    subject: str
    email: str | None
    email_verified: bool | None
    first_name: str
    last_name: str
    groups: tuple[str, ...] | None
    directory: str = ""  # Microsoft's directory id, within which the subject is the same at every provider
    subjects_in: str = ""  # the scope in which the subject is one person, if not the provider's issuer
    aliases: tuple[str, ...] = ()  # other subjects of the same person at the same provider
    claims: Mapping[str, Any] = MappingProxyType({})  # the claims or attributes that arrived
    proof: ProviderProof = ProviderProof()


class LinkGrant(NamedTuple):
    """The basis on which a new person can be linked: the consenting user, an invitation, or neither."""

    consenting_user_id: int | None = None
    invitation_id: int | None = None


@spanned("match")
def match(unit: TenantUnit, ctx: RequestContext, provider: Provider, person: Person, ticket: LinkGrant) -> User:
    """Returns the user, with the roles that the groups grant now. Raises SsoFailed, and Conflict when a concurrent
    sign-in was faster."""
    person = _usable(person)
    if person.groups is None and provider.rules.group_roles:  # an empty list instead would remove roles
        raise _refused(_TOO_MANY_GROUPS, _NO_GROUPS)
    identity = providers.find_identity(unit, provider.id, person.subject)
    mapped = provider.rules.roles_of(person.groups or ())
    # For a new person the lock is exclusive: a second response about that person waits, and then finds what the first
    # created.
    _lock_provider(unit, provider, alone=identity is None)
    if identity is None and providers.is_linked(unit, provider.id, person.subject):
        raise Conflict()  # retry: another transaction that locks the identity can wait for the provider's lock
    aliases = _new_aliases(unit, provider, person, identity)
    group_roles.check_rank(provider, mapped)
    if identity is None:
        identity = _first_time(unit, ctx, provider, person, ticket, mapped)
    elif ticket.consenting_user_id not in (None, identity.user_id):
        raise _refused(_LINKED_ELSEWHERE, _("This provider account is already linked to a different account"))
    address = _address(provider, person)
    user = group_roles.grant(unit, ctx, provider, identity, address, mapped)
    if identity.untold:
        mail_queue.tell(unit, ctx, user, Event.CHANGED_PROVIDER_USED, provider=provider.id, of=person.subject)
    for alias in aliases:
        providers.link(unit, provider.id, alias, user.id, LinkedBy.DIRECTORY, address, 0, ctx.now)
    if not user.roles and user.deactivated_at is None:
        if mapped & Role.ADMIN.bit:
            raise _refused(_ADMIN_ALONE, _NO_ROLE)
        raise _refused(_no_role(person), _NO_ROLE)
    return user


def _lock_provider(unit: TenantUnit, provider: Provider, *, alone: bool) -> None:
    """Locks the provider. A change of the provider during the sign-in is either visible here, or ends the new
    session."""
    now = providers.find_by_id(unit, provider.id, shared=not alone, lock=alone)
    if now is None or now.disabled_at is not None or now.changed_at != provider.changed_at:
        raise _refused(CHANGED)


def _new_aliases(unit: TenantUnit, provider: Provider, person: Person, identity: Identity | None) -> list[str]:
    """Returns the person's other subjects that are not linked yet. Runs before any write, since a refusal keeps earlier
    writes. A subject that belongs to another user contradicts the person's own subject."""
    found = {alias: providers.find_identity(unit, provider.id, alias) for alias in person.aliases}
    user_id = identity.user_id if identity is not None else None
    if any(known is not None and known.user_id != user_id for known in found.values()):
        raise _refused(_ALIAS_ELSEWHERE)
    return [alias for alias, known in found.items() if known is None]


def _first_time(
    unit: TenantUnit, ctx: RequestContext, provider: Provider, person: Person, ticket: LinkGrant, mapped: int
) -> Identity:
    user, how = _find_account(unit, ctx, provider, person, ticket, mapped)
    granted = 0
    if user is None:
        user, how = _create(unit, ctx, provider, person, mapped)
        granted = user.roles
    else:
        group_roles.check_seat(unit, ctx, user, mapped)
    group_roles.check_rank(provider, user.roles)
    if how is LinkedBy.DOMAIN:
        user = group_roles.reset_for_new_person(unit, ctx, user.id, provider=provider.id)
    address = _address(provider, person)
    identity = providers.link(unit, provider.id, person.subject, user.id, how, address, granted, ctx.now)
    detail = {"provider": provider.id, "how": how.value, "of": person.subject}
    if _is_told(provider, how):
        mail_queue.tell(unit, ctx, user, Event.IDENTITY_LINKED, **detail)
    else:
        audit.record(unit, ctx, Event.IDENTITY_LINKED, f"user:{user.id}", **detail)
    return identity


def _is_told(provider: Provider, how: LinkedBy) -> bool:
    """Whether the user is notified of a new identity, since a stolen session might have consented, or a User Admin
    might have set up the provider. If an Admin set it up, users expect the link."""
    by_provider = how in (LinkedBy.DOMAIN, LinkedBy.DIRECTORY)
    return how is LinkedBy.CONSENT or (by_provider and not provider.reaches_admins)


def _find_account(
    unit: TenantUnit, ctx: RequestContext, provider: Provider, person: Person, ticket: LinkGrant, mapped: int
) -> tuple[User | None, LinkedBy]:
    if ticket.consenting_user_id is not None:
        return users.get(unit, ticket.consenting_user_id), LinkedBy.CONSENT
    if ticket.invitation_id is not None:
        return _invited(unit, ctx, provider, ticket.invitation_id, mapped), LinkedBy.INVITATION
    if person.directory:
        elsewhere = providers.find_in_directory(unit, person.directory, person.subject)
        if elsewhere is not None:
            user = users.get(unit, elsewhere.user_id)
            # The rank of that provider counts too.
            group_roles.check_rank(providers.get_by_id(unit, elsewhere.provider_id), user.roles)
            return user, LinkedBy.DIRECTORY
    found = users.find_by_email(unit, person.email) if person.email else None
    if found is None:
        return None, LinkedBy.DOMAIN
    if not (_speaks_for_domain(provider, person) and person.email_verified):
        raise _refused(_NOT_VOUCHED, _NO_ACCOUNT)
    if not _domain_is_proved(unit, person):
        raise _refused(_NOT_PROVED, _NO_ACCOUNT)
    if providers.was_created_unvouched(unit, found.id):
        raise _refused(_CREATED_UNVOUCHED)
    if providers.has_subject(unit, provider.id, found.id):
        raise _refused(_OTHER_SUBJECT, _NO_ACCOUNT)
    known = providers.subjects_at(unit, found.id, Issuer(provider.kind, person.subjects_in or provider.issuer))
    if known and person.subject not in known:
        raise _refused(_OTHER_OF_ISSUER, _NO_ACCOUNT)
    if not known and providers.has_proved(unit, found.id, found.email, claims.domain_counts):
        raise _refused(_OTHER_PROVIDER, _NO_ACCOUNT)
    return found, LinkedBy.DOMAIN


def _invited(unit: TenantUnit, ctx: RequestContext, provider: Provider, invitation_id: int, mapped: int) -> User:
    sentence = _("The invitation is no longer valid")
    invitation = one_time_links.find_by_id(unit, invitation_id)
    if invitation is None or not invitation.is_open(Purpose.INVITATION, ctx.now):
        used = invitation is not None and invitation.used_at is not None
        raise _refused(INVITATION_OVER, sentence, "one_time_link" if used else None)
    user = users.get(unit, invitation.user_id, lock=True)
    group_roles.check_rank(provider, user.roles)
    if user.roles & Role.ADMIN.bit and not credential_voiding.is_admin_actor(unit, invitation.invited_by):
        raise _refused(_INVITED_TO_ADMIN, sentence)
    group_roles.check_seat(unit, ctx, user, mapped)  # before the invitation is used up
    if not one_time_links.use(unit, invitation, ctx.now):
        raise _refused(_INVITATION_TAKEN, sentence, "one_time_link")
    return users.prove_email(unit, user, ctx.now) if invitation.emailed else user


def _create(
    unit: TenantUnit, ctx: RequestContext, provider: Provider, person: Person, roles: int
) -> tuple[User, LinkedBy]:
    rules = provider.rules
    if not rules.create_users:
        raise _refused(_NOT_CREATED, _NO_ACCOUNT)
    if not person.email:
        raise _refused(_ADDRESS_INVALID, _NO_ADDRESS)
    if rules.domains and not _speaks_for_domain(provider, person):
        raise _refused(_FOREIGN_DOMAIN, _NO_ACCOUNT)
    if not roles:
        raise _refused(_no_role(person), _NO_ROLE)
    try:
        user = users.create(
            unit,
            ctx.services.licence,
            email=person.email,
            first_name=clean_name(person.first_name, fields.FIRST_NAME.most),
            last_name=clean_name(person.last_name, fields.LAST_NAME.most),
            roles=roles,
            password_hash=None,
            now=ctx.now,
        )
    except ValidationError as error:
        raise _refused(_CANNOT_BE_MADE.with_(error)) from error
    except NoSeat as error:
        raise group_roles.no_seat(error) from error
    is_vouched = person.email_verified and _speaks_for_domain(provider, person) and _domain_is_proved(unit, person)
    how = LinkedBy.CREATED if is_vouched else LinkedBy.CREATED_UNVOUCHED
    detail = {"email": user.email, "roles": role_names(roles), "provider": provider.id}
    audit.record(unit, ctx, Event.USER_CREATED, f"user:{user.id}", **detail)
    return user, how


def _address(provider: Provider, person: Person) -> ProviderEmail:
    """Returns the address. It counts as verified only if an Admin saved the provider last, because a User Admin who
    changed it could choose what it reports about people."""
    is_vouched = person.email_verified and provider.reaches_admins and _speaks_for_domain(provider, person)
    return ProviderEmail(person.email or "", bool(is_vouched))


def _speaks_for_domain(provider: Provider, person: Person) -> bool:
    """Whether the provider's settings list the domain of the address."""
    return email_domain(person.email or "") in provider.rules.domains


def _domain_is_proved(unit: TenantUnit, person: Person) -> bool:
    """Whether the domain of the address is verified as this client's."""
    return claims.domain_counts(unit, email_domain(person.email or ""))


def groups_of(claims: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """Returns the groups in a token's claim, and none for a malformed claim. None if the token refers to another source
    (OpenID Connect Core, section 5.6.2), as Entra ID does above 200 groups."""
    value, elsewhere = claims.get(name), claims.get("_claim_names")
    if value is None and (
        (isinstance(elsewhere, dict) and name in elsewhere)
        or (name == "groups" and claims.get("hasgroups") in (True, "true"))
    ):
        return None
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _no_role(person: Person) -> Reason:
    """Returns the reason, with the groups and claim names that arrived, but no other values, for administrators who
    configure the groups."""
    groups = ", ".join(_quoted(person.groups or ())) or "none"
    claims = ", ".join(_quoted(tuple(name for name in person.claims if name not in _PROTOCOL))) or "none"
    return _NO_GROUP.with_(f"groups: {groups}; claims: {claims}")


def _quoted(texts: tuple[str, ...]) -> list[str]:
    """Returns the first few texts, shortened, because a reason has a maximum length but a provider's values do not."""
    shown = [repr(text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…") for text in texts[:_MOST_SHOWN]]
    return [*shown, "…"] if len(texts) > _MOST_SHOWN else shown


def _usable(person: Person) -> Person:
    """Returns the person without an invalid address. Raises SsoFailed for a subject that is empty or too long for the
    index."""
    if not 0 < len(person.subject) <= _LONGEST_SUBJECT:
        raise _refused(_SUBJECT.with_(f"{len(person.subject)} characters"))
    try:
        return person._replace(email=check_email(person.email) if person.email else None)
    except ValidationError:
        return person._replace(email=None)


def _refused(reason: Reason, sentence: Marked | None = None, replay: Replay | None = None) -> SsoFailed:
    return SsoFailed(sentence, reason=reason, replay=replay)
