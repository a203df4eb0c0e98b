"""Rows of sessions: opened by a sign-in or from another session, advanced by a refresh, listed, and ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import (
    BigInteger,
    Table,
    Update,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from manifest_auth.context import Principal, Request
from manifest_auth.errors import NotFound
from manifest_auth.runtime.clock import Random
from manifest_auth.sessions.principals import ENDS_AT, cookie_hash, read
from manifest_auth.store import (
    Filters,
    Listing,
    SystemUnit,
    TenantScoped,
    TenantStore,
    TenantUnit,
    among,
    columns,
    cross_tenant,
    numbers,
    tenant_condition,
    tenant_scoped,
)
from manifest_auth.store.tables import device_grants, sessions, sign_in_challenges, sign_in_codes, tenants, users
from manifest_auth.store.tables.devices import APPROVED, DENIED

# Only :mod:`manifest_auth.sign_in.second_factor.gate` creates a :class:`SessionProof`, so no session opens without a
# second factor that is due.

Way = Literal["pwd", "otp", "passkey", "recovery", "provider", "trusted", "link", "device", "badge", "pin", "mfa"]
#: Two factors were verified, or accepted from a provider.
MFA: Way = "mfa"


class SessionProof(NamedTuple):
    """The authentication of a session. ``amr``: the methods; ``at``: time of the last full authentication in
    milliseconds, or None if unknown."""

    amr: tuple[Way, ...]
    at: int | None

    @property
    def text(self) -> str:
        """The methods, as stored."""
        return " ".join(self.amr)


def ways_of(text: str) -> tuple[Way, ...]:
    """Returns the methods of stored text."""
    return tuple(text.split())  # type: ignore[arg-type]  # we alone write it


TOUCH_EVERY_MS = 60_000
_S = sessions.c


_NEW = columns(
    "id user_id method provider_id created_at ends_at last_used_at address user_agent cookie_hash cookie_seen_at "
    "refresh_current refresh_changed_at amr authenticated_at"
)
_OPEN = tenant_scoped(insert(sessions).values({name: bindparam(name) for name in _NEW}))


def advancing(table: Table) -> Update:
    """Creates the statement that advances the refresh token of a session, of users or of system admins. Of two
    concurrent uses of one token, only one succeeds."""
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
    """Makes ``after`` the current refresh token, if ``before`` still is. Only one of several concurrent calls gets
    True."""
    return unit.change(_ADVANCE, sid=session_id, before=before, after=after, now=now) == 1


async def advance_at_once(store: TenantStore, seen: Principal, before: str, after: str, now: int) -> bool:
    """Advances the token like :func:`advance`, in its own unit of work of one statement. Returns False also if session,
    user or client is not active, or the client's settings differ from ``seen``, which can come from the cache."""
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
    """Returns the provider that opened the session, or None."""
    return unit.first(_PROVIDER, sid=session_id)


def touch(unit: TenantUnit, session_id: str, now: int) -> None:
    """Renews the idle time of the session's cookie."""
    unit.change(_TOUCH, sid=session_id, now=now)


def proved_again(unit: TenantUnit, session_id: str, user_id: int, amr: tuple[Way, ...], at: int) -> bool:
    """Stores how the user of an open session re-authenticated, and when (milliseconds). Returns False if the session
    has ended."""
    unit.announce("session", session_id)
    return unit.change(_PROVED, sid=session_id, of_user=user_id, new_amr=" ".join(amr), at=at) == 1


class ListedSession(NamedTuple):
    """A session in a list."""

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
    app_id: str | None  # for a device session: the app that holds it
    label: str | None  # and the device's name


_ALL_LISTED = select(*(ENDS_AT if name == "ends_at" else _S[name] for name in ListedSession._fields))
_LISTED = tenant_scoped(_ALL_LISTED.where(_S.id == bindparam("id")), ListedSession)
_NOW = bindparam("now", type_=BigInteger())
_OF_USER, _OF_PROVIDER = _S.user_id == bindparam("of_user"), _S.provider_id == bindparam("of_provider")
#: Filters take ``now``, ``of_user``, ``of_method``, ``of_provider`` and ``like`` (see
#: :func:`manifest_auth.text.canonical.like`).
LISTING = Listing(
    _ALL_LISTED,
    ListedSession,
    key=_S.id,
    sorts={"ID": _S.id, "CREATED": _S.created_at},
    filters={
        "open": and_(_S.ended_at.is_(None), ENDS_AT > _NOW),
        "over": or_(_S.ended_at.is_not(None), ENDS_AT <= _NOW),
        "user": _OF_USER,
        "method": _S.method == bindparam("of_method"),
        "provider": _OF_PROVIDER,
        "search": func.lower(_S.address + " " + _S.user_agent).like(bindparam("like"), escape="\\"),
    },
    narrow=("user",),
)


