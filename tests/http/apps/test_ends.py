"""Changes to the user or the app that end the app's sessions."""

from __future__ import annotations

import pytest

from tests.http.apps.relying import relying, told
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.people import member, set_roles
from tests.support.rules import rule
from tests.support.visitor import Visitor

OFFLINE = "openid offline_access"
SCOPES = OFFLINE.split()


@pytest.fixture
async def client(app: App) -> str:
    """A client for one test."""
    return await new_client(app)


@rule("APP-ENDS")
async def test_losing_the_role_ends_the_apps_session(app: App, client: str) -> None:
    everyone = await relying(app, client, scopes=SCOPES)
    web = await relying(app, client, scopes=SCOPES, roles=["Publisher", "Author"])
    person, visitor = await member(app, client, "Publisher", "Author"), Visitor(app)
    got = await web.tokens(visitor, person.email, scope=OFFLINE)
    kept = await everyone.tokens(visitor)
    await set_roles(app, client, person.id, "Author")
    assert (await web.userinfo(got["access_token"])).status == 200
    await set_roles(app, client, person.id, "Viewer")
    assert (await web.userinfo(got["access_token"])).status == 401
    await set_roles(app, client, person.id, "Author")
    assert (await web.refresh(got["refresh_token"])).json["error"] == "invalid_grant"
    assert (await everyone.userinfo(kept["access_token"])).status == 200


@rule("APP-ENDS")
@matrix("change", [{"secondFactor": True}, {"consent": True}, {"scopes": ["openid"]}, {"roles": ["Viewer"]}, None])
async def test_a_code_is_void_after_the_app_or_the_role_changes(
    app: App, client: str, change: dict[str, object] | None
) -> None:
    web = await relying(app, client, scopes=SCOPES, roles=["Publisher"])
    person, visitor = await member(app, client, "Publisher", "Viewer"), Visitor(app)
    code = told(await web.sign_in(visitor, person.email, scope=OFFLINE))
    if change is None:
        await set_roles(app, client, person.id, "Viewer")
    else:
        path = f"/api/admin/clients/{client}/apps/{web.id}"
        check_success(await app.send("PATCH", path, change, token=await app.admin_token()))
    assert (await web.redeem(code)).json["error"] == "invalid_grant"


@rule("APP-ENDS")
@matrix(
    ("change", "ends"),
    [
        ({"secondFactor": True}, True), ({"consent": True}, True), ({"scopes": ["openid"]}, True),
        ({"roles": ["Viewer"]}, True), ({"name": "Other"}, False), ({"scopes": [*SCOPES, "email"]}, False),
    ],
)  # fmt: skip
async def test_requiring_more_of_users_ends_the_apps_sessions(
    app: App, client: str, change: dict[str, object], ends: bool
) -> None:
    web = await relying(app, client, scopes=SCOPES)
    person, visitor = await member(app, client), Visitor(app)
    got = await web.tokens(visitor, person.email, scope=OFFLINE)
    path = f"/api/admin/clients/{client}/apps/{web.id}"
    check_success(await app.send("PATCH", path, change, token=await app.admin_token()))
    assert (await web.userinfo(got["access_token"])).status == (401 if ends else 200)
    assert ((await web.refresh(got["refresh_token"])).status == 200) != ends
