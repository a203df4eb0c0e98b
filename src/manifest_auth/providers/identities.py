"""Who a provider's people are here: (provider, subject) is a user, and nothing else is (contract, section 5)."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple, cast

from sqlalchemy import Integer, Select, and_, bindparam, delete, func, insert, not_, or_, select, update

from manifest_auth.errors import NotFound
from manifest_auth.store import Listing, TenantUnit, tenant_scoped
from manifest_auth.store.tables import identities, providers


class How(enum.Enum):
    """How an identity came to its user."""

    CREATED = "created"  # just in time, with an address that the provider vouched for
    CREATED_UNVOUCHED = "created-unvouched"  # just in time, with an address that nobody vouched for
    INVITATION = "invitation"
    CONSENT = "consent"  # the signed-in user asked for it
    DIRECTORY = "directory"  # another provider of the same Microsoft directory knows the person
    DOMAIN = "domain"  # the provider owns the address's domain and vouched for it


class Address(NamedTuple):
    """What a provider says now of a person's address; ``email`` may be empty. ``vouched``: it is verified, and of a
    domain that the provider speaks for."""

    email: str
    vouched: bool


class Identity(NamedTuple):
    id: int
    provider_id: int
    subject: str
    user_id: int
    granted: int
    confirmed_at: int | None = None


class IdentityRow(NamedTuple):
    """An identity as people read it in a list."""

    id: int
    provider: str
    display_name: str
    kind: str
    subject: str
    email: str
    how: str
    vouched: int
    confirmed_at: int | None
    confirmed_by: str | None
    created_at: int
    last_sign_in_at: int


class Unlinked(NamedTuple):
    """What went with an identity: its provider, how it had come to its user, and the mask of the roles that it gave."""

    provider_id: int
    how: str
    granted: int

    @property
    def made_the_account(self) -> bool:
        """Whether the account was made through it, with an address that nobody vouched for."""
        return self.how == How.CREATED_UNVOUCHED.value


class Elsewhere(NamedTuple):
    """Whom another provider knows by a subject."""

    provider_id: int
    user_id: int


class Given(NamedTuple):
    """An identity whose groups gave roles."""

    id: int
    user_id: int
    granted: int


#: How a second subject of a Dynamics provider's person begins. It comes and goes with the first, and nobody reads it.
ALIAS = "dataverse:"

_C = identities.c
_OF_DYNAMICS = cast(
    "Select[Any]", tenant_scoped(select(providers.c.id).where(providers.c.kind == "dynamics").correlate(None)).source
)
IS_ALIAS = and_(_C.subject.startswith(ALIAS, autoescape=True), _C.provider_id.in_(_OF_DYNAMICS))
_FIND = tenant_scoped(
    select(*(_C[name] for name in Identity._fields))
    .where(_C.provider_id == bindparam("provider_id"), _C.subject == bindparam("subject"))
    .with_for_update(),
    Identity,
)
_IS_LINKED = tenant_scoped(
    select(_C.id).where(_C.provider_id == bindparam("provider_id"), _C.subject == bindparam("subject")), int
)
_IN_DIRECTORY = tenant_scoped(
    select(_C.provider_id, _C.user_id)
    .select_from(identities.join(providers, providers.c.id == _C.provider_id))
    .where(
        providers.c.issuer == bindparam("directory"),
        or_(providers.c.kind == "dynamics", providers.c.kind == "entra"),
        _C.subject == bindparam("subject"),
    )
    .order_by(_C.id)
    .limit(1),
    Elsewhere,
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
    )
)
_HAS_SUBJECT = tenant_scoped(
    select(_C.id)
    .where(_C.provider_id == bindparam("of_provider"), _C.user_id == bindparam("of_user"), not_(IS_ALIAS))
    .limit(1),
    int,
)
_DOUBT = tenant_scoped(
    update(identities)
    .where(_C.provider_id == bindparam("of_provider"))
    .values(vouched=0, confirmed_at=None, confirmed_by=None)
)
_OTHERS = tenant_scoped(select(_C.granted).where(_C.user_id == bindparam("of_user"), _C.id != bindparam("but")), int)
_UNVOUCHED = tenant_scoped(
    select(func.count()).where(_C.user_id == bindparam("of_user"), _C.how == How.CREATED_UNVOUCHED.value), int
)
_OF_USER = (
    select(
        _C.id, providers.c.name, providers.c.display_name, providers.c.kind, _C.subject, _C.email, _C.how,
        _C.vouched, _C.confirmed_at, _C.confirmed_by, _C.created_at, _C.last_sign_in_at,
    )
    .select_from(identities.join(providers, providers.c.id == _C.provider_id))
    .where(_C.user_id == bindparam("of_user"), not_(IS_ALIAS))
)  # fmt: skip
_LIST = tenant_scoped(_OF_USER.order_by(_C.id).limit(100), IdentityRow)
#: Those of one user; ``of_user`` is to be given. Filters take ``like``, see :func:`manifest_auth.text.canonical.like`.
IDENTITIES = Listing(
    _OF_USER,
    IdentityRow,
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
_UNLINK = tenant_scoped(
    delete(identities)
    .where(_C.id == bindparam("id"), _C.user_id == bindparam("of_user"), not_(IS_ALIAS))
    .returning(*(_C[name] for name in Unlinked._fields)),
    Unlinked,
)
_UNLINK_ALIASES = tenant_scoped(
    delete(identities).where(_C.provider_id == bindparam("of_provider"), _C.user_id == bindparam("of_user"), IS_ALIAS)
)
# The mark is the account's and not the identity's: it stays as long as anybody may come in by another one.
_MARK = tenant_scoped(
    update(identities).where(_C.user_id == bindparam("of_user")).values(how=How.CREATED_UNVOUCHED.value)
)
_MADE_BY = tenant_scoped(
    select(_C.user_id)
    .where(_C.provider_id == bindparam("of_provider"), _C.how == How.CREATED_UNVOUCHED.value)
    .correlate(None)
).source
_MARK_ALL = tenant_scoped(
    update(identities).where(_C.user_id.in_(cast("Select[Any]", _MADE_BY))).values(how=How.CREATED_UNVOUCHED.value)
)
_GIVEN = tenant_scoped(
    select(_C.id, _C.user_id, _C.granted)
    .where(_C.provider_id == bindparam("of_provider"), _C.granted.op("&")(bindparam("mask", type_=Integer())) != 0)
    .order_by(_C.user_id, _C.id)
    .limit(bindparam("limit")),
    Given,
)
_FORGET = tenant_scoped(delete(identities).where(_C.provider_id == bindparam("of_provider")))


def find_identity(unit: TenantUnit, provider_id: int, subject: str) -> Identity | None:
    """Locked until the transaction ends."""
    return unit.first(_FIND, provider_id=provider_id, subject=subject)


def is_linked(unit: TenantUnit, provider_id: int, subject: str) -> bool:
    """Whether the subject is anybody's. Waits for nobody."""
    return unit.first(_IS_LINKED, provider_id=provider_id, subject=subject) is not None


