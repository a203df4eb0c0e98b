"""Identities: rows that link (provider, subject) to a user, and what remains of them after they are unlinked."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from sqlalchemy import Cast, Integer, Select, Text, and_, bindparam, delete, func, insert, not_, or_, select, update
from sqlalchemy import cast as sql_cast

from manifest_auth.errors import existing
from manifest_auth.store import Listing, TenantUnit, among, numbers, tenant_condition, tenant_scoped
from manifest_auth.store.tables import former_identities, identities, providers, scim_users
from manifest_auth.text.models import Time, Wire


class LinkedBy(enum.Enum):
    """The way in which an identity was linked to its user."""

    CREATED = "created"  # account created at the first sign-in, with an address that the provider confirmed
    CREATED_UNVOUCHED = "created-unvouched"  # account created at the first sign-in, with an unverified address
    INVITATION = "invitation"
    CONSENT = "consent"  # the signed-in user requested it
    DIRECTORY = "directory"  # another provider of the same Microsoft directory knows the person
    DOMAIN = "domain"  # the provider owns the domain of the address and vouched for it
    SCIM = "scim"  # a SCIM connection sent the subject


class ProviderEmail(NamedTuple):
    """A person's email address from the provider, possibly empty. ``vouched``: it is verified and in a domain that the
    provider lists."""

    email: str
    vouched: bool


class Identity(NamedTuple):
    id: int
    provider_id: int
    subject: str
    user_id: int
    granted: int
    confirmed_at: int | None = None
    untold: int | None = None


class IdentityData(Wire, frozen=True):
    """``vouched``: at the last sign-in, the provider sent ``email`` as verified and listed its domain. ``confirmedBy``:
    the Admin who confirmed that the identity belongs to the user, as in the audit trail."""

    id: int
    provider: str
    display_name: str
    kind: str
    subject: str
    email: str
    how: str
    vouched: bool
    confirmed_at: Time | None
    confirmed_by: str | None
    created_at: Time
    last_sign_in_at: Time

    @property
    def title(self) -> str:
        """The provider's display name."""
        return self.display_name or self.provider


#: Prefix of the second subject of a Dynamics provider's person. It is linked and unlinked with the first, and never
#: listed.
ALIAS = "dataverse:"

