"""Foreign texts are only text on the installation's pages: names of clients, users, admins, and browsers."""

from __future__ import annotations

import pytest

from tests.http.pages.hostile_texts import STRINGS
from tests.http.pages.installation.console import act
from tests.http.pages.test_hostile_strings import HARMLESS, check
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.system_admins import another, sign_in, signed_in_admin
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

ROOT = "/installation"
SOME = STRINGS[::11]


async def shown(visitor: Visitor, text: str) -> dict[str, Page]:
    """Pages that repeat the entered text."""
    refused = {
        "client": await act(visitor, f"{ROOT}/clients", identifier=f"{text} !", name=""),  # both are invalid
        "admin": await act(visitor, f"{ROOT}/admins", act="make", username=text + "x" * 65),
        "throttle": await act(visitor, f"{ROOT}/throttles", email=text),
        "networks": await act(visitor, f"{ROOT}/settings", adminAddresses=text),
    }
    sign = await Visitor(visitor.app).get(f"{ROOT}/sign-in")
    refused["sign-in"] = await Visitor(visitor.app, {"form": sign.reply.cookie("form")}).submit(
        sign, f"{ROOT}/sign-in", username=text, password=""
    )
    return refused


async def test_what_is_typed(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    usual = await shown(visitor, HARMLESS)
    for text in SOME:
        for place, page in (await shown(visitor, text)).items():
            assert page.status == 400, place
            check(page, usual[place], text)


@matrix("where", ["clients?q", "admins?q", "clients/acme?show=users&q", "audit?client", "audit?admin"])
async def test_what_stands_in_the_query(app: App, where: str) -> None:
    visitor = await Visitor(app).system_admin()
    path, _, name = f"{ROOT}/{where}".rpartition("?" if "&" not in where else "&")
    mark = "&" if "&" in where else "?"
    usual = await visitor.get(f"{path}{mark}{name}={HARMLESS}")
    for text in SOME:
        page = await visitor.get(f"{path}{mark}{name}={''.join(f'%{byte:02X}' for byte in text.encode())}")
        check(page, usual, text)


async def names(app: App, number: int, text: str) -> dict[str, Page]:
    """Pages that show a client, a user, a provider, and a browser with this name."""
    token, client = await app.admin_token(), f"hostile-{number}"
    body = {"identifier": client, "name": text, "settings": {"contact": text}}
    if (await app.post("/api/admin/clients", body, token=token)).status != 201:
        return {}
    user = {"email": f"u@{client}.example", "roles": ["Viewer"], "firstName": text, "lastName": text}
    assert (await app.post(f"/api/admin/clients/{client}/users", user, token=token)).status == 201
    oidc = {"name": "x", "displayName": text, "oidc": {"issuer": "https://x.okta.example", "clientId": "c"}}
    assert (await app.post(f"/api/admin/clients/{client}/providers", oidc, token=token)).status == 201
    me = await another(await signed_in_admin(app))
    agent = {"User-Agent": text.encode("ascii", "replace").decode()}
    assert (await sign_in(app, me.username, PASSWORD, headers=agent)).status == 200
    visitor = await Visitor(app).system_admin(me.username)
    base = f"{ROOT}/clients/{client}"
    return {
        "client": await visitor.get(base),
        "users": await visitor.get(f"{base}?show=users"),
        "providers": await visitor.get(f"{base}?show=providers"),
        "rules": await visitor.get(f"{base}/rules"),
        "clients": await visitor.get(f"{ROOT}/clients?q={client}"),
        "audit": await visitor.get(f"{ROOT}/audit?client={client}"),
        "account": await visitor.get(f"{ROOT}/account"),
    }


async def test_names_that_are_stored(app: App) -> None:
    usual = await names(app, 0, HARMLESS)
    tried = 0
    for number, text in enumerate(SOME[::2], 1):
        pages = await names(app, number, text)
        tried += bool(pages)
        for place, page in pages.items():
            check(page, usual[place], text)
    assert tried >= 10
