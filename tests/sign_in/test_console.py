"""A system admin's session on the pages of the installation, with a cookie that works only there and expires soon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select

from manifest_auth import tenants
from manifest_auth.accounts.admins import management
from manifest_auth.clients import client_lifecycle
from manifest_auth.context import Origin
from manifest_auth.errors import (
    AccountDisabled,
    InvalidCredentials,
    InvalidToken,
    LicenseInvalid,
    MfaRequired,
    RateLimited,
    ReauthenticationRequired,
    TokenExpired,
    Unauthenticated,
)
from manifest_auth.maintenance import installation_state, licence_watch, signing_keys
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_accounts, admin_sign_in
from manifest_auth.sign_in.admin_accounts import Credentials
from manifest_auth.store import SystemUnit, global_
from manifest_auth.store.tables import admin_sessions
from tests.support.accounts import new_client
from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.system_admins import SystemAdmin, another, enrolled, events, signed_in_admin, store_networks

MINUTE = 60
_ROWS = global_(select(admin_sessions))


@pytest.fixture
async def me(app: App) -> SystemAdmin:
    """A system admin that no other test uses, on another day."""
    app.clock.advance(2 * 86_400)
    return await another(await signed_in_admin(app))


def request(app: App) -> RequestContext:
    """A request from a browser."""
    return RequestContext(app.services, "r-1", "192.0.2.1", "Firefox")


async def opened(of: SystemAdmin, otp: str | None = None, shown: str | None = None) -> str:
    """The cookie of a new session."""
    return (await admin_sign_in.sign_in(request(of.app), of.username, PASSWORD, otp, shown or "")).cookie


async def signed_in(app: App, cookie: str | None) -> RequestContext:
    """A request with this cookie."""
    ctx = request(app)
    ctx.caller = await admin_sign_in.identify(ctx, cookie)
    return ctx


async def test_the_cookie_says_who_it_is_and_is_stored_nowhere(me: SystemAdmin) -> None:
    cookie = await opened(me)
    assert len(cookie) == 43  # 256 bits
    ctx = await signed_in(me.app, cookie)
    assert (ctx.admin.admin_id, ctx.admin.username, ctx.admin.limited) == (me.id, me.username, False)
    rows = await me.app.services.store.read(lambda unit: unit.all(_ROWS))
    assert cookie not in str(rows)


async def test_it_opens_nothing_of_the_admin_plane_or_of_clients(me: SystemAdmin) -> None:
    cookie = await opened(me)
    for name in ("admin", "__Host-admin", "session"):
        headers = {"Cookie": f"{name}={cookie}"}
        for path in ("/api/admin/clients", "/api/admin/auth/me", "/api/admin/settings"):
            check_refusal(await me.app.get(path, headers=headers), 401, "UNAUTHENTICATED")
        answer = await me.app.get("/api/client/auth/me", headers=headers)
        check_refusal(answer, 401, "INVALID_TOKEN" if name == "session" else "UNAUTHENTICATED")
    for path in ("/api/admin/clients", "/api/client/auth/me"):
        check_refusal(await me.app.get(path, token=cookie), 401, "INVALID_TOKEN")
    check_refusal(await me.app.post("/api/admin/auth/refresh", {"refreshToken": cookie}), 401, "INVALID_TOKEN")


async def test_a_bearer_or_a_users_cookie_is_no_such_cookie(me: SystemAdmin) -> None:
    user = (await me.app.sign_in("admin@acme.example")).cookie("session")
    for shown in (me.token, user, "x" * 43, ""):
        with pytest.raises(InvalidToken):
            await signed_in(me.app, shown)
    with pytest.raises(Unauthenticated):
        await signed_in(me.app, None)


async def test_it_dies_after_half_an_hour_without_use(me: SystemAdmin) -> None:
    cookie = await opened(me)
    for _ in range(3):
        me.app.clock.advance(29 * MINUTE)
        await signed_in(me.app, cookie)
    me.app.clock.advance(30 * MINUTE)
    with pytest.raises(TokenExpired):
        await signed_in(me.app, cookie)


async def test_it_dies_after_twelve_hours_however_it_is_used(me: SystemAdmin) -> None:
    cookie = await opened(me)
    for _ in range(12 * 3 - 1):
        me.app.clock.advance(20 * MINUTE)
        await signed_in(me.app, cookie)
    me.app.clock.advance(20 * MINUTE)
    with pytest.raises(TokenExpired):
        await signed_in(me.app, cookie)


async def test_it_ends_with_sign_out_with_the_admin_and_with_all_sessions(me: SystemAdmin) -> None:
    app = me.app
    ctx = await signed_in(app, cookie := await opened(me))
    await admin_sign_in.sign_out(ctx)
    root = await signed_in_admin(app)
    others = []
    for method, path in (("DELETE", "sessions"), ("POST", "disable")):
        others.append(await opened(me))
        await signed_in(app, others[-1])
        check_success(await root.send(method, f"/api/admin/admins/{me.id}/{path}"))
    for ended in (cookie, *others):
        with pytest.raises(InvalidToken):
            await signed_in(app, ended)
    with pytest.raises(AccountDisabled):
        await opened(me)


async def test_a_cookie_that_came_along_is_not_adopted_and_its_session_ends(me: SystemAdmin) -> None:
    old = await opened(me)
    new = await opened(me, shown=old)
    assert new != old
    with pytest.raises(InvalidToken):
        await signed_in(me.app, old)
    await signed_in(me.app, new)
    assert await opened(me, shown="planted") != "planted"


async def test_it_is_in_the_audit_trail_as_any_sign_in(me: SystemAdmin) -> None:
    await opened(me)
    event, actor, subject, detail = (await events(me.app))[-1]
    assert (event, actor, subject) == ("signed_in", "anonymous", f"admin:{me.id}")
    assert (detail["method"], detail["second_factor"]) == ("admin", "")


async def test_a_wrong_password_opens_nothing_and_is_counted(me: SystemAdmin) -> None:
    for _ in range(5):
        with pytest.raises(InvalidCredentials):
            await admin_sign_in.sign_in(request(me.app), me.username, "wrong-password-here", shown="")
    with pytest.raises(RateLimited):
        await admin_sign_in.sign_in(request(me.app), me.username, "wrong-password-here", shown="")
    ctx = RequestContext(me.app.services, "r", "198.51.100.7", "")
    with pytest.raises(InvalidCredentials):
        await admin_sign_in.sign_in(ctx, "nobody-at-all", PASSWORD, shown="")


async def test_where_there_is_a_second_factor_a_code_is_needed_immediately_or_afterward(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    with pytest.raises(MfaRequired) as due:
        await opened(me)
    with pytest.raises(MfaRequired):
        await admin_sign_in.continue_sign_in(request(me.app), due.value.challenge, phone.wrong(), "")
    gone_on = await admin_sign_in.continue_sign_in(request(me.app), due.value.challenge, phone.code(), "")
    assert (await signed_in(me.app, gone_on.cookie)).admin.admin_id == me.id
    with pytest.raises(InvalidToken):
        await admin_sign_in.continue_sign_in(request(me.app), due.value.challenge, phone.code(1), "")
    me.app.clock.advance(60)
    await signed_in(me.app, await opened(me, phone.code()))


async def test_who_needs_a_second_factor_and_has_none_is_limited(me: SystemAdmin) -> None:
    root = await another(await signed_in_admin(me.app))
    await enrolled(root)
    check_success(await root.send("PATCH", "/api/admin/settings", {"secondFactorRequired": True}))
    try:
        assert (await signed_in(me.app, await opened(me))).admin.limited is True
    finally:
        check_success(await root.send("PATCH", "/api/admin/settings", {"secondFactorRequired": False}))


async def _write(ctx: RequestContext, work: Callable[[SystemUnit], Any]) -> Any:
    return await ctx.services.store.write(work)


def _deciding() -> dict[str, Callable[[RequestContext, str, int], Awaitable[Any]]]:
    """Actions that a stolen cookie must not allow, given a client's identifier and another admin's number."""

    def delete(ctx: RequestContext, client: str, _admin: int) -> Awaitable[Any]:
        def work(unit: SystemUnit) -> Any:
            return client_lifecycle.mark_for_deletion(unit, ctx, tenants.get_named(unit, client, lock=True), ctx.now)

        return _write(ctx, work)

    def install(ctx: RequestContext, _client: str, _admin: int) -> Awaitable[Any]:
        return licence_watch.install(ctx, "no licence")

    return {
        "delete a client": delete,
        "make an admin": lambda ctx, client, _: _write(ctx, lambda u: management.create(u, ctx, client, "hash")),
        "disable one": lambda ctx, _, admin: _write(ctx, lambda u: management.disable(u, ctx, admin)),
        "sign one out": lambda ctx, _, admin: _write(ctx, lambda u: management.sign_out_all(u, ctx, admin)),
        "reset a password": lambda ctx, _, admin: _write(
            ctx, lambda u: management.reset_password(u, ctx, admin, "hash")
        ),
        "rotate keys": lambda ctx, *_: _write(ctx, lambda u: signing_keys.rotate(u, ctx, ctx.services.keys)),
        "narrow the addresses": lambda ctx, *_: _write(
            ctx, lambda u: installation_state.change_settings(u, ctx, None, "")
        ),
        "install a licence": install,
    }


@matrix("name", _deciding())
async def test_what_decides_needs_password_and_code_of_the_last_ten_minutes(me: SystemAdmin, name: str) -> None:
    app, act = me.app, _deciding()[name]
    client, other = await new_client(app), await another(me)
    cookie = await opened(me)
    app.clock.advance(10 * MINUTE)
    with pytest.raises(ReauthenticationRequired):
        await act(await signed_in(app, cookie), client, other.id)
    with pytest.raises(InvalidCredentials):
        await admin_accounts.reauthenticate(await signed_in(app, cookie), Credentials("wrong-password-here", None))
    with pytest.raises(ReauthenticationRequired):
        await act(await signed_in(app, cookie), client, other.id)
    await admin_accounts.reauthenticate(await signed_in(app, cookie), Credentials(PASSWORD, None))
    app.clock.advance(10 * MINUTE - 1)
    try:
        await act(await signed_in(app, cookie), client, other.id)
    except LicenseInvalid:
        assert name == "install a licence"


async def test_the_code_too_is_asked_for_again(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    ctx = await signed_in(me.app, await opened(me, phone.code()))
    me.app.clock.advance(30)
    with pytest.raises(InvalidCredentials) as wrong:
        await admin_accounts.reauthenticate(ctx, Credentials(PASSWORD, None))
    assert [field for field, _ in wrong.value.details] == ["otp"]
    await admin_accounts.reauthenticate(ctx, Credentials(PASSWORD, phone.code()))


async def test_the_command_line_is_not_asked(app: App) -> None:
    origin = Origin(app.clock.now_ms(), "system", "", "cli")
    await app.services.store.write(lambda unit: signing_keys.rotate(unit, origin, app.services.keys))


async def test_the_pages_are_hidden_from_other_addresses_as_the_plane_is(app: App) -> None:
    await store_networks(app, "198.51.100.0/24")
    try:
        for path in ("/installation", "/installation/sign-in", "/api/admin/auth/me"):
            refused = await app.get(path)
            check_refusal(refused, 404, "NOT_FOUND")
    finally:
        await store_networks(app, "")


@matrix(
    ("address", "is_served"),
    [("https://auth.example.com", True), ("http://localhost:8080", True), ("http://127.0.0.1:8080", True),
     ("http://[::1]:8080", True), ("http://auth.internal:8080", False), ("http://192.0.2.7:8080", False)],
)  # fmt: skip
def test_on_plain_http_there_is_a_console_for_this_machine_alone(address: str, is_served: bool) -> None:
    from manifest_auth.accounts.admins.management import is_served as served
    from manifest_auth.runtime.settings import load

    settings = load({"MANIFEST_PUBLIC_URL": address, "MANIFEST_INSECURE_PUBLIC_URL": "allowed"})
    assert served(settings) is is_served
