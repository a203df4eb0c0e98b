"""Rows of sessions: opened by a sign-in or from another session, advanced by a refresh, listed."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from sqlalchemy import BigInteger, Table, Update, and_, bindparam, cast, exists, func, insert, or_, select, update

from manifest_auth.context import Principal, Request
from manifest_auth.runtime.clock import Random
from manifest_auth.sessions.principal import ENDS_AT, cookie_hash, read
from manifest_auth.store import (
    Filters,
    Listing,
    SystemUnit,
    TenantStore,
    TenantUnit,
    columns,
    tenant_condition,
    tenant_scoped,
)
from manifest_auth.store.tables import sessions, tenants, users

# Proofs of a person before a session opens: the methods (RFC 8176), and the time.
#
# Only :mod:`manifest_auth.sign_in.second_factor.gate` makes a :class:`SessionProof`, so no session opens past a second
# factor that is due.

Way = Literal["pwd", "otp", "passkey", "recovery", "provider", "trusted", "link", "device", "badge", "pin", "mfa"]
#: Two factors were proved, or accepted from a provider.
MFA: Way = "mfa"


class SessionProof(NamedTuple):
    """``amr``: the methods; ``at``: time of the last full proof in milliseconds, None where it is not known."""

    amr: tuple[Way, ...]
    at: int | None

    @property
    def text(self) -> str:
        """The methods, as stored."""
        return " ".join(self.amr)


def ways_of(text: str) -> tuple[Way, ...]:
    """The methods of a stored text."""
    return tuple(text.split())  # type: ignore[arg-type]  # we alone write it


# One row has three keys: id, cookie, refresh token.

TOUCH_EVERY_MS = 60_000
_S = sessions.c


_NEW = columns(
    "id user_id method provider_id created_at ends_at last_used_at address user_agent cookie_hash cookie_seen_at "
    "refresh_current refresh_changed_at amr authenticated_at"
)
_OPEN = tenant_scoped(insert(sessions).values({name: bindparam(name) for name in _NEW}))


def advancing(table: Table) -> Update:
    """The statement that advances the refresh token of a session, of users or of system admins. Of two concurrent uses
    of one token, only one succeeds."""
    session = table.c
    return (
        update(table)
        .where(session.id == bindparam("sid"), session.refresh_current == bindparam("before"))
        .where(session.ended_at.is_(None))
        .values(
            refresh_previous=bindparam("before"),
            refresh_current=bindparam("after"),
            refresh_changed_at=bindparam("now"),
            last_used_at=bindparam("now"),
        )
    )


_ADVANCE = tenant_scoped(advancing(sessions))
_ADVANCE_ALIVE = tenant_scoped(
    advancing(sessions).where(
        bindparam("ends_at") == ENDS_AT,
        bindparam("now") < ENDS_AT,
        _S.user_id == bindparam("of_user"),
        exists().where(users.c.id == bindparam("of_user"), tenant_condition(users), users.c.deactivated_at.is_(None)),
        exists().where(
            tenants.c.id == bindparam("of_tenant"),
            tenants.c.suspended_at.is_(None),
            tenants.c.settings == bindparam("settings"),
        ),
    )
)
_PROVIDER = tenant_scoped(select(_S.provider_id).where(_S.id == bindparam("sid")), int)
_TOUCH = tenant_scoped(
    update(sessions)
    .where(_S.id == bindparam("sid"), _S.ended_at.is_(None), _S.cookie_seen_at < bindparam("now"))
    .values(cookie_seen_at=bindparam("now"), last_used_at=bindparam("now"))
)
_PROVED = tenant_scoped(
    update(sessions)
    .where(_S.id == bindparam("sid"), _S.user_id == bindparam("of_user"), _S.ended_at.is_(None))
    .values(amr=bindparam("new_amr"), authenticated_at=bindparam("at"))
)


class Opened(NamedTuple):
    """A new session, and its cookie's value, which is not stored."""

    session_id: str
    cookie: str
    refresh_id: str
    ends_at: int