_COUNT_OPEN = tenant_scoped(
    select(func.count()).select_from(sessions).where(among(_S.user_id, "ids"), _S.ended_at.is_(None), ENDS_AT > _NOW),
    int,
)


def count_open(unit: TenantUnit, ids: Sequence[int], now: int) -> int:
    """Returns the number of open sessions of these users."""
    return unit.one(_COUNT_OPEN, ids=numbers(ids), now=now)


def find_listed(unit: TenantUnit, session_id: str) -> ListedSession | None:
    """Returns a session of the tenant, open or not."""
    return unit.first(_LISTED, id=session_id)


def open_ones_of(user_id: int, now: int) -> Filters:
    """Returns the filters for a user's open sessions."""
    return Filters("open", "user", of_user=user_id, now=now)


def list_open(unit: TenantUnit, user_id: int, now: int, limit: int) -> list[ListedSession]:
    """Lists the open sessions of a user, newest first."""
    return LISTING.read(unit, limit, "", "CREATED_DESC", open_ones_of(user_id, now))[0]


# A session that comes from another inherits its parent's authentication, cap and end, and ends with it (:func:`end`),
# unless an app can keep it (:data:`OFFLINE`). It has no cookie, has no children, and enrolls no factor
# (:mod:`manifest_auth.tenants.step_up`).

#: Columns that a session inherits from its parent.
INHERITED: Final = columns(
    "tenant_id user_id method provider_id created_at ends_at amr authenticated_at role_cap device_ends_at idle_s "
    "device_id label"
)
#: Columns with the session's own values since the exchange, and those that start out empty.
_GIVEN: Final = columns(
    "id last_used_at address user_agent cookie_hash cookie_seen_at refresh_current refresh_changed_at"
)
OWN: Final = (
    *_GIVEN,
    *columns("parent_id has_children ended_at end_reason refresh_previous app_id app_scopes scopes"),
)
assert sorted((*INHERITED, *OWN)) == sorted(_S.keys()), "each column of sessions is inherited, or not: list it"

_COPIED = tuple(name for name in INHERITED if name != "tenant_id")  # the statement sets the other one
_HOLD = tenant_scoped(
    update(sessions)
    .where(_S.id == bindparam("sid"), _S.user_id == bindparam("of_user"), _S.ended_at.is_(None))
    .where(bindparam("now") < ENDS_AT)
    .values(has_children=1)
)


def _opening(*own: str) -> TenantScoped[Any]:
    """Creates the statement that opens a session from another. ``own``: columns that also have their own value."""
    given, copied = (*_GIVEN, *own), [name for name in _COPIED if name not in own]
    values = (*(_S[name] for name in copied), *(cast(bindparam(name), _S[name].type) for name in given))
    of_parent = select(_S.id, *values).where(_S.id == bindparam("of_parent"))
    return tenant_scoped(insert(sessions).from_select(["parent_id", *copied, *given], of_parent))


_OPEN_CHILD, _OPEN_OF_APP = _opening(), _opening("ends_at", "device_ends_at", "app_id", "app_scopes", "scopes")
#: With this scope, an app's session continues when its parent ends.
OFFLINE: Final = "offline_access"
_ENDS_WITH_PARENT = or_(_S.app_scopes.is_(None), not_(_S.app_scopes.like(f"%{OFFLINE}%")))


class AppHold(NamedTuple):
    """The session of an app. ``app_scopes``: the scopes that it was granted, separated by spaces; ``scopes``: bit mask
    of the permissions among them; ``ends_at``: milliseconds."""

    app_id: str
    app_scopes: str
    scopes: int
    ends_at: int


def may_have_children(session: Principal) -> bool:
    """Whether other sessions can come from this one. Device sessions and child sessions can't have children."""
    return not session.is_device and not session.has_parent


def hold(unit: SystemUnit, tenant_id: int, user_id: int, session_id: str, now: int) -> Principal | None:
    """Returns the user's session for :func:`open_child`, if it is open. Its row stays locked until the transaction
    ends. None if it has ended."""
    if not unit.of(tenant_id).change(_HOLD, sid=session_id, of_user=user_id, now=now):
        return None
    found = read(unit, session_id)
    return found if found is not None and found.is_alive(now) and may_have_children(found) else None


