"""Pages show the support contact to people who can't sign in, whenever the client is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.accounts import act_on, new_user, settle
from tests.support.application import PASSWORD, App, running
from tests.support.licences import on_premise
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.single_sign_on import add_oidc, begun
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

CONTACT = "IT desk, extension 12 <desk@acme.example>"


@pytest.fixture
async def contact(app: App) -> None:
    await settle(app, "acme", contact=CONTACT, language="fr")


async def refused(app: App, start: str, email: str, password: str = PASSWORD) -> Page:
    visitor = Visitor(app, language="nl")
    page = await visitor.get(start)
    if start == "/sign-in":
        page = await visitor.follow(await visitor.submit(page, "/sign-in", email=email))
    return await visitor.submit(page, "/sign-in/password", email=email, password=password)


@matrix("start", ["/sign-in?client=acme", "/sign-in"])
async def test_a_deactivated_account(app: App, contact: None, start: str) -> None:
    user_id, email = await new_user(app, "acme", password=PASSWORD)
    await act_on(app, f"acme/users/{user_id}/deactivate")
    page = await refused(app, start, email)
    assert (page.status, page.tree.get("lang")) == (403, "fr")
    assert CONTACT in page.text
    assert page.title.endswith("· Acme")
    page = await refused(app, start, email, "wrong-password")
    assert page.status == 401
    assert CONTACT not in page.text


async def test_a_suspended_client_says_it_after_the_password_alone(app: App, contact: None) -> None:
    _, email = await new_user(app, "acme", password=PASSWORD)
    await act_on(app, "acme/suspend")
    page = await refused(app, "/sign-in?client=acme", email)
    await act_on(app, "acme/restore")
    assert (page.status, page.heading) == (403, "Cette organisation est suspendue")
    assert CONTACT in page.text


async def test_without_a_mail_server_who_forgot_the_password_sees_it(app: App, contact: None) -> None:
    visitor = Visitor(app)
    page = await visitor.get("/sign-in?client=acme")
    [forgot] = [address for address in page.links().values() if address.startswith("/forgot")]
    assert CONTACT in (await visitor.get(forgot)).text
    assert CONTACT not in (await visitor.get("/forgot")).text


async def test_an_invalid_request_of_an_app(app: App, contact: None) -> None:
    for endpoint in (
        "authorize?client_id=app_x",
        "authorize?s=x",
        "logout?post_logout_redirect_uri=https://a.example/",
    ):
        for client, has_contact in (("acme", True), ("globex", False), ("unknown", False)):
            page = await Visitor(app, language="nl").get(f"/o/{client}/{endpoint}")
            assert page.status in (400, 404), endpoint
            assert (CONTACT in page.text) is has_contact, (endpoint, client)


async def test_without_a_license_it_is_said_to_those_who_are_signed_in(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with running(url) as app:
        await settle(app, "acme", contact=CONTACT)
        visitor = await Visitor(app).signed_in()
        assert (await visitor.get("/account")).status == 200
    async with on_premise(url) as app:
        page = await Visitor(app, visitor.cookies).get("/account")
        assert (page.status, page.heading) == (403, "This server has no license yet")
        assert CONTACT in page.text
        for cookies in ({}, {"session": "made-up"}):
            page = await Visitor(app, dict(cookies)).get("/sign-in?client=acme")
            assert page.status == 403
            assert CONTACT not in page.text


async def test_who_is_rejected_after_the_provider_proved_them_sees_address_and_contact(
    app: App, contact: None, op: Op
) -> None:
    await add_oidc(app, op, "acme", name="asked", displayName="Acme ID", createUsers=False)
    op.user = {"sub": "zoe", "email": "zoe@elsewhere.example", "email_verified": True}
    browser, back = await begun(app, op, "acme", provider="asked")
    reply = await browser.send("GET", back, headers={"Accept": "text/html"})
    assert reply.status == 401
    assert "zoe@elsewhere.example" in reply.text
    assert "desk@acme.example" in reply.text
    admin = await Visitor(app).signed_in("admin@acme.example")
    trail = (await admin.get("/console/audit")).text
    assert "zoe@elsewhere.example" in trail
    # A failure before the provider identifies anyone shows no address.
    browser, back = await begun(app, op, "acme", provider="asked")
    op.token_error = "invalid_grant"
    reply = await browser.send("GET", back, headers={"Accept": "text/html"})
    assert "desk@acme.example" in reply.text
    assert "zoe@" not in reply.text
    # The provider, not "an anonymous caller", adds an account created by its first sign-in.
    op.token_error = None
    path = "/api/admin/clients/acme/providers/asked"
    body = {"createUsers": True, "defaultRoles": ["Viewer"]}
    assert (await app.send("PATCH", path, body, token=await app.admin_token())).status == 200
    browser, back = await begun(app, op, "acme", provider="asked")
    assert (await browser.send("GET", back, headers={"Accept": "text/html"})).status == 302
    assert "Acme ID added" in (await admin.get("/console")).text
