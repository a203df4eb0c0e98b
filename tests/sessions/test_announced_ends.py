"""Ends of sessions are announced, so that no other node keeps using its cached copy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from manifest_auth.store import Announcement
from tests.http.apps.relying import Relying, relying
from tests.support.accounts import act_on, new_client
from tests.support.application import App
from tests.support.forged_tokens import claims_of
from tests.support.matrix import matrix
from tests.support.people import Member, member, set_roles
from tests.support.rows import rows
from tests.support.visitor import Visitor


async def changed(web: Relying, _who: Member) -> None:
    await send(web, "PATCH", {"secondFactor": True})


async def removed(web: Relying, _who: Member) -> None:
    await send(web, "DELETE")


async def withdrawn(web: Relying, who: Member) -> None:
    visitor, path = Visitor(web.app, cookies={"session": who.cookie}), "/account/apps"
    page = await visitor.get(path)
    assert (await visitor.submit(page, path)).status == 303


async def role_lost(web: Relying, who: Member) -> None:
    await set_roles(web.app, web.client, who.id, "Operator")


async def deactivated(web: Relying, who: Member) -> None:
    await act_on(web.app, f"{web.client}/users/{who.id}/deactivate")


async def suspended(web: Relying, _who: Member) -> None:
    await act_on(web.app, f"{web.client}/suspend")


async def send(web: Relying, method: str, body: Any = None) -> None:
    path, token = f"/api/admin/clients/{web.client}/apps/{web.id}", await web.app.admin_token()
    assert (await web.app.send(method, path, body, token=token)).status == 200


@matrix("end", [changed, removed, withdrawn, role_lost, deactivated, suspended])
async def test_the_end_of_a_session_of_an_app_is_announced(
    app: App, end: Callable[[Relying, Member], Awaitable[None]]
) -> None:
    client = await new_client(app)
    who, web = await member(app, client, "Viewer"), await relying(app, client, roles=["Viewer"])
    access = (await web.tokens(Visitor(app), who.email))["access_token"]
    heard: list[Announcement] = []
    app.services.store.on_announcement(heard.append)
    await end(web, who)
    assert (await web.userinfo(access)).status == 401
    [(tenant,)] = await rows(app, "users", "tenant_id", id=who.id)
    names = {("session", claims_of(access)["sid"]), ("user", str(who.id)), ("tenant", str(tenant))}
    assert {(one.kind, str(one.key)) for one in heard} & names
