"""Pending sign-ins at a provider: a row is used once, and is bound to the browser that started it.

A row is found by ``state`` (OIDC), or by ``RelayState`` and the request's ID (SAML), and the browser must send its
cookie. All have 128 random bits or more; the database has only hashes. A used row stays until it expires, so that a
replay can be distinguished from an invented value, and counted.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, NamedTuple, cast

import msgspec
from sqlalchemy import Select, bindparam, delete, insert, or_, select, update

from manifest_auth.protocols.oidc import Callback
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import Sealer
from manifest_auth.store import SystemUnit, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import invitations, sealed_for, sessions, sign_in_flows
from manifest_auth.throttle.limits import FLOW_LIFE_S

_USED = ""  # replaces the hash of a browser's cookie
#: The response of a sign-in that only tests a provider: it opens no session and changes nothing but its own row.
TRY = "try"
#: The response of a sign-in with which the user of a session re-authenticates.
REAUTHENTICATE = "reauthenticate"


class FlowRequest(NamedTuple):
    """Options of a sign-in. ``link_session_id``: the session that links an identity to its user, tests the provider, or
    re-authenticates; ``devices``: the markers of the device."""

    return_to: str
    response: str = "cookie"
    challenge: str = ""
    link_session_id: str | None = None
    invitation_id: int | None = None
    devices: tuple[str, ...] = ()

    @property
    def is_link(self) -> bool:
        return self.link_session_id is not None and self.response not in (TRY, REAUTHENTICATE)

    @property
    def is_reauthentication(self) -> bool:
        """Whether the user of a session re-authenticates."""
        return self.response == REAUTHENTICATE


class Flow(NamedTuple):
    """A stored row."""

    key: str
    tenant_id: int
    provider_id: int
    browser: str
    request_id: str | None
    secrets: bytes
    return_to: str
    response: str
    challenge: str
    link_session_id: str | None
    invitation_id: int | None
    redirect_uri: str
    iss_required: int

    @property
    def callback(self) -> Callback:
        """The callback address where an OpenID provider must respond, as of the start of the sign-in."""
        return Callback(self.redirect_uri, bool(self.iss_required))

    @property
    def is_try(self) -> bool:
        """Whether it is only a test of the provider."""
        return self.response == TRY

    @property
    def is_reauthentication(self) -> bool:
        """Whether the user of a session re-authenticates."""
        return self.response == REAUTHENTICATE

    @property
    def is_used(self) -> bool:
        """Whether it was used. Then no browser's cookie matches."""
        return not self.browser

    @property
    def cookie(self) -> str:
        return cookie_name("sso", self.key)

    def is_from(self, browser: str | None) -> bool:
        """Whether the browser sent the flow's cookie."""
        return is_hash_of(self.browser, browser)


class StartedFlow(NamedTuple):
    """The secrets of a new flow. ``key`` is that of the row. The provider gets ``state``, ``nonce`` and the verifier's
    challenge, or ``request_id``. The browser gets ``browser`` as a cookie."""

    key: str
    state: str
    request_id: str
    nonce: str
    verifier: str
    cookie: str
    browser: str


class _Secrets(msgspec.Struct, frozen=True):
    nonce: str
    verifier: str


def _of_user(key: Any, owner: Any) -> Select[Any]:
    return cast("Select[Any]", tenant_scoped(select(key).where(owner == bindparam("of_user")).correlate(None)).source)


_C = sign_in_flows.c
_ALL = select(*(_C[name] for name in Flow._fields))
_WHY = "a response of a provider names the sign-in that it belongs to, which names the tenant"
_BY_KEY = cross_tenant(_ALL.where(_C.key == bindparam("key"), _C.expires_at > bindparam("now")), Flow, because=_WHY)
_BY_REQUEST = cross_tenant(
    _ALL.where(_C.request_id == bindparam("request_id"), _C.expires_at > bindparam("now")), Flow, because=_WHY
)
_ADD = tenant_scoped(
    insert(sign_in_flows).values(
        {name: bindparam(name) for name in (*Flow._fields, "expires_at") if name != "tenant_id"}
    )
)
_TAKE = tenant_scoped(
    update(sign_in_flows).where(_C.key == bindparam("of_key"), _C.browser != _USED).values(browser=_USED)
)
_OF_TRY = (_C.response == TRY, _C.provider_id == bindparam("of_provider"), _C.link_session_id == bindparam("session"))
_CLOSE_TRY = tenant_scoped(
    update(sign_in_flows)
    .where(_C.key == bindparam("of_key"), _C.response == TRY)
    .values(browser=_USED, secrets=bindparam("result"), expires_at=bindparam("until"))
)
_DELETE_TRY = tenant_scoped(delete(sign_in_flows).where(*_OF_TRY))
_FIND_TRY = tenant_scoped(_ALL.where(*_OF_TRY, _C.browser == _USED, _C.expires_at > bindparam("now")), Flow)
# Used rows stay, so that a replayed response is noticed.
_END = tenant_scoped(
    delete(sign_in_flows).where(
        _C.browser != _USED,
        or_(
            _C.link_session_id.in_(_of_user(sessions.c.id, sessions.c.user_id)),
            _C.invitation_id.in_(_of_user(invitations.c.id, invitations.c.user_id)),
        ),
    )
)


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def is_hash_of(stored: str, text: str | None) -> bool:
    """Whether the stored hash is that of the text."""
    return text is not None and hmac.compare_digest(hash_of(text), stored)


