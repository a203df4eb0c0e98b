"""Unlinking of identities, and what stays of them: the mark of their account, and the subjects of a deleted provider.

An address passes to other people, so a provider that is made again must not give an account to another subject than
before. It knows the subjects again by their issuer.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from sqlalchemy import Cast, Select, Text, bindparam, delete, func, insert, not_, or_, select, update
from sqlalchemy import cast as sql_cast

from manifest_auth.errors import existing
from manifest_auth.providers.identities import IS_ALIAS, LinkedBy
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import former_identities, identities, providers


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
    """A value among the columns of a query, which PostgreSQL has to be told the type of."""
    return sql_cast(bindparam(name), Text)


#: Kinds whose subject is a person of a Microsoft directory, whatever the application.
_OF_DIRECTORIES = ("dynamics", "entra")
_C, _F = identities.c, former_identities.c
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
# The mark belongs to the account, not to the identity: it stays in its former ones. The remaining ones get it too, for
# programs of the release before, which know no other mark.
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
    .select_from(identities.join(providers, providers.c.id == _C.provider_id))
    .where(
        _C.user_id == bindparam("of_user"), providers.c.issuer == bindparam("of_issuer"),
        or_(providers.c.kind == bindparam("of_kind"), providers.c.kind == bindparam("or_kind")), not_(IS_ALIAS),
    ),
    str,
)  # fmt: skip
_FORMER_SUBJECTS = tenant_scoped(
    select(_F.subject).where(
        _F.user_id == bindparam("of_user"), _F.issuer == bindparam("of_issuer"),
        or_(_F.kind == bindparam("of_kind"), _F.kind == bindparam("or_kind")),
    ),
    str,
)  # fmt: skip


class Issuer(NamedTuple):
    """The kind and the issuer of a provider: within them a subject is one person, see ``subjects_in`` of
    its settings."""

    kind: str
    name: str


def unlink(unit: TenantUnit, user_id: int, identity_id: int, *, deleted: Issuer | None = None) -> Unlinked:
    """Unlinks an identity, with the user's second subjects at that provider; the next sign-in links those again where
    needed. ``deleted``: of the identity's provider, which is being deleted. Raises NotFound."""
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
    """Whether the account was created with an unverified address, whose owner may be another person."""
    return bool(unit.one(_MARKED, of_user=user_id) or unit.one(_WAS_MARKED, of_user=user_id))


def subjects_at(unit: TenantUnit, user_id: int, issuer: Issuer) -> set[str]:
    """The user's subjects at providers of that issuer, also at those that were deleted."""
    kinds = _OF_DIRECTORIES if issuer.kind in _OF_DIRECTORIES else (issuer.kind, issuer.kind)
    where = {"of_user": user_id, "of_issuer": issuer.name, "of_kind": kinds[0], "or_kind": kinds[1]}
    return {*unit.all(_SUBJECTS, **where), *unit.all(_FORMER_SUBJECTS, **where)}