def has_subject(unit: TenantUnit, provider_id: int, user_id: int) -> bool:
    """Whether the provider knows the user by some subject already."""
    return unit.first(_HAS_SUBJECT, of_provider=provider_id, of_user=user_id) is not None


def find_in_directory(unit: TenantUnit, directory: str, subject: str) -> Elsewhere | None:
    """Whom any provider of a Microsoft directory knows by that subject."""
    return unit.first(_IN_DIRECTORY, directory=directory, subject=subject)


def link(
    unit: TenantUnit, provider_id: int, subject: str, user_id: int, how: How, address: Address, granted: int, now: int
) -> Identity:
    """From now on this subject is that user. ``granted``: mask of the roles that the provider's groups gave already.
    Raises Conflict when somebody else was faster."""
    added = unit.one(
        _ADD, provider_id=provider_id, subject=subject, user_id=user_id, how=how.value, email=address.email,
        vouched=int(address.vouched), granted=granted, created_at=now, last_sign_in_at=now,
    )  # fmt: skip
    return Identity(added, provider_id, subject, user_id, granted)


def seen(unit: TenantUnit, identity: Identity, address: Address, granted: int, now: int) -> None:
    """The person signed in; ``granted``: mask of the roles that this provider's groups added."""
    vouched = int(address.vouched)
    unit.change(_SEEN, id=identity.id, new_email=address.email, new_vouched=vouched, new_granted=granted, now=now)


def granted_by_others(unit: TenantUnit, identity: Identity) -> int:
    """Mask of the roles that the user's other identities added."""
    return granted_to(unit, identity.user_id, but=identity.id)


def granted_to(unit: TenantUnit, user_id: int, *, but: int = 0) -> int:
    """Mask of the roles that the user's identities added, ``but`` one."""
    mask = 0
    for granted in unit.all(_OTHERS, of_user=user_id, but=but):
        mask |= granted
    return mask


def given_by(unit: TenantUnit, provider_id: int, limit: int, mask: int = ~0) -> list[Given]:
    """Some of a provider's identities whose groups gave roles, or those of a mask; by user."""
    return unit.all(_GIVEN, of_provider=provider_id, mask=mask, limit=limit)


def doubt_all(unit: TenantUnit, provider_id: int) -> None:
    """What the provider vouched for, and what an Admin confirmed of its people, counts no more: it speaks for another
    issuer from now on, or reads another attribute. The next sign-in of each person tells anew."""
    unit.change(_DOUBT, of_provider=provider_id)


def claims_unvouched(unit: TenantUnit, user_id: int) -> bool:
    """Whether the account was made with an address that nobody vouched for: its owner may be somebody else."""
    return unit.one(_UNVOUCHED, of_user=user_id) > 0


def list_identities(unit: TenantUnit, user_id: int) -> list[IdentityRow]:
    return unit.all(_LIST, of_user=user_id)


def unlink(unit: TenantUnit, user_id: int, identity_id: int) -> Unlinked:
    """With the second subjects that the user has at that provider; one that is still somebody's is linked again at the
    next sign-in. Raises NotFound."""
    gone = unit.first(_UNLINK, id=identity_id, of_user=user_id)
    if gone is None:
        raise NotFound()
    unit.announce("user", user_id)  # who calls with a token of that provider's is looked for anew
    forget_aliases(unit, gone.provider_id, user_id)
    if gone.made_the_account:
        unit.change(_MARK, of_user=user_id)
    return gone


def forget_aliases(unit: TenantUnit, provider_id: int, user_id: int) -> None:
    """Takes the second subjects away that a user has at a provider."""
    unit.change(_UNLINK_ALIASES, of_provider=provider_id, of_user=user_id)


def forget_all(unit: TenantUnit, provider_id: int) -> None:
    """Takes all identities of a provider away."""
    unit.change(_MARK_ALL, of_provider=provider_id)
    unit.change(_FORGET, of_provider=provider_id)
