"""Apps in the console: first the kind, then its settings; secrets are shown once, and removal shows numbers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.http.apps.relying import relying
from tests.support.application import App
from tests.support.machines import SCANNER
from tests.support.people import member
from tests.support.second_factors import person
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
LIST, NEW = "/console/apps", "/console/apps/new"
REPORTS = "https://reports.example.com/callback"
#: Fields that only some kinds of apps have.
FIELDS = {
    "web": {"redirectUris", "backchannelLogoutUri", "jwks", "refreshTokenDays"},
    "browser": {"redirectUris", "allowedOrigins"},
    "native": {"redirectUris", "refreshTokenDays"},
    "device": set(),
}


async def browser_of(app: App, role: str = "Admin") -> tuple[Visitor, str]:
    user = await person(app, "", role)
    return await Visitor(app).signed_in(user.email), user.client


async def press(visitor: Visitor, page: Page, action: str, fields: dict[str, str] | None = None, **holds: str) -> Page:
    """Submit the form on the page that posts to ``action`` and has these values; returns the page that follows."""
    sent = await visitor.post(action, {**page.form(action, **holds).fields, **(fields or {})})
    return await visitor.follow(sent) if sent.status == 303 else sent


async def the_app(app: App, client: str) -> Any:
    found = await app.get(f"/api/admin/clients/{client}/apps", token=await app.admin_token())
    return found.data["items"][-1]


async def test_the_kind_comes_first_and_then_what_it_needs(app: App) -> None:
    visitor, _ = await browser_of(app)
    choices = (await visitor.get(NEW)).links()
    every = set().union(*FIELDS.values())
    for kind, own in FIELDS.items():
        assert f"{NEW}?kind={kind}" in choices.values()
        shown = (await visitor.get(f"{NEW}?kind={kind}")).form(NEW).fields
        assert every & shown.keys() == own


async def test_a_web_app_from_first_to_last(app: App) -> None:
    visitor, client = await browser_of(app)
    page = await visitor.get(f"{NEW}?kind=web")
    wrong = await press(visitor, page, NEW, {"name": "Reports", "redirectUris": f"{REPORTS}\nhttp://a.example/"})
    assert (wrong.status, len(wrong.problems)) == (400, 1)
    assert wrong.problems[0].startswith("Line 2: ")
    assert wrong.form(NEW).fields["name"] == "Reports"
    typed = {"redirectUris": f"{REPORTS}\r\n", "scopes": "openid email", "roleOperator": "on", "consent": "on"}
    made = await press(visitor, wrong, NEW, typed)
    assert "App added." in made.text
    it = await the_app(app, client)
    at = f"{LIST}/{it['id']}"
    assert it["id"] in made.text
    assert it["issuer"] in made.text
    assert (it["name"], it["redirectUris"], it["scopes"], it["roles"], it["consent"]) == (
        "Reports", [REPORTS], ["openid", "email"], ["Operator"], True,
    )  # fmt: skip
    first = await press(visitor, made, at, act="secret")
    [secret] = set(re.findall(SCANNER.replace("(", "(?:", 1), first.reply.text))
    [old] = (await the_app(app, client))["secrets"]
    second = await press(visitor, first, at, {"overlapHours": "0"}, act="secret", of=old["id"])
    assert secret not in second.reply.text
    [live] = (await the_app(app, client))["secrets"]
    asked = await press(visitor, second, at, act="revoke")
    assert asked.heading == f"Revoke the credential that ends with {live['hint']}?"
    assert (await the_app(app, client))["secrets"] == [live]
    gone = await press(visitor, asked, at, act="revoke")
    assert live["hint"] not in gone.text
    changed = await press(visitor, gone, at, {"name": "Reports 2", "roleOperator": ""}, act="change")
    assert "Changes saved." in changed.text
    it = await the_app(app, client)
    assert (it["name"], it["redirectUris"], it["roles"], it["secrets"]) == ("Reports 2", [REPORTS], [], [])
    question = await press(visitor, changed, at, act="remove")
    for effect in ("Ends 0 open sessions.", "0 users lose access to it."):
        assert effect in question.text
    removed = await press(visitor, question, at, act="remove")
    assert "App removed." in removed.text
    assert (await the_app(app, client))["id"] == f"manifest.{client}"
    assert (await visitor.get(at)).status == 404


async def test_changes_that_end_sessions_are_asked_first(app: App) -> None:
    visitor, client = await browser_of(app)
    web = await relying(app, client, scopes=["openid", "email"])
    access = (await web.tokens(Visitor(app), (await member(app, client)).email))["access_token"]
    at = f"{LIST}/{web.id}"
    for changes, ends in (
        ({"name": "Reports 2", "scopes": "openid email profile"}, False),
        ({"roleViewer": "on"}, True),
        ({"scopes": "openid"}, True),
        ({"secondFactor": "on"}, True),
        ({"consent": "on"}, True),
    ):
        page = await press(visitor, await visitor.get(at), at, changes, act="change")
        assert ("Changes saved." not in page.text) is ("Ends 1 open session." in page.text) is ends, changes
    assert (await web.userinfo(access)).status == 200
    assert "Changes saved." in (await press(visitor, page, at, act="change")).text
    assert (await web.userinfo(access)).status == 401
    unasked = await press(visitor, await visitor.get(at), at, {"secondFactor": "on"}, act="change")
    assert "Changes saved." in unasked.text  # no session is left to end
    wrong = await press(visitor, await visitor.get(at), at, {"scopes": "openid what"}, act="change")
    assert wrong.status == 400


async def test_system_admins_see_them_and_change_nothing(app: App) -> None:
    visitor, client = await browser_of(app)
    page = await visitor.get(f"{NEW}?kind=native")
    await press(visitor, page, NEW, {"name": "Tool", "redirectUris": "com.example.tool:/cb"})
    root = await Visitor(app).system_admin()
    shown = await root.get(f"/installation/clients/{client}?show=apps")
    for text in ("Tool", "com.example.tool:/cb", f"manifest.{client}"):
        assert text in shown.text
    assert [form.action for form in shown.forms() if "clients" in form.action] == []