def open_session(
    unit: TenantUnit,
    request: Request,
    user_id: int,
    method: str,
    provider_id: int | None,
    proof: SessionProof,
    *,
    random: Random,
    most_s: int,
) -> Opened:
    """Opens a session with three new random keys; no value from the request is adopted (session fixation)."""
    now = request.now
    opened = Opened(random.text(16), random.text(32), random.text(12), now + most_s * 1000)
    unit.change_later(
        _OPEN,
        id=opened.session_id,
        user_id=user_id,
        method=method,
        provider_id=provider_id,
        created_at=now,
        ends_at=opened.ends_at,
        last_used_at=now,
        address=request.address,
        user_agent=request.user_agent,
        cookie_hash=cookie_hash(opened.cookie),
        cookie_seen_at=now,
        refresh_current=opened.refresh_id,
        refresh_changed_at=now,
        amr=proof.text,
        authenticated_at=proof.at,
    )
    return opened


def advance(unit: TenantUnit, session_id: str, before: str, after: str, now: int) -> bool:
    """Makes ``after`` the current refresh token, if ``before`` still is: of concurrent calls, one gets True."""
    return unit.change(_ADVANCE, sid=session_id, before=before, after=after, now=now) == 1


async def advance_at_once(store: TenantStore, seen: Principal, before: str, after: str, now: int) -> bool:
    """As :func:`advance`, in its own unit of work, of one statement. False also where session, user or client are not
    alive, or the client's settings are not as ``seen``, which may be from the cache."""
    changed = await store.change_one(
        _ADVANCE_ALIVE,
        sid=seen.session_id,
        of_user=seen.user_id,
        of_tenant=seen.tenant_id,
        ends_at=seen.ends_at,
        settings=seen.tenant_settings,
        before=before,
        after=after,
        now=now,
    )
    return changed == 1


def provider_of(unit: TenantUnit, session_id: str) -> int | None:
    """The provider that opened the session; None: none did."""
    return unit.first(_PROVIDER, sid=session_id)


def touch(unit: TenantUnit, session_id: str, now: int) -> None:
    """Renews the idle time of the session's cookie."""
    unit.change(_TOUCH, sid=session_id, now=now)


def proved_again(unit: TenantUnit, session_id: str, user_id: int, amr: tuple[Way, ...], at: int) -> bool:
    """Stores what the user of an open session proved anew, and when (milliseconds). False when it has ended."""
    unit.announce("session", session_id)
    return unit.change(_PROVED, sid=session_id, of_user=user_id, new_amr=" ".join(amr), at=at) == 1


# The list of a tenant's sessions, for their users and for those who manage users.
#
# Open ones and ended ones, without any credential.


class ListedSession(NamedTuple):
    """A session in the list."""

    id: str
    user_id: int
    method: str
    created_at: int
    ends_at: int
    last_used_at: int
    ended_at: int | None
    end_reason: str | None
    address: str
    user_agent: str
    amr: str
    authenticated_at: int | None
    app_id: str | None  # of a device's session: the app that holds it
    label: str | None  # and the device's name


_ALL_LISTED = select(*(ENDS_AT if name == "ends_at" else _S[name] for name in ListedSession._fields))
_LISTED = tenant_scoped(_ALL_LISTED.where(_S.id == bindparam("id")), ListedSession)
_NOW = bindparam("now", type_=BigInteger())
#: Filters take ``now``, ``of_user``, ``of_method`` and ``like`` (see :func:`manifest_auth.text.canonical.like`).
LISTING = Listing(
    _ALL_LISTED,
    ListedSession,
    key=_S.id,
    sorts={"ID": _S.id, "CREATED": _S.created_at},
    filters={
        "open": and_(_S.ended_at.is_(None), ENDS_AT > _NOW),
        "over": or_(_S.ended_at.is_not(None), ENDS_AT <= _NOW),
        "user": _S.user_id == bindparam("of_user"),
        "method": _S.method == bindparam("of_method"),
        "search": func.lower(_S.address + " " + _S.user_agent).like(bindparam("like"), escape="\\"),
    },
    narrow=("user",),
)


