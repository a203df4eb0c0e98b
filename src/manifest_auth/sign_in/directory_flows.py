"""Pending sign-ins of a directory's administrator, for the proof that a directory is the client's.

A row is used once, and bound to the browser and to the session that started it.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, update

from manifest_auth.providers import sign_in_flows
from manifest_auth.providers.sign_in_flows import StartedFlow
from manifest_auth.runtime.sealing import Sealer
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import directory_proofs, sealed_for

LIFE_S = 600
_USED = ""
_COOKIE = "directory"  # how the name of its cookie begins


class Flow(NamedTuple):
    """A stored row. ``provider_id``: the provider whose application is used; None: the operator's application."""

    key: str
    tenant_id: int
    directory: str
    browser: str
    session_id: str
    provider_id: int | None
    secrets: bytes
    return_to: str

    @property
    def is_used(self) -> bool:
        return self.browser == _USED

    @property
    def cookie(self) -> str:
        return sign_in_flows.cookie_name(_COOKIE, self.key)

    def is_from(self, browser: str | None) -> bool:
        """Whether the browser brought the cookie back."""
        return sign_in_flows.is_hash_of(self.browser, browser)


_C = directory_proofs.c
_BY_KEY = cross_tenant(
    select(*(_C[name] for name in Flow._fields)).where(_C.key == bindparam("key"), _C.expires_at > bindparam("now")),
    Flow,
    because="the answer of Microsoft names the sign-in that it belongs to, and that the tenant",
)
_ADD = tenant_scoped(
    insert(directory_proofs).values(
        {name: bindparam(name) for name in (*Flow._fields, "expires_at") if name != "tenant_id"}
    )
)
_TAKE = tenant_scoped(
    update(directory_proofs).where(_C.key == bindparam("of_key"), _C.browser != _USED).values(browser=_USED)
)


def begin(
    unit: TenantUnit, ctx: RequestContext, directory: str, provider_id: int | None, return_to: str
) -> StartedFlow:
    """Stores a flow for the caller's session, good for ten minutes; returns its secrets.

    ``directory``: GUID; ``provider_id`` None: the operator's application; ``return_to``: a listed address.
    """
    begun = sign_in_flows.new_values(ctx.services.random, _COOKIE)
    unit.change(
        _ADD,
        key=begun.key,
        directory=directory,
        browser=sign_in_flows.hash_of(begun.browser),
        session_id=ctx.user.session_id,
        provider_id=provider_id,
        secrets=sign_in_flows.seal(ctx.services.sealer, begun, _row(begun.key)),
        return_to=return_to,
        expires_at=ctx.now + LIFE_S * 1000,
    )
    return begun


def find(unit: SystemUnit, state: str, now: int) -> Flow | None:
    return unit.first(_BY_KEY, key=sign_in_flows.hash_of(state), now=now)


def take(unit: TenantUnit, flow: Flow) -> bool:
    """Marks the flow as used. False when it was used before."""
    return unit.change(_TAKE, of_key=flow.key) == 1


def open_secrets(sealer: Sealer, flow: Flow) -> tuple[str, str]:
    """Nonce and PKCE verifier. Raises CannotOpen."""
    return sign_in_flows.unseal(sealer, flow.secrets, _row(flow.key))


def _row(key: str) -> str:
    return sealed_for(_C.secrets, key=key)
