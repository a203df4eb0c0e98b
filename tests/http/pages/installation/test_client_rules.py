"""A system admin changes a client's settings on a page, which previews them in words and saves them like the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.pages.console.rules_pages import page_with
from tests.http.pages.installation.console import TEN_MINUTES, prove
from tests.support.accounts import new_client, new_user, settle
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store


@pytest.fixture
async def client(app: App) -> str:
    return await new_client(app)


def path_of(client: str) -> str:
    return f"/installation/clients/{client}/rules"


async def stored(app: App, client: str) -> dict[str, Any]:
    return dict((await app.get(f"/api/admin/clients/{client}", token=await app.admin_token())).data["settings"])


async def preview(app: App, client: str, **typed: str) -> tuple[Visitor, Page]:
    visitor, path = await Visitor(app).system_admin(), path_of(client)
    fields = {name.replace("__", "."): text for name, text in typed.items()}
    page = await visitor.get(page_with(path, *fields))
    return visitor, await visitor.post(path, page.form(path).fields | fields)


def changes(page: Page) -> list[str]:
    return [each.text_content() for each in page.tree.xpath("//section[@aria-labelledby='preview']//li")]


async def test_a_change_is_shown_first_and_saved_then(app: App, client: str) -> None:
    before = await stored(app, client)
    visitor, page = await preview(app, client, returnAddresses="https://a.example/in", contact="IT desk")
    assert page.status == 200
    assert changes(page) == [
        "New redirect URI: https://a.example/in",
        "Users who can't sign in see this contact: IT desk",
    ]
    assert await stored(app, client) == before
    saved = await visitor.submit(page, path_of(client), {"act": "save"})
    assert (saved.status, saved.location) == (303, page_with(path_of(client), "contact"))
    assert "Settings saved" in (await visitor.follow(saved)).text
    now = await stored(app, client)
    assert now == before | {"returnAddresses": ["https://a.example/in"], "contact": "IT desk"}
    assert now["unconfirmed"] == {"allowedOrigins": [], "returnAddresses": []}


async def test_the_trail_names_the_system_admin(app: App, client: str) -> None:
    visitor, page = await preview(app, client, contact="IT desk")
    await visitor.submit(page, path_of(client), {"act": "save"})
    found = await app.get(f"/api/admin/audit?client={client}&event=client_changed", token=await app.admin_token())
    assert found.data["items"][0]["actor"].startswith("admin:")


@rule("RECENT-PROOF")
async def test_after_ten_minutes_it_asks_for_the_password_and_saves_all_that_was_typed(app: App, client: str) -> None:
    await settle(app, client, password={"minLength": 20}, pairing={"code": True})
    before, path = await stored(app, client), path_of(client)
    visitor, page = await preview(app, client, password__maxAgeDays="9", password__history="3")
    app.clock.advance(TEN_MINUTES)
    asked = await visitor.submit(page, path, {"act": "save"})
    assert await stored(app, client) == before
    assert (await prove(visitor, asked)).location == page_with(path, "password")
    before["password"] |= {"history": 3, "maxAgeDays": 9}
    assert await stored(app, client) == before


@matrix(
    ("field", "text"),
    [("password.minLength", "5"), ("sessions.idleSeconds", "soon"), ("allowedOrigins", "nonsense"), ("language", "xx")],
)
async def test_errors_appear_beside_their_fields(app: App, client: str, field: str, text: str) -> None:
    before = await stored(app, client)
    _, page = await preview(app, client, **{field: text})
    assert (page.status, len(page.problems)) == (400, 1)
    [error] = page.tree.xpath(f"//p[@id='{field}-error']")
    assert error.text_content()
    assert await stored(app, client) == before


async def test_a_system_admin_can_lower_what_protects_admins(app: App, client: str) -> None:
    await settle(app, client, password={"minLength": 20})
    visitor, page = await preview(app, client, password__minLength="15")
    assert (await visitor.submit(page, path_of(client), {"act": "save"})).status == 303
    assert (await stored(app, client))["password"]["minLength"] == 15


async def test_it_says_when_no_admin_could_sign_in_any_longer(app: App, client: str) -> None:
    visitor, path = await Visitor(app).system_admin(), path_of(client)
    fields = (await visitor.get(path)).form(path).fields
    del fields["passwordSignIn"]
    assert "no longer sign in" not in " ".join(changes(await visitor.post(path, fields)))  # the client has no Admin
    await new_user(app, client, roles=["Admin"], password=PASSWORD)
    [_, said] = changes(await visitor.post(path, fields))
    assert said.endswith("Admins can no longer sign in. No provider that is turned on accepts Admins.")


async def test_no_other_clients_rules_change(app: App, client: str) -> None:
    other = await stored(app, "globex")
    visitor, page = await preview(app, client, contact="Elsewhere")
    await visitor.submit(page, path_of(client), {"act": "save"})
    assert await stored(app, "globex") == other


async def test_a_client_that_is_none_is_404(app: App) -> None:
    assert (await (await Visitor(app).system_admin()).get(path_of("nowhere"))).status == 404
