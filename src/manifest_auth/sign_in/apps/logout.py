"""Sign-out at an app's request (RP-Initiated Logout 1.0), and the notices to apps (Back-Channel Logout 1.0).

A notice is a row that is written in the same transaction as the app's session. It is due when that session ends, or the
browser session that it came from, for any reason. So no end is forgotten, and no notice is lost when a process is
killed. Only one process at a time sends a notice: it first moves the time of the next attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Select, bindparam, delete, func, insert, or_, select, update

from manifest_auth.accounts.apps import App
from manifest_auth.context import Principal
from manifest_auth.errors import ValidationError
from manifest_auth.runtime.outgoing import MOST_AT_ONCE
from manifest_auth.runtime.outgoing_guard import TooManyCalls, Unreachable
from manifest_auth.services import RequestContext, Services
from manifest_auth.sessions import app_sessions, tokens
from manifest_auth.sign_in.apps import authentication
from manifest_auth.sign_in.apps.authentication import Issuer
from manifest_auth.store import (
    Announcement,
    CrossTenant,
    Store,
    StoreUnavailable,
    TenantUnit,
    cross_tenant,
    tenant_scoped,
)
from manifest_auth.store.tables import apps as apps_table
from manifest_auth.store.tables import logout_notices, sessions, tenants


class Asked(NamedTuple):
    """A request to sign out. ``return_to`` is a listed address of the app, or empty. ``is_proved``: the request has an
    ID token of a session that came from this browser's session, so the user needn't confirm."""

    return_to: str
    state: str | None
    is_proved: bool


async def read(ctx: RequestContext, issuer: Issuer, given: Mapping[str, str], user: Principal | None) -> Asked:
    """Reads the request. ``user`` has this browser's session. Raises ValidationError for an address that is not
    listed."""
    hint = None
    if "id_token_hint" in given:
        hint = await tokens.read_id_token(ctx.services.keys, issuer.url, given["id_token_hint"])
    client_id = given.get("client_id", "" if hint is None else hint.aud)
    if hint is not None and hint.aud != client_id:
        raise ValidationError(details=[("client_id", "Must be the app of id_token_hint")])
    app = await authentication.find(ctx, issuer, client_id) if client_id else None
    address, state = given.get("post_logout_redirect_uri", ""), given.get("state")
    if address and (app is None or address not in app.post_logout_uris.split()):
        raise ValidationError(details=[("post_logout_redirect_uri", "Must be exactly a URI that the app lists")])
    is_proved = hint is not None and user is not None and await _is_of(ctx, user, hint.sid, app)
    return Asked(address, state, is_proved)


async def _is_of(ctx: RequestContext, user: Principal, session_id: str, app: App | None) -> bool:
    """Whether the app's session came from this browser's session."""
    origin = await ctx.services.store.of(user.tenant_id).read(lambda unit: app_sessions.origin_of(unit, session_id))
    return app is not None and origin == (user.session_id, app.id)


_parents = sessions.alias("parent")
_N, _S, _P, _A, _T = logout_notices.c, sessions.c, _parents.c, apps_table.c, tenants.c
_OF_NOTICE = (_N.session_id == bindparam("of_session"), _N.tries == bindparam("seen"))
_EXPECT = tenant_scoped(
    insert(logout_notices).values(
        {name: bindparam(name) for name in ("session_id", "parent_id", "user_id", "app_id", "due_at")}
    )
)
_TAKE, _PUT_BACK = (
    tenant_scoped(update(logout_notices).where(*_OF_NOTICE).values(tries=_N.tries + one, due_at=bindparam("next_at")))
    for one in (1, -1)
)
_DROP = tenant_scoped(delete(logout_notices).where(_OF_NOTICE[0]))
_KEEP = tenant_scoped(
    update(logout_notices).where(_OF_NOTICE[0]).values(tries=0, parent_id=_N.session_id, due_at=bindparam("next_at"))
)


class Notice(NamedTuple):
    """A notice to send. ``uri`` and ``algorithm`` are the app's current values; ``client`` is an identifier."""

    tenant_id: int
    session_id: str
    user_id: int
    app_id: str
    tries: int
    uri: str | None
    algorithm: str
    client: str


