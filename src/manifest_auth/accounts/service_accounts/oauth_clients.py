"""Service accounts as clients of OAuth 2.0: found by the client id, which names account and tenant."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, select

from manifest_auth.context import SERVICE
from manifest_auth.store import Store, cross_tenant
from manifest_auth.store.tables import service_accounts, tenants, users

_A = service_accounts.c
_T = tenants.c
_U = users.c


class OAuthAccount(NamedTuple):
    """A service account that is neither disabled nor of a suspended client. ``client``: the tenant's identifier; the
    other members as :class:`.rows.ServiceAccount` has them."""

    id: int
    tenant_id: int
    client: str
    roles: int
    scopes: int | None
    addresses: str
    may_introspect: int
    jwks: str | None


_BY_ID = cross_tenant(
    select(
        _U.id, _U.tenant_id, _T.identifier, _U.roles, _A.scopes, _A.addresses, _A.may_introspect, _A.jwks
    )
    .select_from(
        users.join(service_accounts, (_A.tenant_id == _U.tenant_id) & (_A.user_id == _U.id))
        .join(tenants, _T.id == _U.tenant_id)
    )
    .where(_A.user_id == bindparam("id"), _U.kind == SERVICE, _U.deactivated_at.is_(None), _T.suspended_at.is_(None)),
    OAuthAccount,
    because="the client id names the service account, and that the tenant",
    every_kind=True,
)  # fmt: skip


async def find_oauth_account(store: Store, account_id: int) -> OAuthAccount | None:
    """The account, in one statement and never from a cache; None where it may not come in."""
    return await store.look_up(_BY_ID, id=account_id)
