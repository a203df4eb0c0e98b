"""Foreign texts are only text on a page: no string creates an element, an attribute, or a script."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.http.pages.hostile_texts import STRINGS
from tests.support.accounts import new_client, new_user
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.single_sign_on import add_provider
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

HARMLESS = "harmless"
_OIDC = {"issuer": "https://x.okta.example", "clientId": "c"}


def structure(page: Page) -> list[tuple[str, tuple[str, ...]]]:
    """All elements of a page, with their attribute names."""
    return [(str(each.tag), tuple(sorted(each.attrib))) for each in page.tree.iter() if isinstance(each.tag, str)]


def check(page: Page, usual: Page, text: str) -> None:
    assert page.status == usual.status
    assert structure(page) == structure(usual), text
    assert "49" not in page.text or "7 * 7" not in text or "{{ 7 * 7 }}" in page.text


def test_there_are_three_hundred() -> None:
    assert len(set(STRINGS)) >= 300


async def _shown(visitor: Visitor, text: str) -> dict[str, Page]:
    """Pages that repeat the entered text, or text from the URL."""
    return {
        "hint": await visitor.get(f"/sign-in?client=acme&loginHint={quote(text)}"),
        "email": await visitor.submit(await visitor.get("/sign-in"), "/sign-in", email=f"{text}@"),
        "code": await visitor.submit(await visitor.get("/welcome"), "/welcome", token=text),
    }


@pytest.mark.endurance
async def test_what_is_typed_or_stands_in_the_address(app: App) -> None:
    visitor = Visitor(app)
    usual = await _shown(visitor, HARMLESS)
    for text in STRINGS:
        for place, page in (await _shown(visitor, text)).items():
            if not (place == "hint" and page.status == 400):
                check(page, usual[place], text)
    assert usual["email"].form("/sign-in").fields["email"] == f"{HARMLESS}@"


@pytest.mark.endurance
@matrix("where", ["client", "returnTo", "lang", "s", "response", "x"])
async def test_what_stands_in_the_query(app: App, where: str) -> None:
    visitor = Visitor(app)
    for text in STRINGS:
        page = await visitor.get(f"/sign-in?{where}={quote(text)}")
        assert not [
            tag for tag, names in structure(page) if tag in ("img", "svg", "b", "base") and "class" not in names
        ]
        assert not [names for _, names in structure(page) if any(name.startswith("on") for name in names)]


async def test_what_programs_say_of_themselves(app: App) -> None:
    visitor = await Visitor(app).signed_in()
    usual = await visitor.get("/account")
    for text in STRINGS[:60]:
        line = text.encode("ascii", "replace").decode()
        check(await visitor.get("/account", User_Agent=line, Accept_Language=line, X_Request_ID=line), usual, text)


async def named(app: App, text: str) -> tuple[dict[str, Page], str]:
    """Pages that show names of a client, a provider, and a user."""
    client = await new_client(app)
    body: dict[str, Any] = {"name": text}
    if (await app.send("PATCH", f"/api/admin/clients/{client}", body, token=await app.admin_token())).status != 200:
        return {}, ""
    await add_provider(app, client, name="x", displayName=text, oidc=_OIDC)
    _, email = await new_user(app, client, password=PASSWORD, firstName=text, lastName=text, title=text)
    visitor = Visitor(app)
    sign_in = await visitor.get(f"/sign-in?client={client}")
    signed_in = await visitor.submit(sign_in, "/sign-in/password", email=email, password=PASSWORD)
    assert signed_in.status == 303, signed_in.text
    return {
        "sign-in": sign_in,
        "account": await visitor.get("/account"),
        "continue": await visitor.get(f"/sign-in?client={client}"),
        "sign-out": await visitor.get("/sign-out"),
    }, email


@pytest.mark.endurance
async def test_names_of_clients_providers_and_people(app: App) -> None:
    usual, _ = await named(app, HARMLESS)
    tried = 0
    for text in STRINGS[::7]:
        pages, _ = await named(app, text)
        tried += bool(pages)
        for place, page in pages.items():
            check(page, usual[place], text)
            assert text.strip() in page.tree.text_content() or place == "sign-out"
    assert tried > 30