_OF_APP = (_A.tenant_id == _N.tenant_id) & (_A.id == _N.app_id)
_WITH_APP = logout_notices.join(apps_table, _OF_APP).join(tenants, _T.id == _N.tenant_id)
_NOTICE = select(
    *(_N[name] for name in ("tenant_id", "session_id", "user_id", "app_id", "tries")),
    _A.backchannel_uri,
    _A.id_token_alg,
    _T.identifier,
)


_NOW = bindparam("now", type_=BigInteger())
_WHY = "notices to the apps of all clients are sent"
_LIMIT = bindparam("limit", type_=BigInteger())


def _in_turn(which: Select[Any]) -> CrossTenant[Notice]:
    """Selects no more notices of a client than it can send immediately, starting with the first of each client."""
    place = func.row_number().over(partition_by=_N.tenant_id, order_by=(_N.due_at, _N.session_id))
    found = which.add_columns(place.label("place")).subquery()
    *columns, at = found.c
    chosen = select(*columns).where(at <= MOST_AT_ONCE).order_by(at).limit(_LIMIT)
    return cross_tenant(chosen, Notice, because=_WHY)


_DUE = _in_turn(_NOTICE.select_from(_WITH_APP).where(_N.due_at <= _NOW))
_OWN = (_S.tenant_id == _N.tenant_id) & (_S.id == _N.session_id)
_PARENT = (_P.tenant_id == _N.tenant_id) & (_P.id == _N.parent_id)


def _is_over(one: Any) -> Any:
    return or_(one.id.is_(None), one.ended_at.is_not(None), one.ends_at <= _NOW)


#: Milliseconds between attempts. If the sending process is killed, the next attempt follows within 5 s of the
#: session's end.
PAUSES_MS: Final = (4_000, 60_000, 600_000, 3_600_000)
#: Notices of sessions that ended early. This query reads all notices, so it runs only after an announcement. It also
#: finds notices that are due soon, which might have been put back.
_OVER = _in_turn(
    _NOTICE.select_from(_WITH_APP.outerjoin(sessions, _OWN).outerjoin(_parents, _PARENT)).where(
        _N.tries == 0, _N.due_at > _NOW + PAUSES_MS[0], or_(_is_over(_S), _is_over(_P))
    )
)


def expect(unit: TenantUnit, session_id: str, parent: Principal, app_id: str, due_at: int) -> None:
    """Schedules the notification of an app about the end of its session and of the ``parent``. ``due_at`` is the
    planned end."""
    unit.change_later(
        _EXPECT,
        session_id=session_id,
        parent_id=parent.session_id,
        user_id=parent.user_id,
        app_id=app_id,
        due_at=due_at,
    )


_OWES = cross_tenant(
    select(_N.tenant_id).join(tenants, _T.id == _N.tenant_id).where(_T.identifier == bindparam("identifier")).limit(1),
    int,
    because="an issuer's address names the client",
)


async def owes(store: Store, client: str) -> bool:
    """Whether notices of a client's issuer are pending. Apps need to verify them even if the client has no apps
    left."""
    return await store.look_up(_OWES, identifier=client) is not None


_LEASE_MS = 60_000  # for the last attempt
_EVERY_S, _ALL_EVERY = 3.5, 15  # seconds, and turns
TOGETHER_S: Final = 0.5  # groups ends that come together
_NEXT = cross_tenant(select(func.min(_N.due_at)).where(_N.due_at > _NOW), int, because=_WHY)
_BATCH, _MOST_UNDER_WAY = 50, 100
TOKEN_S: Final = 120
_EVENT = "http://schemas.openid.net/event/backchannel-logout"


def _claims(services: Services, notice: Notice) -> dict[str, Any]:
    now, random = services.clock.now_ms() // 1000, services.random
    return {
        "iss": tokens.app_issuer(services.settings.oauth_issuer, notice.client),
        "sub": str(notice.user_id),
        "aud": notice.app_id,
        "iat": now,
        "exp": now + TOKEN_S,
        "jti": random.text(16),
        "sid": notice.session_id,
        "events": {_EVENT: {}},
    }


def _settle(unit: TenantUnit, session_id: str, now: int) -> None:
    """Deletes the row. If only the parent has ended, keeps it until the session itself ends."""
    ends_at = app_sessions.ends_at_of(unit, session_id, now)
    unit.change(_DROP if ends_at is None else _KEEP, of_session=session_id, next_at=ends_at)


