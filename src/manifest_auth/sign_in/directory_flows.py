"""Sign-ins of a directory's administrator that are under way: a row that is used once, bound to the browser that began
it and to the session of whoever began it."""

from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, insert, select, update

from manifest_auth.runtime.sealing import Sealer
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit, bound, crossing
from manifest_auth.store.tables import directory_proofs, sealed_for

LIFE_S = 600
_USED = ""


class Flow(NamedTuple):
    """As it is stored. ``provider_id``: whose application is used; None: the operator's."""

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
        return _cookie(self.key)

    def is_from(self, browser: str | None) -> bool:
        """Whether the browser brought the cookie back."""
        return browser is not None and hmac.compare_digest(_hash(browser), self.browser)


class Begun(NamedTuple):
    """What leaves the server: ``state``, ``nonce`` and the verifier's challenge for Microsoft, the rest as a cookie."""

    state: str
    nonce: str
    verifier: str
    cookie: str
    browser: str


class _Secrets(msgspec.Struct, frozen=True):
    nonce: str
    verifier: str


_C = directory_proofs.c
_BY_KEY = crossing(
    select(*(_C[name] for name in Flow._fields)).where(_C.key == bindparam("key"), _C.expires_at > bindparam("now")),
    Flow,
    because="the answer of Microsoft names the sign-in that it belongs to, and that the tenant",
)
_ADD = bound(
    insert(directory_proofs).values(
        {name: bindparam(name) for name in (*Flow._fields, "expires_at") if name != "tenant_id"}
    )
)
_TAKE = bound(update(directory_proofs).where(_C.key == bindparam("of_key"), _C.browser != _USED).values(browser=_USED))


def begin(unit: TenantUnit, ctx: RequestContext, directory: str, provider_id: int | None, return_to: str) -> Begun:
    """A new one, of the session that the request was made with."""
    random = ctx.services.random
    state, browser = random.text(24), random.text(24)
    key = _hash(state)
    begun = Begun(state, random.text(24), random.text(48), _cookie(key), browser)
    secrets = msgspec.json.encode(_Secrets(begun.nonce, begun.verifier))
    unit.change(
        _ADD,
        key=key,
        directory=directory,
        browser=_hash(browser),
        session_id=ctx.user.session_id,
        provider_id=provider_id,
        secrets=ctx.services.sealer.seal(secrets, _row(key)),
        return_to=return_to,
        expires_at=ctx.now + LIFE_S * 1000,
    )
    return begun


def find(unit: SystemUnit, state: str, now: int) -> Flow | None:
    return unit.first(_BY_KEY, key=_hash(state), now=now)


def take(unit: TenantUnit, flow: Flow) -> bool:
    """Uses the row up. False when that was done already."""
    return unit.change(_TAKE, of_key=flow.key) == 1


def open_secrets(sealer: Sealer, flow: Flow) -> tuple[str, str]:
    """Nonce and PKCE verifier. Raises CannotOpen."""
    found = msgspec.json.decode(sealer.open(flow.secrets, _row(flow.key)), type=_Secrets)
    return found.nonce, found.verifier


def _cookie(key: str) -> str:
    """One cookie for each sign-in, so that two tabs do not disturb each other."""
    return f"directory-{key[:16]}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _row(key: str) -> str:
    return sealed_for(_C.secrets, key=key)