def open_child(
    unit: SystemUnit, request: Request, parent: Principal, random: Random, held: AppHold | None = None
) -> Opened:
    """Opens a session that comes from the ``parent``, which :func:`hold` returned. ``held``: an app holds it, limited
    to these scopes."""
    now = request.now
    opened = Opened(random.text(16), "", random.text(12), parent.ends_at if held is None else held.ends_at)
    # Programs that don't know the scopes treat it as ended.
    own = {} if held is None else {**held._asdict(), "device_ends_at": parent.created_at}
    unit.of(parent.tenant_id).change_later(
        _OPEN_CHILD if held is None else _OPEN_OF_APP,
        **own,
        of_parent=parent.session_id,
        id=opened.session_id,
        last_used_at=now,
        address=request.address,
        user_agent=request.user_agent,
        cookie_hash=cookie_hash(random.text(32)),  # for a cookie that is never sent
        cookie_seen_at=now,
        refresh_current=opened.refresh_id,
        refresh_changed_at=now,
    )
    return opened


# Ends sessions, with all their keys, on every node. Sessions that came from them end too (:func:`open_child`).
#
# Code that ends sessions of a user or a provider waits for an exchange in progress, and then sees its session, because
# it voids the code first, or its caller holds the row of the user or provider.

_ENDING: dict[str, Any] = {"ended_at": bindparam("now"), "end_reason": bindparam("reason")}


class SessionOver(NotFound):
    """The user's session has already ended, which is what the caller wanted."""


def ending(table: Table) -> Update:
    """Creates the statement that ends a session, of a user or of a system admin, unless it has already ended."""
    return update(table).where(table.c.id == bindparam("sid"), table.c.ended_at.is_(None)).values(_ENDING)


def _ending_all(*which: Any) -> TenantScoped[Any]:
    return tenant_scoped(update(sessions).where(*which, _S.ended_at.is_(None)).values(_ENDING))


_END = tenant_scoped(ending(sessions).returning(_S.user_id, _S.has_children))


def _ending_children(*which: Any) -> TenantScoped[str]:
    of_parent = (_S.user_id == bindparam("of_user"), _S.parent_id == bindparam("of_parent"))
    ended = update(sessions).where(*of_parent, *which, _S.ended_at.is_(None)).values(_ENDING)
    return tenant_scoped(ended.returning(_S.id), str)


_END_CHILDREN, _END_BOUND_CHILDREN = _ending_children(), _ending_children(_ENDS_WITH_PARENT)
#: Reasons after which a session with offline access continues, because the user only left the browser.
_LEFT = ("signed_out", "replaced")
#: A child session is not spared, since its parent ends.
_BUT = or_(_S.id != bindparam("but"), _S.parent_id.is_not(None))
_END_USER, _END_USER_AT_PROVIDER = _ending_all(_OF_USER, _BUT), _ending_all(_OF_PROVIDER, _OF_USER, _BUT)
_END_TENANT, _END_PROVIDER = _ending_all(), _ending_all(_OF_PROVIDER)


def _void(column: str = "") -> tuple[TenantScoped[Any], TenantScoped[Any], TenantScoped[Any]]:
    """Creates the statements that void what can still become a session, if that ``column`` of the rows is ``of``:
    one-time codes, sign-ins that wait for their second factor, and approved devices that haven't collected their
    tokens. Used rows stay, so that a second use is noticed."""
    codes, challenges, grants = sign_in_codes, sign_in_challenges, device_grants

    def whose(table: Table) -> tuple[Any, ...]:
        return (table.c[column] == bindparam("of"),) if column else ()

    return (
        tenant_scoped(delete(codes).where(codes.c.used_at.is_(None), *whose(codes))),
        tenant_scoped(delete(challenges).where(challenges.c.used_at.is_(None), *whose(challenges))),
        tenant_scoped(update(grants).where(grants.c.state == APPROVED, *whose(grants)).values(state=DENIED)),
    )


_VOID_USERS, _VOID_PROVIDERS, _VOID_ALL = _void("user_id"), _void("provider_id"), _void()
_MOST = _S.created_at + bindparam("most")
_IS_DEVICES = and_(_S.device_ends_at.is_not(None), _S.app_scopes.is_(None))
_SHORTEN = tenant_scoped(
    update(sessions)
    .where(_S.ended_at.is_(None), ENDS_AT > _MOST, _ENDS_WITH_PARENT)
    .values(
        ends_at=case((_IS_DEVICES, _S.ends_at), else_=_MOST),
        device_ends_at=case((_IS_DEVICES, _MOST), else_=_S.device_ends_at),
    )
)
_OLDER = tenant_scoped(
    select(func.count())
    .select_from(sessions)
    .where(_S.ended_at.is_(None), bindparam("now") < ENDS_AT, _S.created_at <= bindparam("before"))
    .where(_ENDS_WITH_PARENT),
    int,
)
_OTHER = cross_tenant(
    select(_S.tenant_id, _S.user_id, _S.id).where(_S.cookie_hash == bindparam("cookie_hash"), _S.ended_at.is_(None)),
    because="a sign-in ends the session of the cookie that was sent with it, in any tenant",
)