_C, _P = identities.c, providers.c
_OF_DYNAMICS = cast("Select[Any]", tenant_scoped(select(_P.id).where(_P.kind == "dynamics").correlate(None)).source)
IS_ALIAS = and_(_C.subject.startswith(ALIAS, autoescape=True), _C.provider_id.in_(_OF_DYNAMICS))
_ALL = select(*(_C[name] for name in Identity._fields))
_FIND = tenant_scoped(
    _ALL.where(_C.provider_id == bindparam("provider_id"), _C.subject == bindparam("subject")).with_for_update(),
    Identity,
)
_IS_LINKED = tenant_scoped(
    select(_C.id).where(_C.provider_id == bindparam("provider_id"), _C.subject == bindparam("subject")), int
)
_OF_DIRECTORY = select(_P.id).where(
    _P.issuer == bindparam("directory"), or_(_P.kind == "dynamics", _P.kind == "entra"), tenant_condition(providers)
)
_IN_DIRECTORY = tenant_scoped(
    _ALL.where(_C.provider_id.in_(_OF_DIRECTORY), _C.subject == bindparam("subject"))
    .order_by(_C.id + 0)  # see the order below
    .limit(1),
    Identity,
)
_NEW = ("provider_id", "subject", "user_id", "how", "email", "vouched", "granted", "created_at", "last_sign_in_at")
_ADD = tenant_scoped(insert(identities).values({name: bindparam(name) for name in _NEW}).returning(_C.id), int)
_SEEN = tenant_scoped(
    update(identities)
    .where(_C.id == bindparam("id"))
    .values(
        email=bindparam("new_email"),
        vouched=bindparam("new_vouched"),
        granted=bindparam("new_granted"),
        last_sign_in_at=bindparam("now"),
        untold=None,
    )
)
_HAS_SUBJECT = tenant_scoped(
    select(_C.id)
    .where(_C.provider_id == bindparam("of_provider"), _C.user_id == bindparam("of_user"), not_(IS_ALIAS))
    .limit(1),
    int,
)
_COUNT = tenant_scoped(select(func.count()).where(_C.provider_id == bindparam("of_provider"), not_(IS_ALIAS)), int)
_RESET_VERIFICATION = tenant_scoped(
    update(identities)
    .where(_C.provider_id == bindparam("of_provider"))
    .values(vouched=0, confirmed_at=None, confirmed_by=None, untold=func.coalesce(_C.untold, bindparam("new")))
)
_OTHERS = tenant_scoped(select(_C.granted).where(_C.user_id == bindparam("of_user"), _C.id != bindparam("but")), int)
_OF_MANY = tenant_scoped(select(_C.user_id, _C.granted).where(among(_C.user_id, "ids"), _C.granted != 0))
_PROVISIONED = tenant_scoped(select(scim_users.c.granted).where(scim_users.c.user_id == bindparam("of_user")), int)
_OF_USER = (
    select(_C.id, _P.name, _P.display_name, _P.kind, *(_C[name] for name in IdentityData.__struct_fields__[4:]))
    .select_from(identities.join(providers, _P.id == _C.provider_id))
    .where(_C.user_id == bindparam("of_user"), not_(IS_ALIAS))
)
_LIST = tenant_scoped(_OF_USER.order_by(_C.id).limit(100), IdentityData)
#: The identities of one user (``of_user``). Filters take ``like``, see :func:`manifest_auth.text.canonical.like`.
IDENTITIES = Listing(
    _OF_USER,
    IdentityData,
    key=_C.id,
    sorts={"ID": _C.id, "CREATED": _C.created_at},
    filters={
        "search": or_(
            func.lower(_C.subject).like(bindparam("like"), escape="\\"),
            func.lower(_C.email).like(bindparam("like"), escape="\\"),
        ),
        "how": _C.how == bindparam("of_how"),
    },
)
_GIVEN = tenant_scoped(
    _ALL.where(_C.provider_id == bindparam("of_provider"), _C.granted.op("&")(bindparam("mask", type_=Integer())) != 0)
    .order_by(_C.user_id + 0, _C.id)  # with a plain column, SQLite reads all of the client in index order
    .limit(bindparam("limit")),
    Identity,
)


def find_identity(unit: TenantUnit, provider_id: int, subject: str) -> Identity | None:
    """Returns the identity of a subject, locked until the transaction ends."""
    return unit.first(_FIND, provider_id=provider_id, subject=subject)


def is_linked(unit: TenantUnit, provider_id: int, subject: str) -> bool:
    """Whether the subject is linked to a user. Takes no lock."""
    return unit.first(_IS_LINKED, provider_id=provider_id, subject=subject) is not None


def has_subject(unit: TenantUnit, provider_id: int, user_id: int) -> bool:
    """Whether the user has an identity at the provider."""
    return unit.first(_HAS_SUBJECT, of_provider=provider_id, of_user=user_id) is not None


def count_people(unit: TenantUnit, provider_id: int) -> int:
    """Returns the number of people of the provider who are linked to users."""
    return unit.one(_COUNT, of_provider=provider_id)


def find_in_directory(unit: TenantUnit, directory: str, subject: str) -> Identity | None:
    """Returns the identity of that subject at any provider of a Microsoft directory."""
    return unit.first(_IN_DIRECTORY, directory=directory, subject=subject)


def link(
    unit: TenantUnit,
    provider_id: int,
    subject: str,
    user_id: int,
    how: LinkedBy,
    address: ProviderEmail,
    granted: int,
    now: int,
) -> Identity:
    """Links a subject to a user. ``granted``: bit mask of roles that the provider's groups granted. Raises Conflict if
    a concurrent sign-in was faster."""
    added = unit.one(
        _ADD,
        provider_id=provider_id,
        subject=subject,
        user_id=user_id,
        how=how.value,
        email=address.email,
        vouched=int(address.vouched),
        granted=granted,
        created_at=now,
        last_sign_in_at=now,
    )
    return Identity(added, provider_id, subject, user_id, granted)


def record_sign_in(unit: TenantUnit, identity: Identity, address: ProviderEmail, granted: int, now: int) -> None:
    """Records a sign-in. ``granted``: bit mask of the roles that this provider's groups added."""
    vouched = int(address.vouched)
    unit.change(_SEEN, id=identity.id, new_email=address.email, new_vouched=vouched, new_granted=granted, now=now)


