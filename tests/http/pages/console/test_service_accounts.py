"""Service accounts in the console: created, given keys shown once, rotated, revoked, disabled, and deleted."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.accounts import trail
from tests.support.application import PASSWORD, App
from tests.support.client_assertions import ec_key, public_set
from tests.support.envelope import check_refusal
from tests.support.machines import OWN, SCANNER, machine, new_account, of_client
from tests.support.matrix import matrix
from tests.support.second_factors import Person, person
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]

LIST, NEW = "/console/service-accounts", "/console/service-accounts/new"
ME = "/api/client/auth/me"


async def browser_of(user: Person) -> Visitor:
    return await Visitor(user.app).signed_in(user.email)


async def admin(app: App, *roles: str) -> tuple[Visitor, str]:
    """The manager of a new client, and the client's name."""
    user = await person(app, "", *(roles or ("Admin",)))
    return await browser_of(user), user.client


def path_of(account: int) -> str:
    return f"{LIST}/{account}"


def secret_on(page: Page) -> str:
    [found] = set(re.findall(f"{SCANNER.replace('(', '(?:', 1)}", page.reply.text))
    return str(found)


async def shown(app: App, client: str, account: int) -> dict[str, Any]:
    reply = await app.get(f"{of_client(client)}/{account}", token=await app.admin_token())
    return dict(reply.data)


async def done(visitor: Visitor, page: Page) -> Page:
    assert page.status == 303, page.text
    return await visitor.follow(page)


async def status_of(app: App, key: str) -> int:
    return (await app.get(ME, token=key)).status


def acts(page: Page) -> set[str]:
    return {form.fields.get("act", "") for form in page.forms()}


async def test_an_empty_list_says_what_they_are_for(app: App) -> None:
    visitor, _ = await admin(app)
    page = await visitor.get(LIST)
    assert "No service accounts yet" in page.text
    assert "has its own key" in page.text
    assert page.links()["New service account"] == NEW


async def test_from_its_making_to_its_end(app: App) -> None:
    visitor, client = await admin(app)
    page = await visitor.submit(
        await visitor.get(NEW), NEW, name="nightly", description="Exports", addresses="0.0.0.0/0\r\n\r\n::1/128"
    )
    page = await done(visitor, page)
    assert page.heading == "nightly"
    assert "Service account created. Create an API key for it." in page.text
    [made] = (await app.get(of_client(client), token=await app.admin_token())).data["items"]
    assert (made["roles"], made["addresses"], made["keys"]) == (["Viewer"], ["0.0.0.0/0", "::1/128"], [])
    path = path_of(made["id"])

    page = await visitor.submit(page, path, {"act": "make"}, label="cron", expiresInDays="10")
    first = secret_on(page)
    assert "shown again" in page.text
    assert page.tree.xpath("//button[@data-copies='secret-once'][@hidden]")
    assert await status_of(app, first) == 200
    page = await visitor.get(path)
    assert first not in page.reply.text
    assert not re.search(SCANNER, page.reply.text)
    assert first[-4:] in page.text
    assert "cron" in page.text
    assert "Expires soon" in page.text
    assert "192.0.2.1" in page.text

    page = await visitor.submit(page, path, {"act": "rotate"}, overlapHours="1")
    second = secret_on(page)
    assert second != first
    assert "Replaced" in page.text
    assert len([form for form in page.forms() if form.fields.get("act") == "rotate"]) == 1
    assert [await status_of(app, key) for key in (first, second)] == [200, 200]
    app.clock.advance(3601)
    assert [await status_of(app, key) for key in (first, second)] == [401, 200]

    visitor = await visitor.signed_in(await email_of(app, client))
    page = await visitor.get(path)
    page = await done(visitor, await visitor.submit(page, path, {"act": "disable"}))
    assert "Service account disabled" in page.text
    assert await status_of(app, second) == 401
    page = await done(visitor, await visitor.submit(page, path, {"act": "enable"}))
    assert await status_of(app, second) == 200
    asked = await visitor.post(path, page.form(path, act="revoke").fields)
    assert asked.heading == f"Revoke the credential that ends with {second[-4:]}?"
    assert await status_of(app, second) == 200
    page = await done(visitor, await visitor.submit(asked, path))
    assert await status_of(app, second) == 401
    assert "No API keys." in page.text
    page = await visitor.submit(page, path, {"act": "delete"}, confirmName="nightl")
    assert (page.status, page.problems) == (400, ["Enter the name of the service account"])
    page = await done(visitor, await visitor.submit(page, path, {"act": "delete"}, confirmName="nightly"))
    assert "Service account and its keys deleted" in page.text
    assert (await visitor.get(path)).status == 404
    events = [row.event for row in await trail(app, client)]
    assert [one for one in events if one.startswith(("service_account_", "api_key_"))] == [
        "service_account_created", "api_key_created", "api_key_rotated", "service_account_disabled",
        "service_account_enabled", "api_key_revoked", "service_account_deleted",
    ]  # fmt: skip