def cookie_name(prefix: str, key: str) -> str:
    """Returns the cookie's name, one for each sign-in, so that two tabs do not conflict."""
    return f"{prefix}-{key[:16]}"


def new_values(random: Random, prefix: str) -> StartedFlow:
    """Creates random values for a sign-in. ``prefix`` is that of its cookie's name."""
    state, browser = random.text(24), random.text(24)
    key, request_id = hash_of(state), "_" + random.bytes(20).hex()
    return StartedFlow(
        key=key,
        state=state,
        request_id=request_id,
        nonce=random.text(24),
        verifier=random.text(48),
        cookie=cookie_name(prefix, key),
        browser=browser,
    )


def seal(sealer: Sealer, begun: StartedFlow, row: str) -> bytes:
    """Encrypts nonce and PKCE verifier for one row."""
    return sealer.seal(msgspec.json.encode(_Secrets(begun.nonce, begun.verifier)), row)


def unseal(sealer: Sealer, sealed: bytes, row: str) -> tuple[str, str]:
    """Decrypts the nonce and the PKCE verifier of a flow. ``row`` is the same as for :func:`seal`. Raises
    CannotOpen."""
    found = msgspec.json.decode(sealer.open(sealed, row), type=_Secrets)
    return found.nonce, found.verifier


def begin(
    unit: TenantUnit,
    provider_id: int,
    request: FlowRequest,
    callback: Callback | None,
    *,
    random: Random,
    sealer: Sealer,
    now: int,
) -> StartedFlow:
    """Stores a new flow. ``callback``: where an OpenID provider responds; None means that a SAML request is sent, and
    an OpenID response does not match."""
    begun = new_values(random, "sso")
    unit.change(
        _ADD,
        key=begun.key,
        provider_id=provider_id,
        browser=hash_of(begun.browser),
        request_id=begun.request_id if callback is None else None,
        secrets=seal(sealer, begun, _row(begun.key)),
        return_to=request.return_to,
        response=request.response,
        challenge=request.challenge,
        link_session_id=request.link_session_id,
        invitation_id=request.invitation_id,
        redirect_uri=callback.redirect_uri if callback else "",
        iss_required=int(callback is not None and callback.iss_required),
        expires_at=now + FLOW_LIFE_S * 1000,
    )
    return begun


def find_by_state(unit: SystemUnit, state: str, now: int) -> Flow | None:
    return unit.first(_BY_KEY, key=hash_of(state), now=now)


def find_by_request(unit: SystemUnit, request_id: str, now: int) -> Flow | None:
    return unit.first(_BY_REQUEST, request_id=request_id, now=now)


def has_state(flow: Flow, state: str) -> bool:
    """Whether the state is that of the flow."""
    return hmac.compare_digest(flow.key, hash_of(state))


def take(unit: TenantUnit, flow: Flow) -> bool:
    """Marks the flow as used. Returns False if it was already used."""
    return unit.change(_TAKE, of_key=flow.key) == 1


def close_try(unit: TenantUnit, sealer: Sealer, flow: Flow, result: bytes, now: int) -> None:
    """Marks the row of a test as used, and replaces its secrets with the result."""
    unit.change(_CLOSE_TRY, of_key=flow.key, result=sealer.seal(result, _row(flow.key)), until=now + FLOW_LIFE_S * 1000)


def delete_try(unit: TenantUnit, provider_id: int, session_id: str) -> None:
    """Deletes a session's test of a provider, because it has one at a time."""
    unit.change(_DELETE_TRY, of_provider=provider_id, session=session_id)


def result_of_try(unit: TenantUnit, sealer: Sealer, provider_id: int, session_id: str, now: int) -> bytes | None:
    """Returns the result that :func:`close_try` stored for that session; None if there is none. Raises CannotOpen."""
    flow = unit.first(_FIND_TRY, of_provider=provider_id, session=session_id, now=now)
    return None if flow is None else sealer.open(flow.secrets, _row(flow.key))


def delete_of_user(unit: TenantUnit, user_id: int) -> int:
    """Deletes the unused flows that would give access to a user's account: links that its sessions requested, and
    sign-ins with its invitations. Returns how many there were."""
    return unit.change(_END, of_user=user_id)


def open_secrets(sealer: Sealer, flow: Flow) -> tuple[str, str]:
    """Returns nonce and PKCE verifier. Raises CannotOpen."""
    return unseal(sealer, flow.secrets, _row(flow.key))


def _row(key: str) -> str:
    return sealed_for(_C.secrets, key=key)