def granted_to(unit: TenantUnit, user_id: int, *, but: int = 0, provisioned: bool = True) -> int:
    """Returns the bit mask of the roles that the user's identities added, except ``but``, and that a SCIM connection
    added, if ``provisioned``."""
    mask = (unit.first(_PROVISIONED, of_user=user_id) or 0) if provisioned else 0
    for granted in unit.all(_OTHERS, of_user=user_id, but=but):
        mask |= granted
    return mask


def granted_to_many(unit: TenantUnit, user_ids: Iterable[int]) -> dict[int, int]:
    """Returns the bit masks of the roles that identities of these users added, by user; none for a user without."""
    masks: dict[int, int] = {}
    for user_id, granted in unit.all(_OF_MANY, ids=numbers(user_ids)):
        masks[user_id] = masks.get(user_id, 0) | granted
    return masks


def granting_identities(unit: TenantUnit, provider_id: int, limit: int, mask: int = ~0) -> list[Identity]:
    """Lists at most ``limit`` identities of a provider whose groups granted roles of ``mask``, in order of users."""
    return unit.all(_GIVEN, of_provider=provider_id, mask=mask, limit=limit)


def reset_verification(unit: TenantUnit, provider_id: int, *, by_admin: bool) -> None:
    """Removes all verifications and confirmations of a provider's identities, after its issuer or attributes changed.
    The next sign-in of each person sets them again, and notifies the person unless it was ``by_admin``."""
    unit.change(_RESET_VERIFICATION, of_provider=provider_id, new=None if by_admin else 1)


def list_identities(unit: TenantUnit, user_id: int) -> list[IdentityData]:
    """Lists at most 100 identities of a user, oldest first."""
    return unit.all(_LIST, of_user=user_id)


# An address can pass to other people, so a recreated provider must not link an account to a different subject than
# before. The issuer identifies the subjects again.


class Unlinked(NamedTuple):
    """An unlinked identity. ``how``: a :class:`LinkedBy` value; ``granted``: bit mask of the roles that its groups
    granted."""

    provider_id: int
    how: str
    granted: int

    @property
    def created_account(self) -> bool:
        """Whether it created the account, with an unverified address."""
        return self.how == _UNVOUCHED


def _text(name: str) -> Cast[str]:
    """Returns a value among the columns of a query, with its type, which PostgreSQL needs."""
    return sql_cast(bindparam(name), Text)


