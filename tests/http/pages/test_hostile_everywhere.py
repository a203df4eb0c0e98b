"""On no page route does a text create an element, an attribute, or a script, or lead to another server.

The text is in the query, in the form, or in the stored data shown there. The routes come from the route table, so that
new ones are included.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from zlib import crc32

import pytest

from tests.http.pages.hostile_texts import EVIL, ORIGIN, STRINGS, faults, is_here
from tests.support.accounts import new_client, new_user
from tests.support.application import PASSWORD, App
from tests.support.forged_tokens import right_tokens
from tests.support.machines import new_account, new_key
from tests.support.matrix import matrix
from tests.support.rounds import is_release
from tests.support.routes import PAGES, Route, filled
from tests.support.single_sign_on import add_provider
from tests.support.visitor import Page, Visitor

SHOWN = [route for route in PAGES if route.template]
QUERIES = [(route.path, member) for route in SHOWN if route.method == "GET" for member in (*route.members, "x")]
POSTS = [route for route in PAGES if route.method == "POST"]
_MACHINES = "/service-accounts/"
_APP = "https://a.example/"  # the URL of an app that its client lists, which the account page links to
_OIDC = {"issuer": "https://x.okta.example", "clientId": "c"}
#: Some of the texts, or all of them if there is time; see :func:`tried`.
TEXTS = [
    pytest.param((*STRINGS[::120], *EVIL[::20]), id="some"),
    pytest.param((*STRINGS, *EVIL), id="all", marks=pytest.mark.endurance),
]
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


async def signed_in(app: App, email: str = "admin@acme.example") -> Visitor:
    """Sign in as an Admin and as a system admin."""
    return await (await Visitor(app).signed_in(email)).system_admin()


def tried(database_url: str, texts: tuple[str, ...], place: str) -> tuple[str, ...]:
    """All texts before a release, and otherwise a twentieth of them, different for each place. Pages don't depend on
    the database, so on PostgreSQL the same twentieth is used everywhere."""
    if len(texts) <= 50:
        return texts
    if database_url.startswith("postgresql"):
        return texts[::20]
    return texts if is_release() else texts[crc32(place.encode()) % 20 :: 20]


def check(page: Page, said: object) -> None:
    assert page.status < 500, (said, page.reply.text)
    if location := page.reply.headers.get("location"):
        assert is_here(location, ORIGIN), (said, location)
    elif page.reply.headers.get("content-type", "").startswith("text/html"):
        assert [fault for fault in faults(page) if fault != f"href={_APP}"] == [], (said, page.reply.text)


def test_there_is_enough() -> None:
    assert len(set(STRINGS)) >= 300
    assert len(set(EVIL)) >= 60
    assert len(QUERIES) > 60


@matrix("text", [
    "<script>alert(1)</script>", "<script src=/assets/x.js>alert(1)</script>", "<script src=/x.js></script>",
    "<img src=x>", "<svg/onload=alert(1)>", "<b>x</b>", "<p style=color:red>", "<iframe srcdoc=x>", "<base href=/x>",
    "<meta http-equiv=refresh content=0>", "<a href=javascript:alert(1)>", "<form action=//evil.example>",
    "<button formaction=https://evil.example>",
])  # fmt: skip
async def test_it_would_be_found(app: App, text: str) -> None:
    page = await (await signed_in(app)).get("/account")
    assert faults(page) == []
    page.reply.text = page.reply.text.replace("</h1>", f"{text}</h1>")
    assert faults(page) != []


@pytest.mark.parametrize("texts", TEXTS)
@matrix(("path", "member"), QUERIES)
@pytest.mark.timeout(3600)
async def test_in_the_query(app: App, database_url: str, path: str, member: str, texts: tuple[str, ...]) -> None:
    visitors = [await signed_in(app), Visitor(app)] if path.startswith("/sign-in") else [await signed_in(app)]
    address, beside = filled(path, client="acme"), "" if member == "client" else "&client=acme"
    for text in tried(database_url, texts, path + member):
        for visitor in visitors:
            check(await visitor.get(f"{address}?{member}={quote(text, safe='')}{beside}"), text)


@pytest.mark.parametrize("texts", TEXTS)
@matrix("route", POSTS)
@pytest.mark.timeout(3600)
async def test_in_a_form(app: App, database_url: str, route: Route, texts: tuple[str, ...]) -> None:
    """In all fields at the same time, submitted with a valid form."""
    number = (await new_account(app, "acme"))["id"] if _MACHINES in route.path else (await new_user(app))[0]
    path = filled(route.path, client="acme", id=number)
    visitor = Visitor(app)
    for text in tried(database_url, texts, route.path):
        if not {"session", "admin"} <= visitor.cookies.keys():
            visitor = await signed_in(app)
            token = await right_tokens(visitor, path)
        for left_out in ({}, {"s": ""}):  # an invalid sealed value restarts the flow
            page = await visitor.post(path, dict.fromkeys(route.members, text) | left_out | {"form": token()})
            assert "Your changes weren't saved" not in page.reply.text, page.reply.text
            check(page, text)
            if "s" not in route.members:
                break


async def world(app: App, text: str) -> tuple[Visitor, dict[str, object]]:
    """A client in which every name that people and programs choose is this text, and its Admin as visitor."""
    client, agent = await new_client(app), text.encode("ascii", "replace").decode()
    token = await app.admin_token()
    made: dict[str, Any] = {
        "name": text[:200],
        "settings": {"contact": f"Ask {text}"[:200], "branding": {"name": text[:80]}},
    }
    assert (await app.send("PATCH", f"/api/admin/clients/{client}", made, token=token)).status == 200
    await add_provider(app, client, name="x", displayName=text, oidc=_OIDC)
    names = {"firstName": text[:100], "lastName": text[:100], "title": text[:100]}
    number, _ = await new_user(app, client, password=PASSWORD, **names)
    _, email = await new_user(app, client, password=PASSWORD, roles=["Admin"], **names)
    reply = await app.sign_in(email, PASSWORD, client=client, headers={"User-Agent": agent})
    await app.sign_in(email, PASSWORD, client=client, headers={"User-Agent": agent})
    visitor = await Visitor(app, {"session": reply.cookie("session")}).system_admin()
    about = {} if (set(text) & set("\t\r\n")) else {"label": text[:100]}
    machine = (await new_account(app, client, description=text[:500]))["id"]
    await new_key(app, client, machine, **about)
    web = {"name": text[:100], "kind": "web", "redirectUris": [_APP]}
    reply = await app.post(f"/api/admin/clients/{client}/apps", web, token=token)
    group = {"name": "okta", "groupRoles": [{"group": text[:100], "roles": ["Viewer"]}]}
    await app.post(f"/api/admin/clients/{client}/scim", group, token=token)
    values = {"client": client, "id": number, "name": "x", "machine": machine, "app": reply.data["id"]}
    return visitor, {**values, "connection": "okta"}


async def _looked_at(app: App, text: str) -> int:
    """Check the pages; returns their number."""
    visitor, values = await world(app, text)
    shown = 0
    for route in SHOWN:
        if route.method == "GET":
            query = f"?client={values['client']}" if route.path.startswith("/sign-in") else ""
            named = values | {"id": values["machine"]} if _MACHINES in route.path else values
            page = await visitor.get(filled(route.path, **named) + query)
            check(page, (route.path, text))
            shown += page.status == 200
    return shown


async def test_there_is_something_to_see(app: App) -> None:
    """All routes except those that need a previous step show this data."""
    assert await _looked_at(app, "harmless") >= sum(route.method == "GET" for route in SHOWN) - 12


@pytest.mark.parametrize("texts", [
    pytest.param(tuple(STRINGS[::90]), id="some"),
    *(pytest.param(tuple(STRINGS[part::5]), id=f"all {part}", marks=[pytest.mark.endurance, pytest.mark.timeout(600)])
      for part in range(5)),
])  # fmt: skip
async def test_in_every_name_that_is_stored(app: App, database_url: str, texts: tuple[str, ...]) -> None:
    shown, texts = 0, tried(database_url, texts, texts[0])
    for text in texts:
        app.clock.advance(60)
        if text.strip():
            shown += await _looked_at(app, text)
    assert shown > 20 * len(texts)
