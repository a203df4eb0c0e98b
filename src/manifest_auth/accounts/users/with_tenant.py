"""Users with their tenant, each pair read by one statement: what a sign-in looks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, case, func, or_, select

from manifest_auth.accounts.users.users import IS_OF_EMAIL, User, find_by_email
from manifest_auth.errors import existing
from manifest_auth.store import SystemUnit, TenantUnit, among, cross_tenant, tenant_scoped, texts
from manifest_auth.store.tables import domain_owners, known_origins, tenants, users
from manifest_auth.tenants import Tenant
from manifest_auth.text.canonical import email_domain, email_keys

_C, _O, _T = users.c, known_origins.c, tenants.c
_ALL = select(*(_C[name] for name in User._fields), *(_T[name] for name in Tenant._fields)).join_from(
    users, tenants, _T.id == _C.tenant_id
)
# The tenant's row is not locked: sign-ins of a tenant do not wait for one another.
_LOCKED = tenant_scoped(_ALL.where(_C.id == bindparam("id")).with_for_update(of=users))
_DEVICE_SEEN = (
    select(func.max(_O.seen_at))
    .where(among(_O.origin, "devices"), _O.tenant_id == _C.tenant_id)
    .correlate(users)
    .scalar_subquery()
)
_OWNER = select(domain_owners.c.tenant_id).where(domain_owners.c.domain == bindparam("domain")).scalar_subquery()
_IS_PROVED = or_(_C.email_proved_at.is_not(None), _C.tenant_id == _OWNER)
_SIGNED_IN_PROVED = case((_IS_PROVED, func.coalesce(_C.last_sign_in_at, 0)), else_=-1)
_NO_CLIENT = cross_tenant(
    _ALL.where(IS_OF_EMAIL)
    .order_by(func.coalesce(_DEVICE_SEEN, 0).desc(), _SIGNED_IN_PROVED.desc(), _C.created_at, _C.id)
    .limit(1),
    because="a sign-in that names no client goes to one that has the address: by device, by proof, by age",
)


def get_with_tenant(unit: TenantUnit, user_id: int) -> tuple[User, Tenant]:
    """The user, whose row is locked until the transaction ends, and the tenant. Raises NotFound."""
    found = existing(unit.first(_LOCKED, id=user_id))
    return _both(found)


def find_without_client(unit: SystemUnit, email: str, devices: Iterable[str]) -> tuple[User, Tenant] | None:
    """The account that a sign-in without a client means, across tenants.

    First, of the client where one of the ``devices`` (origins of the throttle) was used last; else, of the accounts
    with a verified address (by a link, or because the domain counts for the client), the one that signed in last; else
    the oldest. So a client cannot attract a person's sign-ins by creating an account for the address."""
    keys = email_keys(email)
    found = unit.first(_NO_CLIENT, **keys, domain=email_domain(email), devices=texts(devices))
    if found is None:
        return None
    user, tenant = _both(found)
    if user.email_key != keys["as_typed"]:  # there may be two of one mailbox
        user = find_by_email(unit.of(tenant.id), email) or user
    return user, tenant


def _both(row: Sequence[Any]) -> tuple[User, Tenant]:
    count = len(User._fields)
    return User._make(row[:count]), Tenant._make(row[count:])