def find_listed(unit: TenantUnit, session_id: str) -> ListedSession | None:
    """A session of the tenant, open or not."""
    return unit.first(_LISTED, id=session_id)


def open_ones_of(user_id: int, now: int) -> Filters:
    """The filters for a user's open sessions."""
    return Filters("open", "user", of_user=user_id, now=now)


def list_open(unit: TenantUnit, user_id: int, now: int, limit: int) -> list[ListedSession]:
    """The open sessions of a user, newest first."""
    return LISTING.read(unit, limit, "", "CREATED_DESC", open_ones_of(user_id, now))[0]


# Sessions that come from a session: an app's, of the one in the browser.
#
# Such a session inherits what its parent has proved and when, its cap and its end, and ends with it (:mod:`.ends`). It
# has no cookie, has no children, and enrols no factor (:mod:`manifest_auth.tenants.step_up`).


#: Columns that a session has of its parent.
INHERITED: Final = columns(
    "tenant_id user_id method provider_id created_at ends_at amr authenticated_at role_cap device_ends_at idle_s "
    "device_id label"
)
#: Columns that are its own, from the exchange on, and those that are empty then.
_GIVEN: Final = columns(
    "id last_used_at address user_agent cookie_hash cookie_seen_at refresh_current refresh_changed_at"
)
OWN: Final = (*_GIVEN, "parent_id", "has_children", "ended_at", "end_reason", "refresh_previous", "app_id")
assert sorted((*INHERITED, *OWN)) == sorted(_S.keys()), "each column of sessions is inherited, or not: list it"

_COPIED = tuple(name for name in INHERITED if name != "tenant_id")  # which the statement's tenant is
_HOLD = tenant_scoped(
    update(sessions)
    .where(_S.id == bindparam("sid"), _S.user_id == bindparam("of_user"), _S.ended_at.is_(None))
    .where(bindparam("now") < ENDS_AT)
    .values(has_children=1)
)
_OPEN_CHILD = tenant_scoped(
    insert(sessions).from_select(
        ["parent_id", *_COPIED, *_GIVEN],
        select(
            _S.id,
            *(_S[name] for name in _COPIED),
            *(cast(bindparam(name), _S[name].type) for name in _GIVEN),
        ).where(_S.id == bindparam("of_parent")),
    )
)


def may_have_children(session: Principal) -> bool:
    """Whether other sessions may come from this one: from none of a device, and from none that came from another."""
    return not session.is_device and not session.has_parent


def hold(unit: SystemUnit, tenant_id: int, user_id: int, session_id: str, now: int) -> Principal | None:
    """The user's session, which is open and whose row is locked until the transaction ends, for :func:`open_child`.
    None: it has ended."""
    if not unit.of(tenant_id).change(_HOLD, sid=session_id, of_user=user_id, now=now):
        return None
    found = read(unit, session_id)
    return found if found is not None and found.is_alive(now) and may_have_children(found) else None


def open_child(unit: SystemUnit, request: Request, parent: Principal, random: Random) -> Opened:
    """Opens a session that comes from the ``parent``, which :func:`hold` returned."""
    now = request.now
    opened = Opened(random.text(16), "", random.text(12), parent.ends_at)
    unit.of(parent.tenant_id).change(
        _OPEN_CHILD,
        of_parent=parent.session_id,
        id=opened.session_id,
        last_used_at=now,
        address=request.address,
        user_agent=request.user_agent,
        cookie_hash=cookie_hash(random.text(32)),  # of a cookie that nobody gets
        cookie_seen_at=now,
        refresh_current=opened.refresh_id,
        refresh_changed_at=now,
    )
    return opened
