"""Sign-ins that are under way at a provider: a row that is used once, bound to the browser that began it.

The row is found by ``state`` (OIDC), or by ``RelayState`` and the id of our request (SAML); the browser must bring the
cookie that it was given. All of them have 128 random bits or more, and the store keeps only hashes. A row that was used
stays until its time is over, so that what is shown a second time is told from what was made up, and counted.
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
from manifest_auth.throttle.anonymous_limits import FLOW_LIFE_S

_USED = ""  # in place of the hash of a browser's cookie
#: The response of a sign-in that is but tried out: it opens no session, and nothing is kept of it but its own row.
TRY = "try"


class Wish(NamedTuple):
    """What the person who begins a sign-in asks for; ``link_session_id``: of who is signed in already, and links an
    identity or tries a provider; ``device``: the cookie of a browser that signed in before."""

    return_to: str
    response: str = "cookie"
    challenge: str = ""
    link_session_id: str | None = None
    invitation_id: int | None = None
    device: str | None = None

    @property
    def is_link(self) -> bool:
        return self.link_session_id is not None and self.response != TRY


class Flow(NamedTuple):
    """A sign-in under way, as it is stored."""

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
        """Where the answer of an OpenID provider must come to, by the rule that held when the sign-in began."""
        return Callback(self.redirect_uri, bool(self.iss_required))

    @property
    def is_try(self) -> bool:
        """Whether it may have no effect but to be told of."""
        return self.response == TRY

    @property
    def is_used(self) -> bool:
        """Whether it was taken already. No browser's cookie fits it then."""
        return not self.browser

    @property
    def cookie(self) -> str:
        return cookie_name("sso", self.key)

    def is_from(self, browser: str | None) -> bool:
        """Whether the browser brought the cookie back."""
        return is_hash_of(self.browser, browser)


class Begun(NamedTuple):
    """``key``: of the row; the rest leaves the server: ``state``, ``nonce`` and the verifier's challenge for the
    provider, or ``request_id``, and ``browser`` as a cookie."""

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
_WHY = "the answer of a provider names the sign-in that it belongs to, and that the tenant"
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
    .values(browser=_USED, secrets=bindparam("found"), expires_at=bindparam("until"))
)
_FORGET_TRY = tenant_scoped(delete(sign_in_flows).where(*_OF_TRY))
_FIND_TRY = tenant_scoped(_ALL.where(*_OF_TRY, _C.browser == _USED, _C.expires_at > bindparam("now")), Flow)
# Those that were used stay, so that an answer shown again is noticed.
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
    """Whether a stored hash is of that text."""
    return text is not None and hmac.compare_digest(hash_of(text), stored)


def cookie_name(prefix: str, key: str) -> str:
    """One cookie for each sign-in, so that two tabs do not disturb each other."""
    return f"{prefix}-{key[:16]}"


def fresh(random: Random, prefix: str) -> Begun:
    """All that is drawn for a sign-in, whatever it is for. ``prefix``: of its cookie's name."""
    state, browser = random.text(24), random.text(24)
    key, request_id = hash_of(state), "_" + random.bytes(20).hex()
    return Begun(
        key=key,
        state=state,
        request_id=request_id,
        nonce=random.text(24),
        verifier=random.text(48),
        cookie=cookie_name(prefix, key),
        browser=browser,
    )


def seal(sealer: Sealer, begun: Begun, row: str) -> bytes:
    """Nonce and PKCE verifier, encrypted for one row."""
    return sealer.seal(msgspec.json.encode(_Secrets(begun.nonce, begun.verifier)), row)


def unseal(sealer: Sealer, sealed: bytes, row: str) -> tuple[str, str]:
    """Nonce and PKCE verifier. Raises CannotOpen."""
    found = msgspec.json.decode(sealer.open(sealed, row), type=_Secrets)
    return found.nonce, found.verifier


def begin(
    unit: TenantUnit,
    provider_id: int,
    wish: Wish,
    callback: Callback | None,
    *,
    random: Random,
    sealer: Sealer,
    now: int,
) -> Begun:  # fmt: skip
    """A new sign-in. ``callback``: where an OpenID provider answers; None: a SAML request with an id of its own is
    sent, and no OpenID answer fits."""
    begun = fresh(random, "sso")
    unit.change(
        _ADD,
        key=begun.key,
        provider_id=provider_id,
        browser=hash_of(begun.browser),
        request_id=begun.request_id if callback is None else None,
        secrets=seal(sealer, begun, _row(begun.key)),
        return_to=wish.return_to,
        response=wish.response,
        challenge=wish.challenge,
        link_session_id=wish.link_session_id,
        invitation_id=wish.invitation_id,
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
    """Whether this is the state of that sign-in."""
    return hmac.compare_digest(flow.key, hash_of(state))


def take(unit: TenantUnit, flow: Flow) -> bool:
    """Uses the row up. False when somebody else did."""
    return unit.change(_TAKE, of_key=flow.key) == 1


def close_try(unit: TenantUnit, sealer: Sealer, flow: Flow, found: bytes, now: int) -> None:
    """Uses the row of a try up, and keeps what was found in place of its secrets, for those who began it."""
    sealed = sealer.seal(found, _row(flow.key))
    unit.change(_CLOSE_TRY, of_key=flow.key, found=sealed, until=now + FLOW_LIFE_S * 1000)


def forget_try(unit: TenantUnit, provider_id: int, session_id: str) -> None:
    """A session has one try of a provider at a time."""
    unit.change(_FORGET_TRY, of_provider=provider_id, session=session_id)


def found_by_try(unit: TenantUnit, sealer: Sealer, provider_id: int, session_id: str, now: int) -> bytes | None:
    """What :func:`close_try` kept for that session. Raises CannotOpen."""
    flow = unit.first(_FIND_TRY, of_provider=provider_id, session=session_id, now=now)
    return None if flow is None else sealer.open(flow.secrets, _row(flow.key))


def end_of(unit: TenantUnit, user_id: int) -> int:
    """Takes away what would lead into the account of a user: linking that one of its sessions asked for, and sign-ins
    with an invitation to it. How many there were."""
    return unit.change(_END, of_user=user_id)


def open_secrets(sealer: Sealer, flow: Flow) -> tuple[str, str]:
    """Nonce and PKCE verifier. Raises CannotOpen."""
    return unseal(sealer, flow.secrets, _row(flow.key))


def _row(key: str) -> str:
    return sealed_for(_C.secrets, key=key)
