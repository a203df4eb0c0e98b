"""The console's first page: issues that need attention, recommendations, and recent activity."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.background_jobs import check_providers, days_later, provider_problems
from tests.support.directory_claims import directories_released, directory
from tests.support.domain_claims import claimed, proved, release_all
from tests.support.name_servers import NameServer, txt
from tests.support.oidc_op import Op
from tests.support.oidc_socket import Answer
from tests.support.people import member
from tests.support.single_sign_on import add_oidc, begun
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

OP = {"issuer": "https://login.acme.example", "clientId": "c", "clientSecret": "s"}


async def overview(app: App, email: str = "admin@acme.example") -> Page:
    page = await (await Visitor(app).signed_in(email)).get("/console")
    assert page.status == 200
    return page


def headings(page: Page) -> list[str]:
    return [" ".join(each.text_content().split()) for each in page.tree.xpath("//main//h2")]


async def test_where_nothing_is_wrong_it_says_so(app: App) -> None:
    page = await overview(app, "admin@globex.example")
    assert headings(page) == [
        "No problems found",
        "Recommendations",
        "Invite users",
        "Your sign-in page",
        "Recent changes",
        "Recent sign-ins",
    ]
    assert "You have only one Admin" in page.text
    assert "This server doesn't send email" in page.text
    assert "active accounts" in page.text


async def test_the_figures_are_at_most_five_minutes_old(app: App) -> None:
    client = await new_client(app)
    admin = await member(app, client, "Admin")
    assert (await figures(app, admin.email))[0] == ("active account", "1")
    await member(app, client, "Viewer")
    for seconds, shown in ((299, ("active account", "1")), (1, ("active accounts", "2"))):
        app.clock.advance(seconds)
        assert (await figures(app, admin.email))[0] == shown


async def figures(app: App, email: str) -> list[tuple[str, str]]:
    each = (await overview(app, email)).tree.xpath("//dl[@class='figures']/div")
    return [(one.find("dt").text_content(), one.find("dd").text_content()) for one in each]


async def test_who_did_what_in_plain_words(app: App) -> None:
    visitor = await Visitor(app).signed_in("admin@acme.example")
    path = f"/console/users/{app.ids['operator@acme.example']}"
    await visitor.submit(await visitor.get(path), path, {"act": "roles"}, roleViewer="on")
    await app.sign_in("operator@acme.example", "wrong-wrong-wrong")
    page = await visitor.get("/console")
    assert "Admin Tester changed the roles of Operator Tester" in page.text
    assert "Admin Tester signed in" in page.text
    assert "A sign-in failed: Operator Tester" in page.text
    assert page.links()["Operator Tester"] == path


async def test_a_line_names_the_provider_that_it_is_about(app: App, op: Op) -> None:
    client = "acme"
    await add_oidc(app, op, client, name="named", displayName="Okta <of> Acme", createUsers=False)
    browser, back = await begun(app, op, client, provider="named")
    op.error = "access_denied"
    assert (await browser.send("GET", back)).status == 401
    op.error = ""
    page = await overview(app)
    assert "A sign-in with Okta <of> Acme failed: an unknown account" in page.text
    admin = await app.admin_token()
    assert (await app.send("DELETE", f"/api/admin/clients/{client}/providers/named", token=admin)).status == 200
    assert "A sign-in with a deleted provider failed" in (await overview(app)).text


async def test_a_directory_that_waits_is_named(app: App) -> None:
    admin, number = await app.admin_token(), directory()
    made = await app.post("/api/admin/clients/acme/directories", {"directory": number}, token=admin)
    assert made.status == 201, made.text
    assert f"Microsoft directory not verified: {number}" in (await overview(app)).text
    await directories_released(app, "acme")


@pytest.mark.usefixtures("asked", "no_own_checks")
async def test_a_failing_and_a_contested_domain_stand_there_until_they_are_settled(app: App, zone: NameServer) -> None:
    other = await proved(app, zone, domain="contested.example")
    mine = await claimed(app, "acme", other.domain)
    zone.publish(txt(other.name, await other.value()), txt(mine.name, await mine.value()))
    await mine.check()
    failing = await proved(app, zone, "acme", "failing.example")
    zone.publish(txt(other.name, await other.value()), txt(mine.name, await mine.value()))
    await days_later(app, 1.1)
    page = await overview(app)
    assert headings(page)[0] == "2 issues need attention"
    assert "Another client also claims contested.example" in page.text
    assert "The DNS record of failing.example is missing" in page.text
    assert other.client not in page.text
    assert (await failing.send("DELETE")).status == 200
    assert headings(await overview(app))[0] == "1 issue needs attention"
    await release_all(app, "acme")
    assert headings(await overview(app))[0] == "No problems found"


async def test_a_provider_that_is_off_and_one_that_waits_for_an_admin(app: App) -> None:
    admin = await app.admin_token()
    base = "/api/admin/clients/acme/providers"
    made = {"name": "one", "displayName": "One & Only", "oidc": OP}
    assert (await app.post(base, made, token=admin)).status == 201
    base += "/one"
    assert (await app.post(f"{base}/switch-off", token=admin)).status == 200
    assert "One & Only is turned off" in (await overview(app)).text
    assert (await app.post(f"{base}/switch-on", token=admin)).status == 200
    token = (await app.sign_in("user-admin@acme.example")).data["token"]
    body = {"oidc": {"scopes": ["openid", "email"]}}
    assert (await app.send("PATCH", "/api/client/providers/one", body, token=token)).status == 200
    assert "Admins can't sign in with One & Only" in (await overview(app)).text
    await app.send("DELETE", base, token=admin)
    assert "One & Only opens" not in (await overview(app)).text


async def test_addresses_that_a_user_admin_added_wait_there(app: App) -> None:
    token = (await app.sign_in("user-admin@acme.example")).data["token"]
    body = {"allowedOrigins": ["https://waiting.example"]}
    assert (await app.send("PATCH", "/api/client/settings", body, token=token)).status == 200
    assert "Addresses need an Admin" in (await overview(app)).text
    admin = (await app.sign_in("admin@acme.example")).data["token"]
    await app.send("PATCH", "/api/client/settings", {"allowedOrigins": []}, token=admin)
    assert "Addresses need an Admin" not in (await overview(app)).text


async def test_each_provider_is_checked_once_a_day_and_what_was_found_is_told(app: App, op: Op) -> None:
    await add_oidc(app, op, "globex", name="checked", displayName="Globex ID")
    email = "admin@globex.example"
    assert "Identity providers haven't been checked yet" in (await overview(app, email)).text
    op.answers["discovery"] = Answer(503, body=b"")
    assert await check_providers(app) > 0
    assert await check_providers(app) == 0
    page = await overview(app, email)
    assert "Globex ID has a problem" in page.text
    problems = await provider_problems(app) or 0
    assert problems > 0
    saved = await app.send(
        "PATCH", "/api/admin/clients/globex/providers/checked", {"displayName": "New ID"}, token=await app.admin_token()
    )
    assert saved.status == 200
    assert "has a problem" not in (await overview(app, email)).text  # the checked object no longer exists
    assert await provider_problems(app) == problems - 1
    del op.answers["discovery"]
    app.clock.advance(86_400 + 60)
    assert await check_providers(app) > 0
    assert {asked.endpoint for asked in op.asked} <= {"discovery", "keys"}  # doesn't send made-up codes or secrets
    page = await overview(app, email)
    assert "has a problem" not in page.text
    assert "Identity providers were last checked" in page.text
    path = "/api/admin/clients/globex/providers/checked"
    assert (await app.send("DELETE", path, token=await app.admin_token())).status == 200


async def test_a_provider_through_which_sign_ins_fail_is_told_of_until_one_works(app: App, op: Op) -> None:
    await add_oidc(app, op, "globex", name="ailing", displayName="Ailing ID", createUsers=True, defaultRoles=["Viewer"])

    async def sign_in() -> tuple[bool, bool]:
        """Sign in; returns whether it succeeds, and whether the overview then reports a failure."""
        app.clock.advance(1)
        browser, back = await begun(app, op, "globex", provider="ailing")
        works = (await browser.send("GET", back)).status == 302
        return works, "Sign-ins with Ailing ID fail" in (await overview(app, "admin@globex.example")).text

    op.answers["token"] = Answer(500)
    assert await sign_in() == (False, True)
    del op.answers["token"]
    assert await sign_in() == (True, False)
    op.user = {"sub": "no-address"}  # a failure caused by the person
    assert await sign_in() == (False, False)
    op.answers["token"] = Answer(500)
    assert await sign_in() == (False, True)
    path = "/api/admin/clients/globex/providers/ailing"
    assert (await app.send("DELETE", path, token=await app.admin_token())).status == 200