#: Kinds with a subject that is a person of a Microsoft directory, whatever the application.
_OF_DIRECTORIES = ("dynamics", "entra")
_F = former_identities.c
_UNVOUCHED = LinkedBy.CREATED_UNVOUCHED.value
_UNLINK = tenant_scoped(
    delete(identities)
    .where(_C.id == bindparam("id"), _C.user_id == bindparam("of_user"), not_(IS_ALIAS))
    .returning(*(_C[name] for name in Unlinked._fields)),
    Unlinked,
)
_UNLINK_ALIASES = tenant_scoped(
    delete(identities).where(_C.provider_id == bindparam("of_provider"), _C.user_id == bindparam("of_user"), IS_ALIAS)
)
_FORGET = tenant_scoped(delete(identities).where(_C.provider_id == bindparam("of_provider")))
# The mark belongs to the account, not to the identity: it stays after they are unlinked. The remaining identities get
# it too, for the previous release, which reads it only there.
_MARK = tenant_scoped(update(identities).where(_C.user_id == bindparam("of_user")).values(how=_UNVOUCHED))
_ADD_MARK = tenant_scoped(
    insert(former_identities).values(
        id=bindparam("id"), user_id=bindparam("user_id"), kind="", issuer="", subject="", how=_UNVOUCHED
    )
)
_MADE_BY = tenant_scoped(
    select(_C.user_id).where(_C.provider_id == bindparam("of_provider"), _C.how == _UNVOUCHED).correlate(None)
).source
_MARK_ALL = tenant_scoped(
    update(identities).where(_C.user_id.in_(cast("Select[Any]", _MADE_BY))).values(how=_UNVOUCHED)
)
_MARKED = tenant_scoped(
    select(func.count()).select_from(identities).where(_C.user_id == bindparam("of_user"), _C.how == _UNVOUCHED), int
)
_WAS_MARKED = tenant_scoped(
    select(func.count()).select_from(former_identities).where(_F.user_id == bindparam("of_user"), _F.how == _UNVOUCHED),
    int,
)
_FORMER = select(_C.id, _C.user_id, _text("of_kind"), _text("of_issuer"), _C.subject, _C.how).where(not_(IS_ALIAS))
_REMEMBERED = ("id", "user_id", "kind", "issuer", "subject", "how")
_REMEMBER = tenant_scoped(
    insert(former_identities).from_select(_REMEMBERED, _FORMER.where(_C.id == bindparam("of_id")))
)
_REMEMBER_ALL = tenant_scoped(
    insert(former_identities).from_select(_REMEMBERED, _FORMER.where(_C.provider_id == bindparam("of_provider")))
)
_SUBJECTS = tenant_scoped(
    select(_C.subject)
    .select_from(identities.join(providers, _P.id == _C.provider_id))
    .where(
        _C.user_id == bindparam("of_user"),
        _P.issuer == bindparam("of_issuer"),
        or_(_P.kind == bindparam("of_kind"), _P.kind == bindparam("or_kind")),
        not_(IS_ALIAS),
    ),
    str,
)
_FORMER_SUBJECTS = tenant_scoped(
    select(_F.subject).where(
        _F.user_id == bindparam("of_user"),
        _F.issuer == bindparam("of_issuer"),
        or_(_F.kind == bindparam("of_kind"), _F.kind == bindparam("or_kind")),
    ),
    str,
)


class Issuer(NamedTuple):
    """The kind and the issuer of a provider, within which a subject is one person, see ``subjects_in`` of its
    settings."""

    kind: str
    name: str


def unlink(unit: TenantUnit, user_id: int, identity_id: int, *, deleted: Issuer | None = None) -> Unlinked:
    """Unlinks an identity, with the user's second subjects at that provider; the next sign-in links those again if
    needed. ``deleted``: the issuer of the identity's provider, if that is being deleted. Raises NotFound."""
    if deleted is not None:
        unit.change(_REMEMBER, of_id=identity_id, of_kind=deleted.kind, of_issuer=deleted.name)
    gone = existing(unit.first(_UNLINK, id=identity_id, of_user=user_id))
    unit.announce("user", user_id)  # callers with that provider's tokens are verified again
    forget_aliases(unit, gone.provider_id, user_id)
    if gone.created_account:
        unit.change(_MARK, of_user=user_id)
        if deleted is None:
            unit.change(_ADD_MARK, id=identity_id, user_id=user_id)
    return gone


def forget_aliases(unit: TenantUnit, provider_id: int, user_id: int) -> None:
    """Removes a user's second subjects at a provider."""
    unit.change(_UNLINK_ALIASES, of_provider=provider_id, of_user=user_id)


def forget_all(unit: TenantUnit, provider_id: int, issuer: Issuer) -> None:
    """Removes all identities of a provider that is being deleted. Their subjects are remembered."""
    unit.change(_MARK_ALL, of_provider=provider_id)
    unit.change(_REMEMBER_ALL, of_provider=provider_id, of_kind=issuer.kind, of_issuer=issuer.name)
    unit.change(_FORGET, of_provider=provider_id)


def was_created_unvouched(unit: TenantUnit, user_id: int) -> bool:
    """Whether the account was created with an unverified address, whose owner might be another person."""
    return bool(unit.one(_MARKED, of_user=user_id) or unit.one(_WAS_MARKED, of_user=user_id))


def subjects_at(unit: TenantUnit, user_id: int, issuer: Issuer) -> set[str]:
    """Returns the user's subjects at providers of that issuer, including deleted ones."""
    kinds = _OF_DIRECTORIES if issuer.kind in _OF_DIRECTORIES else (issuer.kind, issuer.kind)
    where = {"of_user": user_id, "of_issuer": issuer.name, "of_kind": kinds[0], "or_kind": kinds[1]}
    return {*unit.all(_SUBJECTS, **where), *unit.all(_FORMER_SUBJECTS, **where)}