async def email_of(app: App, client: str) -> str:
    reply = await app.get(f"/api/admin/clients/{client}/users", token=await app.admin_token())
    return str(reply.data["items"][0]["email"])


async def test_a_client_secret_is_shown_once_and_two_live(app: App) -> None:
    visitor, client = await admin(app)
    account = await new_account(app, client)
    path = path_of(account["id"])
    for _ in range(2):
        page = await visitor.submit(await visitor.get(path), path, {"act": "make"}, kind="secret", label="tool")
        assert secret_on(page).startswith("mfst_sec_")
        assert f"svc_{account['id']}" in page.text
    page = await visitor.submit(page, path, {"act": "make"}, kind="secret", label="third one")
    assert (page.status, page.problems) == (
        409,
        ["A service account can have at most 2 client secrets. Revoke one first"],
    )
    form = page.form(path, act="make")
    assert (form.fields["kind"], form.fields["label"]) == ("secret", "third one")
    assert "2 client secrets" in (await visitor.get(LIST)).text
    found = await shown(app, client, account["id"])
    assert (len(found["secrets"]), found["keys"]) == (2, [])


async def test_its_data_change_and_the_scopes_stay(app: App) -> None:
    visitor, client = await admin(app)
    account = await new_account(app, client, scopes=["jobs:read"])
    path, keys = path_of(account["id"]), json.dumps(public_set(ec_key()))
    page = await visitor.get(path)
    assert "jobs:read" in page.text
    page = await visitor.submit(
        page, path, {"act": "change"}, name="renamed", roleAuthor="on", mayIntrospect="on", jwks=keys
    )
    page = await done(visitor, page)
    found = await shown(app, client, account["id"])
    assert (found["name"], found["roles"], found["mayIntrospect"], found["scopes"]) == (
        "renamed", ["Author", "Viewer"], True, ["jobs:read"],
    )  # fmt: skip
    assert len(found["jwks"]["keys"]) == 1
    await done(visitor, await visitor.submit(page, path, {"act": "change"}))  # unchanged values change nothing
    assert await shown(app, client, account["id"]) == found
    changes = [row for row in await trail(app, client) if row.event == "service_account_changed"]
    assert len(changes) == 1
    page = await visitor.get(path)
    await done(visitor, await visitor.submit(page, path, {"act": "change"}, jwks=" "))
    assert (await shown(app, client, account["id"]))["jwks"] is None


@matrix(
    ("typed", "field"),
    [
        ({"name": "Not A Name"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "good", "addresses": "x"}, "addresses"),
        ({"name": "good", "jwks": "{"}, "jwks"),
        ({"name": "good", "jwks": "[]"}, "jwks"),
        ({"name": "good", "jwks": '{"keys":' + "[" * 15_000}, "jwks"),
        ({"name": "good", "jwks": '{"keys":[{"kty":["EC"],"kid":"x"}]}'}, "jwks"),
        ({"name": "good", "jwks": '{"keys":[{"kty":"EC","kid":"x","alg":["ES256"]}]}'}, "jwks"),
        ({"name": "good", "jwks": '{"keys":[{"kty":"EC","kid":"x","crv":"P-256","x":"AQ","y":"AQ"}]}'}, "jwks"),
        ({"name": "good", "jwks": json.dumps(public_set(ec_key())).replace('"kty"', '"d": "AQ", "kty"')}, "jwks"),
        ({"name": "good", "roleViewer": ""}, "roles"),
        ({"name": "good", "roleAdmin": "on"}, "roles"),
    ],
)
async def test_errors_appear_beside_their_fields(app: App, typed: dict[str, str], field: str) -> None:
    visitor, client = await admin(app)
    page = await visitor.submit(await visitor.get(NEW), NEW, None, **typed)
    assert page.status == 400
    assert page.tree.xpath(f"//*[@id='{field}-error']")
    for name in {"name", "addresses", "jwks"} & typed.keys():
        assert page.form(NEW).fields[name].strip() == typed[name].strip()
    assert (await app.get(of_client(client), token=await app.admin_token())).data["items"] == []


