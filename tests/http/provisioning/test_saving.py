"""Changed settings of a connection take effect immediately, and its page shows how it is used."""

from __future__ import annotations

import pytest

from tests.http.scim.connecting import connect, failed
from tests.support.application import App
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_store


async def test_roles_follow_the_settings_and_the_page_shows_the_use(app: App) -> None:
    it = await connect(app)
    first, second = await it.user("ann@one.example"), await it.user("ben@one.example")
    await it.group("Line leads", first)
    await it.set_up(groupRoles=[{"group": "Line leads", "roles": ["Operator"]}])
    assert (await it.roles(first), await it.roles(second)) == ({"Viewer", "Operator"}, {"Viewer"})
    await it.set_up(groupRoles=[], defaultRoles=["Author"])
    assert (await it.roles(first), await it.roles(second)) == ({"Author"}, {"Author"})
    before = app.sample("manifest_scim_failures_total") or 0
    assert failed(await it.send("GET", "/Users?filter=userName")) == (400, "invalidFilter")
    assert app.sample("manifest_scim_failures_total") == before + 1
    assert (app.sample("manifest_scim_request_timestamp_seconds") or 0) > 0
    shown = (await app.get("/api/client/scim/okta", token=it.admin.token)).data
    assert shown["lastCallAt"] is not None
    assert (shown["failures"], shown["lastFailure"].startswith("400")) == (1, True)
    visitor = Visitor(app, {"session": it.admin.cookie})
    page = await visitor.get("/console/scim/okta")
    assert shown["lastFailure"] in page.text
    form = page.form("/console/scim/okta", act="change").fields
    saved = await visitor.post("/console/scim/okta", form | {"groupRoles": "Line leads: Operator", "roleViewer": "on"})
    assert saved.status == 303, saved.text
    assert await it.roles(first) == {"Author", "Operator", "Viewer"}
    form = (await visitor.get("/console/scim/okta")).form("/console/scim/okta", act="change").fields
    wrong = await visitor.post("/console/scim/okta", form | {"groupRoles": "a: Operator\nLine leads"})
    assert (wrong.status, "Line 2" in wrong.text) == (400, True)
    user = await visitor.get(f"/console/users/{first}")
    assert "The SCIM connection okta manages" in user.text
    at = f"/console/users/{first}"
    released = await visitor.post(at, user.form(at, act="release").fields | {"confirmed": "yes"})
    assert released.status == 303, released.text
    assert "manages the name" not in (await visitor.get(at)).text
    token = shown["tokens"][0]["id"]
    await app.send("DELETE", f"/api/client/scim/okta/tokens/{token}", token=it.admin.token)
    assert failed(await it.send("GET", "/Users"))[0] == 401