async def take_due(services: Services, *, ended: bool) -> list[Notice]:
    """Takes the notices that this process sends now. ``ended``: include sessions that ended early."""
    now, store = services.clock.now_ms(), services.store

    def read(unit: Any) -> list[Notice]:
        due: list[Notice] = unit.all(_DUE, now=now, limit=_BATCH)
        return due + (unit.all(_OVER, now=now, limit=_BATCH) if ended else [])

    taken = []
    for notice in dict.fromkeys(await store.read(read)):
        pause = PAUSES_MS[notice.tries] if notice.tries < len(PAUSES_MS) else _LEASE_MS
        values = {"of_session": notice.session_id, "seen": notice.tries, "next_at": now + pause}
        bound = store.of(notice.tenant_id)
        if notice.uri is None or notice.tries > len(PAUSES_MS):
            await bound.write_quickly(lambda unit: _settle(unit, notice.session_id, now))  # noqa: B023 - at once
        elif await bound.write_quickly(lambda unit: unit.change(_TAKE, **values)):  # noqa: B023 - at once
            taken.append(notice)
    return taken


async def pause_s(services: Services) -> float:
    """Returns the seconds until the next turn, so that the attempt of a killed process is repeated on time."""
    now = services.clock.now_ms()
    next_at = await services.store.read(lambda unit: unit.first(_NEXT, now=now))
    return _EVERY_S if next_at is None else min(_EVERY_S, max(0.0, (next_at - now) / 1000 - TOGETHER_S))


async def send(services: Services, notice: Notice) -> bool:
    """Makes one attempt. Success or the last attempt settles the row. Returns False, without counting an attempt, if
    other calls took all turns."""
    assert notice.uri is not None, "others are dropped"
    token = await tokens.mint_for_app(services.keys, notice.algorithm, _claims(services, notice), tokens.LOGOUT_TYPE)
    deadline, store = services.outgoing.deadline(notice.tenant_id), services.store.of(notice.tenant_id)
    try:
        reply = await services.outgoing.post_form(notice.uri, {"logout_token": token}, deadline=deadline)
        is_sent, why = reply.status in (200, 204), f"status {reply.status}"
    except TooManyCalls:
        seen, next_at = notice.tries + 1, services.clock.now_ms() + PAUSES_MS[0]
        values = {"of_session": notice.session_id, "seen": seen, "next_at": next_at}
        await store.write_quickly(lambda unit: unit.change(_PUT_BACK, **values))
        return False
    except Unreachable as error:
        is_sent, why = False, str(error)
    is_last = notice.tries >= len(PAUSES_MS)
    if is_sent or is_last:
        await store.write_quickly(lambda unit: _settle(unit, notice.session_id, services.clock.now_ms()))
    if not is_sent:
        told = {"client": notice.client, "app": notice.app_id, "tries": notice.tries + 1, "gives_up": is_last}
        services.log.warning("logout_notice_failed", **told, reason=why)
    return True


async def _try(services: Services, notice: Notice, woken: asyncio.Event) -> None:
    try:
        if await send(services, notice):
            woken.set()  # lets the client's next notice go
    except Exception:
        services.log.exception("logout_notice_failed", client=notice.client, app=notice.app_id)


async def run(services: Services) -> None:
    """Sends notices until canceled. The end of a session wakes it. It finds the notices of a killed process within a
    minute."""
    woken, turn, under_way = asyncio.Event(), 0, set[asyncio.Task[None]]()

    def hear(announcement: Announcement) -> None:
        if announcement.kind != "installation":
            woken.set()

    services.store.on_announcement(hear)
    try:
        while True:
            is_woken, pause = woken.is_set(), _EVERY_S
            woken.clear()
            try:
                if len(under_way) < _MOST_UNDER_WAY:
                    for notice in await take_due(services, ended=is_woken or turn % _ALL_EVERY == 0):
                        task = asyncio.create_task(_try(services, notice, woken))
                        under_way.add(task)
                        task.add_done_callback(under_way.discard)
                pause = await pause_s(services)
            except StoreUnavailable as error:
                services.log.info("logout_notices_failed", error=str(error))
            except Exception:
                services.log.exception("logout_notices_failed")
            turn += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await woken.wait()
            await asyncio.sleep(TOGETHER_S)
    finally:
        for task in under_way:
            task.cancel()