@matrix(
    ("typed", "status"),
    [({"expiresInDays": "0"}, 400), ({"expiresInDays": "367"}, 400), ({"expiresInDays": "x"}, 400),
     ({"kind": "token"}, 400), ({"label": "x" * 101}, 400)],
)  # fmt: skip
async def test_no_key_is_made_of_what_is_wrong(app: App, typed: dict[str, str], status: int) -> None:
    visitor, client = await admin(app)
    account = await new_account(app, client)
    path = path_of(account["id"])
    page = await visitor.submit(await visitor.get(path), path, {"act": "make"}, **typed)
    assert page.status == status
    assert page.problems
    assert (await shown(app, client, account["id"]))["keys"] == []


async def test_a_user_admin_gives_no_more_than_their_rank(app: App) -> None:
    visitor, client = await admin(app, "User Admin")
    page = await visitor.get(NEW)
    assert not page.tree.xpath("//*[@name='roleAdmin' or @name='roleUserAdmin']")
    page = await visitor.submit(page, NEW, name="high", roleUserAdmin="on")
    assert (page.status, page.problems) == (403, ["Only an Admin can manage a service account that is a User Admin"])
    high = await machine(app, client, "User Admin")
    path = path_of(high.id)
    page = await visitor.get(path)
    assert "Only an Admin can manage a service account that is a User Admin" in page.text
    assert acts(page) & {"change", "make", "rotate", "enable"} == set()
    token = page.form(path, act="disable").fields["form"]
    for typed in (
        {"act": "make", "kind": "key"},
        {"act": "rotate", "kind": "key", "secret": high.key.id},
        {"act": "change", "name": "taken", "roleViewer": "on"},
    ):
        page = await visitor.post(path, {"form": token, **typed})
        assert page.status == 403
        assert not re.search(SCANNER, page.reply.text)
    assert await status_of(app, high.key.text) == 200
    asked = await visitor.post(path, {"form": token, "act": "revoke", "kind": "key", "secret": high.key.id})
    page = await done(visitor, await visitor.shown(asked))
    assert await status_of(app, high.key.text) == 401


async def test_an_admin_offers_user_admin_and_never_admin(app: App) -> None:
    visitor, _ = await admin(app)
    page = await visitor.get(NEW)
    assert not page.tree.xpath("//*[@name='roleAdmin']")
    assert page.tree.xpath("//*[@name='roleUserAdmin']")


@matrix("name", ["", "vouch", "Make"])
async def test_an_act_that_there_is_not(app: App, name: str) -> None:
    visitor, client = await admin(app)
    path = path_of((await new_account(app, client))["id"])
    token = (await visitor.get(path)).form(path, act="make").fields["form"]
    assert (await visitor.post(path, {"form": token, "act": name})).status == 400


async def test_an_old_proof_is_asked_again_before_a_key_is_made(app: App) -> None:
    user = await person(app, "", "Admin", stepUp="management")
    visitor, path = await browser_of(user), path_of((await new_account(app, user.client))["id"])
    page = await visitor.get(path)
    app.clock.advance(601)
    page = await visitor.submit(page, path, {"act": "make"})
    assert (page.status, page.location.partition("?")[0]) == (303, "/reauthenticate")
    page = await visitor.submit(await visitor.get(page.location), "/reauthenticate", currentPassword=PASSWORD)
    assert secret_on(await visitor.follow(page))


async def test_a_key_opens_no_page(app: App) -> None:
    it = await machine(app, "acme", "User Admin")
    page = await Visitor(app, headers={"Authorization": f"Bearer {it.key.text}"}).get(LIST)
    assert page.status == 400
    page = await Visitor(app, {"session": it.key.text}).get(LIST)
    assert (page.status, page.location) == (303, "/sign-in?returnTo=%2Fconsole%2Fservice-accounts")
    check_refusal(await app.get(OWN, token=it.key.text), 403, "FORBIDDEN")