def end(unit: TenantUnit, session_id: str, reason: str, now: int) -> bool:
    """Ends one session. Returns False if it had already ended."""
    unit.announce("session", session_id)
    ended = unit.first(_END, sid=session_id, reason=reason, now=now)
    if ended is not None and ended[1]:
        statement = _END_BOUND_CHILDREN if reason in _LEFT else _END_CHILDREN
        for child in unit.all(statement, of_user=ended[0], of_parent=session_id, reason=reason, now=now):
            unit.announce("session", child)
    return ended is not None


def end_one(unit: TenantUnit, user_id: int, session_id: str, reason: str, now: int) -> None:
    """Ends a user's session. ``now``: milliseconds. Raises NotFound for a session that is not the user's, and
    SessionOver for one that has ended or expired."""
    found = find_listed(unit, session_id)
    if found is None or found.user_id != user_id:
        raise NotFound()
    if found.ends_at <= now or not end(unit, session_id, reason, now):
        raise SessionOver()


def end_by_cookie(
    unit: SystemUnit, cookie: str, now: int, reason: str = "replaced"
) -> tuple[TenantUnit, int, str] | None:
    """Ends the session of a cookie that came with a sign-in or sign-out, if it is valid. Returns its client, user, and
    ID. ``now``: milliseconds."""
    row = unit.first(_OTHER, cookie_hash=cookie_hash(cookie))
    if row is None:
        return None
    tenant_id, user_id, session_id = row
    bound = unit.of(tenant_id)
    return (bound, user_id, session_id) if end(bound, session_id, reason, now) else None


def end_all(
    unit: TenantUnit, user_id: int, reason: str, now: int, *, but: str = "", pending: bool = True, at: int | None = None
) -> int:
    """Ends all sessions of a user, except ``but``. ``pending``: also void what can become a session later; ``at``: only
    sessions that this provider opened. Returns the number of ended sessions."""
    unit.announce("user", user_id)
    if pending:
        void_pending(unit, user_id)
    if at is None:
        return unit.change(_END_USER, of_user=user_id, but=but, reason=reason, now=now)
    return unit.change(_END_USER_AT_PROVIDER, of_user=user_id, of_provider=at, but=but, reason=reason, now=now)


def end_tenant(unit: TenantUnit, reason: str, now: int) -> int:
    """Ends all sessions of the tenant. Returns the number of ended sessions."""
    unit.announce("tenant", unit.tenant_id)
    return _twice(unit, _END_TENANT, reason=reason, now=now)


def end_provider(unit: TenantUnit, provider_id: int, reason: str, now: int) -> int:
    """Ends all sessions that a provider of the tenant opened. Returns the number of ended sessions."""
    unit.announce("tenant", unit.tenant_id)
    return unit.change(_END_PROVIDER, of_provider=provider_id, reason=reason, now=now)


def void_pending(unit: TenantUnit, user_id: int | None = None) -> None:
    """Voids what can still become a session, for one user or all users of the tenant: unused one-time codes, sign-ins
    that wait for their second factor, and approved devices that haven't collected their tokens."""
    for statement in _VOID_ALL if user_id is None else _VOID_USERS:
        unit.change(statement, **({} if user_id is None else {"of": user_id}))


def void_pending_of_provider(unit: TenantUnit, provider_id: int) -> None:
    """Voids the same as :func:`void_pending`, for all users of a provider."""
    for statement in _VOID_PROVIDERS:
        unit.change(statement, of=provider_id)


def shorten(unit: TenantUnit, most_s: int) -> int:
    """Limits every open session of the tenant to ``most_s`` seconds from its sign-in. Returns the number of shortened
    sessions."""
    unit.announce("tenant", unit.tenant_id)
    return _twice(unit, _SHORTEN, most=most_s * 1000)


def older(unit: TenantUnit, most_s: int, now: int) -> int:
    """Returns the number of open sessions of the tenant that :func:`shorten` would end immediately."""
    return unit.one(_OLDER, before=now - most_s * 1000, now=now)


def _twice(unit: TenantUnit, statement: TenantScoped[Any], **values: Any) -> int:
    """Changes sessions of the tenant twice, because the first change might have waited for an exchange, without seeing
    its session. Returns how many were changed."""
    return sum(unit.change(statement, **values) for _ in range(2))
