"""Apps with access to the account: the permissions of each, and how to revoke them."""

from __future__ import annotations

import json

import pytest

from tests.http.apps.relying import relying
from tests.http.pages.account.account_pages import person
from tests.support.accounts import new_client, trail
from tests.support.application import App
from tests.support.people import member
from tests.support.rows import add_row, rows
from tests.support.visitor import Visitor

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
PATH = "/account/apps"


async def test_its_session_and_its_site_have_its_name(app: App) -> None:
    client = await new_client(app)
    web = await relying(app, client, name="Reports")
    await relying(app, client, name="For authors", callback="https://authors.example/", roles=["Author"])
    user, admin = await member(app, client), await member(app, client, "Admin")
    visitor = Visitor(app)
    await web.tokens(visitor, user.email)
    page = await visitor.get("/account/sessions")
    assert "End: Reports, " in page.reply.text
    shown = (await Visitor(app, {"session": admin.cookie}).get(f"/console/users/{user.id}")).text
    assert "Reports" in shown
    links = (await visitor.get("/account")).links()
    assert (links["Open Reports"], "Open For authors" in links) == ("https://reports.example/", False)


async def test_a_user_sees_and_removes_the_access_of_an_app(app: App) -> None:
    client = await new_client(app)
    ada, eve = await person(app, client), await person(app, client)
    assert "No app has access" in (await ada.visitor.get(PATH)).text
    web = {"name": "Reports", "kind": "web", "redirectUris": ["https://a.example/"]}
    made = (await app.post(f"/api/admin/clients/{client}/apps", web, token=await app.admin_token())).data["id"]
    [(tenant,)] = await rows(app, "users", "tenant_id", id=ada.id)
    for one in (ada, eve):
        await add_row(
            app, "app_grants", tenant_id=tenant, user_id=one.id, app_id=made, scopes="openid email jobs:read",
            given_at=app.clock.now_ms(), last_used_at=app.clock.now_ms(),
        )  # fmt: skip
    page = await ada.visitor.get(PATH)
    for text in ("Reports", "View your email address", "View jobs"):
        assert text in page.text
    sent = await ada.visitor.post(PATH, page.form(PATH).fields)
    assert "no longer has access" in (await ada.visitor.follow(sent)).text
    assert await rows(app, "app_grants", "user_id", app_id=made) == [(eve.id,)]
    [event] = [one for one in await trail(app, client) if one.event == "consent_withdrawn"]
    detail = json.loads(event.detail)
    assert (event.subject, detail["app"], detail["sessions_ended"]) == (f"user:{ada.id}", made, 0)
