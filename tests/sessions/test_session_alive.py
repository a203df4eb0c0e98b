"""A session is valid as long as it, its user, and its client are; each condition is checked on its own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, bindparam, update

from manifest_auth import sessions
from manifest_auth.store import cross_tenant, tables
from manifest_auth.store.statements import CrossTenant
from tests.support.accounts import keys_of, new_client, new_user
from tests.support.application import PASSWORD, App
from tests.support.forged_tokens import claims_of
from tests.support.matrix import matrix


@matrix(
    ("changed", "alive"),
    [
        ({}, True),
        ({"ended_at": 1}, False),
        ({"deactivated_at": 1}, False),
        ({"suspended_at": 1}, False),
        ({"ended_at": 2**60}, False),  # the existence of an end matters, not its value
        ({"deactivated_at": 2**60}, False),
        ({"suspended_at": 2**60}, False),
    ],
)
async def test_one_that_says_no_is_enough(app: App, changed: dict[str, Any], alive: bool) -> None:
    session_id = claims_of((await keys_of(app)).token)["sid"]
    found = await app.services.store.read(lambda unit: sessions.read(unit, session_id))
    assert found is not None
    assert found._replace(**changed).is_alive(app.clock.ms) is alive


async def test_it_ends_at_its_end_and_not_before(app: App) -> None:
    session_id = claims_of((await keys_of(app)).token)["sid"]
    found = await app.services.store.read(lambda unit: sessions.read(unit, session_id))
    assert found is not None
    assert [found.is_alive(found.ends_at + ms) for ms in (-1, 0, 1)] == [True, False, False]


async def test_the_refresh_tokens_of_a_session_that_ended_go_no_further(app: App) -> None:
    """The statement itself decides, so an earlier check isn't enough."""
    session_id = claims_of((await keys_of(app)).token)["sid"]
    found, chain = await sessions.look_up_with_chain(app.services.store, session_id)
    assert found is not None
    tenant, before = app.services.store.of(found.tenant_id), chain.current

    async def advanced(after: str, current: str) -> bool:
        at_once = await sessions.advance_at_once(tenant, found, current, after, app.clock.ms)
        again = await tenant.write(lambda unit: sessions.advance(unit, session_id, current, after, app.clock.ms))
        return at_once or again

    assert await advanced("A" * 16, before)
    assert not await advanced("B" * 16, before)  # of the replaced token
    assert await tenant.write(lambda unit: sessions.end(unit, session_id, "ended", app.clock.ms))
    assert not await advanced("B" * 16, "A" * 16)


def _since(table: Table, key: str, **values: Any) -> CrossTenant[Any]:
    change = update(table).where(table.c.id == bindparam(key)).values(values)
    return cross_tenant(change, because="a test does what another node did")


#: Changes that another node might have committed since this one read the session, but hasn't announced yet.
SINCE = {
    "the session ended": _since(tables.sessions, "sid", ended_at=1),
    "it ends at another time": _since(tables.sessions, "sid", ends_at=2**52),
    "the user is deactivated": _since(tables.users, "uid", deactivated_at=1),
    "the client is suspended": _since(tables.tenants, "tid", suspended_at=1),
    "the client has other rules": _since(tables.tenants, "tid", settings="{}"),
}


@matrix("since", SINCE)
async def test_a_refresh_by_what_is_remembered_believes_nothing_of_it(app: App, since: str) -> None:
    client = await new_client(app)
    _, email = await new_user(app, client, password=PASSWORD)
    session_id = claims_of((await keys_of(app, email, client=client)).token)["sid"]
    seen, chain = await sessions.look_up_with_chain(app.services.store, session_id)
    assert seen is not None
    store = app.services.store.of(seen.tenant_id)
    assert await sessions.advance_at_once(store, seen, chain.current, "A" * 16, app.clock.ms)
    await app.services.store.write(
        lambda unit: unit.change(SINCE[since], sid=session_id, uid=seen.user_id, tid=seen.tenant_id)
    )
    assert not await sessions.advance_at_once(store, seen, "A" * 16, "B" * 16, app.clock.ms)
