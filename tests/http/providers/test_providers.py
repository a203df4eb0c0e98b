"""System admins, and the client's Admin and User Admin, can edit the client's providers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.http.providers.provider_editors import OIDC, SECRET, WHO, Editor, editor, saml_settings
from tests.support.accounts import new_client, trail
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success, same_but_request_id
from tests.support.matrix import matrix
from tests.support.people import member
from tests.support.rows import add_past_the_server, opened, stored
from tests.support.single_sign_on import callback, entity_id

pytestmark = pytest.mark.one_store


@matrix("who", WHO)
async def test_they_are_made_looked_at_changed_switched_and_deleted(app: App, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    made = await caller.make(name="okta", displayName="Okta", domains=["acme.example"], defaultRoles=["Viewer"])
    assert made["serviceProvider"] == {"callbackUrl": callback(caller.client, "okta")}
    assert made["startUrl"].endswith(f"/api/client/auth/oidc?client={caller.client}&provider=okta")
    assert (made["kind"], made["enabled"], made["displayName"]) == ("oidc", True, "Okta")
    assert check_success(await caller.send("GET", "/okta")) == made
    assert check_success(await caller.send("GET")) == {"items": [made], "nextCursor": None}
    change = {"displayName": "Our Okta", "oidc": {"groupClaim": "teams"}}
    changed = check_success(await caller.send("PATCH", "/okta", change))
    expected = {**made, "displayName": "Our Okta", "oidc": {**made["oidc"], "groupClaim": "teams"}}
    assert {**changed, "changedAt": ""} == {**expected, "changedAt": ""}
    assert check_success(await caller.send("POST", "/okta/switch-off"))["enabled"] is False
    check_refusal(await caller.send("POST", "/okta/switch-off"), 409, "CONFLICT")
    assert check_success(await caller.send("POST", "/okta/switch-on"))["enabled"] is True
    check_refusal(await caller.send("POST", "/okta/switch-on"), 409, "CONFLICT")
    assert check_success(await caller.send("DELETE", "/okta")) == {}
    check_refusal(await caller.send("DELETE", "/okta"), 404, "NOT_FOUND")
    check_refusal(await caller.send("GET", "/okta"), 404, "NOT_FOUND")
    assert await caller.names() == []


@matrix("who", WHO)
async def test_a_saml_provider_says_what_to_type_in_there(app: App, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    settings = saml_settings(attributes={"groups": "teams"})
    made = check_success(await caller.create("adfs", saml=settings), 201)
    told = made["serviceProvider"]
    assert told["entityId"] == told["metadataUrl"] == entity_id(caller.client)
    assert told["acsUrl"] == entity_id(caller.client).partition("/metadata")[0]
    assert (len(told["certificates"]), len(made["signingCertificates"])) == (1, 1)
    assert made["signingCertificates"][0]["subject"] == "CN=idp.example"
    assert made["saml"]["attributes"] == {
        "email": "", "firstName": "", "lastName": "", "groups": "teams", "subject": "",
    }  # fmt: skip
    assert made["saml"]["allowIdpInitiated"] is True  # the documented JSON call is unsolicited
    changed = check_success(await caller.send("PATCH", "/adfs", {"saml": {"attributes": {"email": "mail"}}}))
    assert changed["saml"]["attributes"] == {**made["saml"]["attributes"], "email": "mail"}
    rotated = check_success(await caller.send("POST", "/adfs/rotate-key"))["serviceProvider"]["certificates"]
    assert rotated[1:] == told["certificates"]
    assert rotated[0] != rotated[1]


OTHERS = ("Author", "Approver", "Publisher", "Operator", "Viewer")
REQUESTS = [
    ("GET", ""), ("POST", ""), ("GET", "/okta"), ("PATCH", "/okta"), ("DELETE", "/okta"), ("POST", "/okta/test"),
    ("POST", "/okta/switch-off"), ("POST", "/okta/switch-on"), ("POST", "/okta/rotate-key"),
]  # fmt: skip


async def test_no_other_role_can_look_at_them_or_change_them(app: App, admin: Editor) -> None:
    made = await admin.make(name="okta")
    someone = (await member(app, admin.client, *OTHERS)).token  # all of them together grant no more
    for method, path in REQUESTS:
        body: dict[str, Any] = {"name": "mine", "oidc": OIDC} if (method, path) == ("POST", "") else {}
        reply = await app.send(method, f"/api/client/providers{path}", body, token=someone)
        check_refusal(reply, 403, "FORBIDDEN", message="Insufficient permissions")
    assert check_success(await admin.send("GET"))["items"] == [made]


@matrix("who", WHO[1:])
async def test_another_clients_provider_looks_nonexistent(app: App, admin: Editor, who: str) -> None:
    made = await admin.make(name="okta")
    outsider = await editor(app, who, await new_client(app))
    for method, path in REQUESTS:
        if not path:
            continue
        body: dict[str, Any] | None = {} if method != "GET" else None
        foreign = await outsider.send(method, path, body)
        check_refusal(foreign, 404, "NOT_FOUND")
        same_but_request_id(foreign, await outsider.send(method, path.replace("okta", "nope"), body))
    assert await outsider.names() == []
    await outsider.make(name="okta")  # each client has separate names
    assert check_success(await admin.send("GET"))["items"] == [made]
    reply = await app.get("/api/client/providers", token=outsider.token, headers={"X-Client-ID": admin.client})
    check_refusal(reply, 403, "FORBIDDEN")


@matrix("who", WHO)
async def test_the_secret_is_never_shown(app: App, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    made = await caller.create("okta", oidc=OIDC)
    answers = [made, await caller.send("GET"), await caller.send("GET", "/okta")]
    answers += [await caller.send("PATCH", "/okta", {"oidc": {"clientSecret": f"another-{SECRET}"}})]
    answers += [await caller.send("POST", "/okta/switch-off"), await caller.send("DELETE", "/okta")]
    for answer in answers:
        assert answer.status in (200, 201), answer.text
        assert SECRET not in answer.text
        assert "clientSecret" not in answer.text
    assert made.data["hasClientSecret"] is True
    assert not any(SECRET in event.detail for event in await trail(caller.app, caller.client))


@matrix("who", WHO)
async def test_a_secret_stays_until_it_is_changed_or_removed(app: App, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    await caller.make(name="okta")

    async def secret() -> str | None:
        found = opened(app, await stored(app, caller.client, "okta"))
        assert found is not None
        return found.client_secret

    for change, expected in (
        ({"displayName": "x"}, SECRET),
        ({"oidc": {"groupClaim": "teams"}}, SECRET),
        ({"oidc": {"clientSecret": "new"}}, "new"),
        ({"oidc": {"clientSecret": None}}, None),
    ):
        changed = check_success(await caller.send("PATCH", "/okta", change))
        assert await secret() == expected
        assert changed["hasClientSecret"] is (expected is not None)


@matrix("who", WHO)
async def test_a_secret_is_not_taken_along_to_another_issuer(app: App, who: str) -> None:
    """A user who can change a provider but not read its secret could redirect it to their own server, and receive the
    secret."""
    caller = await editor(app, who, await new_client(app))
    before = await caller.make(name="okta")
    move = {"issuer": "https://evil.example"}
    error = check_refusal(await caller.send("PATCH", "/okta", {"oidc": move}), 400, "VALIDATION_ERROR")
    assert error["details"] == [{"field": "oidc.clientSecret", "message": "Enter it again, because the issuer changed"}]
    assert check_success(await caller.send("GET", "/okta")) == before
    for secret in ("of-the-other", None):
        changed = check_success(await caller.send("PATCH", "/okta", {"oidc": {**move, "clientSecret": secret}}))
        assert changed["oidc"]["issuer"] == "https://evil.example"
        found = opened(app, await stored(app, caller.client, "okta"))
        assert found is not None
        assert found.client_secret == secret


async def test_secrets_are_encrypted_for_their_own_row_alone(app: App, admin: Editor) -> None:
    await admin.make(name="one")
    await admin.make(name="two")
    check_success(await admin.create("adfs", saml=saml_settings()), 201)
    one, two, adfs = [await stored(app, admin.client, name) for name in ("one", "two", "adfs")]
    for row, text in ((one, SECRET), (two, SECRET), (adfs, "PRIVATE KEY")):
        assert row.secrets
        assert text.encode() not in row.secrets
    of_one, of_adfs = opened(app, one), opened(app, adfs)
    assert of_one is not None
    assert of_one.client_secret == SECRET
    assert of_adfs is not None
    assert "PRIVATE KEY" in of_adfs.keys[0]
    assert one.secrets != two.secrets  # the secrets are the same, but nobody can see that
    for moved in (two._replace(secrets=one.secrets), one._replace(tenant_id=one.tenant_id + 1)):
        assert opened(app, moved) is None


async def test_a_name_and_an_entity_id_stand_once_in_a_client(admin: Editor) -> None:
    await admin.make(name="okta")
    check_refusal(await admin.create("okta", oidc=OIDC), 409, "CONFLICT")
    settings = saml_settings()
    check_success(await admin.create("adfs", saml=settings), 201)
    check_refusal(await admin.create("again", saml=settings), 409, "CONFLICT")
    await admin.make(name="okta-too")  # several clients can use one issuer
    replies = await asyncio.gather(*(admin.create("race", oidc=OIDC) for _ in range(5)))
    assert sorted(reply.status for reply in replies) == [201, 409, 409, 409, 409]
    assert sorted(await admin.names()) == ["adfs", "okta", "okta-too", "race"]
    settings = saml_settings()
    replies = await asyncio.gather(*(admin.create(f"race-{number}", saml=settings) for number in range(5)))
    assert sorted(reply.status for reply in replies) == [201, 409, 409, 409, 409]


async def test_the_operation_that_the_command_line_calls_lets_them_wait_too(admin: Editor) -> None:
    """``provider add`` runs in a separate process, so a lock within the server can't hold it."""
    await admin.create("adfs", saml=saml_settings())
    await admin.make(name="okta")
    adfs, okta = [await stored(admin.app, admin.client, name) for name in ("adfs", "okta")]
    await admin.send("DELETE", "/adfs")

    async def added(like: Any, *numbers: int) -> int:
        return sum(await asyncio.gather(*(add_past_the_server(admin.app, f"p{number}", like) for number in numbers)))

    assert await added(adfs, *range(5)) == 1
    assert await added(okta, *range(10, 57)) == 47
    assert await added(okta, *range(60, 65)) == 1


async def test_a_client_has_fifty_at_most(admin: Editor) -> None:
    for number in range(50):
        await admin.make(name=f"n{number:02}", displayName=f"The {number}. Company")
    check_refusal(await admin.create("one-more", oidc=OIDC), 409, "CONFLICT")
    check_success(await admin.send("DELETE", "/n17"))
    replies = await asyncio.gather(*(admin.create(f"one-more-{number}", oidc=OIDC) for number in range(5)))
    assert sorted(reply.status for reply in replies) == [201, 409, 409, 409, 409]


@matrix("who", WHO)
async def test_the_list_is_paged_and_searchable(app: App, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    for name, display in (("okta", "Acme Okta"), ("entra", "Acme's Entra"), ("partner_x", "50% Partner"), ("ad", "")):
        await caller.make(name=name, **({"displayName": display} if display else {}))
    shown, cursor = [], ""
    while cursor is not None:
        page = check_success(await caller.send("GET", f"?first=3&after={cursor}"))
        shown.append([one["name"] for one in page["items"]])
        cursor = page["nextCursor"]
    assert shown == [["okta", "entra", "partner_x"], ["ad"]]
    for text, expected in (
        ("acme", ["okta", "entra"]), ("PARTNER_X", ["partner_x"]), ("50%25", ["partner_x"]), ("ad", ["ad"]),
        ("%25", ["partner_x"]), ("_", ["partner_x"]), ("nobody", []),
    ):  # fmt: skip
        found = check_success(await caller.send("GET", f"?q={text}"))
        assert [one["name"] for one in found["items"]] == expected, text
    check_refusal(await caller.send("GET", "?first=0"), 400, "VALIDATION_ERROR")


@matrix("who", WHO)
async def test_the_list_is_sorted_and_filtered(app: App, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    for name in ("okta", "entra", "partner"):
        await caller.make(name=name)
    check_success(await caller.send("POST", "/okta/switch-off"))
    for query, expected in (
        ("sort=NAME", ["entra", "okta", "partner"]), ("sort=NAME_DESC", ["partner", "okta", "entra"]),
        ("sort=ID_DESC", ["partner", "entra", "okta"]), ("state=off", ["okta"]), ("state=on", ["entra", "partner"]),
        ("kind=oidc&sort=NAME", ["entra", "okta", "partner"]), ("kind=saml", []),
    ):  # fmt: skip
        shown: list[str] = []
        cursor = ""
        while cursor is not None:
            page = check_success(await caller.send("GET", f"?first=2&after={cursor}&{query}"))
            shown += [one["name"] for one in page["items"]]
            cursor = page["nextCursor"]
        assert shown == expected, query
    for wrong in ("sort=x", "state=x", "kind=x", "sort=NAME&after=999999"):
        check_refusal(await caller.send("GET", f"?{wrong}"), 400, "VALIDATION_ERROR")


@matrix("who", WHO)
async def test_every_change_is_in_the_clients_audit_trail(app: App, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    made = await caller.make(name="okta")
    await caller.send("PATCH", "/okta", {"domains": ["acme.example"], "oidc": {"clientSecret": "new"}})
    await caller.send("POST", "/okta/switch-off")
    await caller.send("POST", "/okta/switch-on")
    await caller.send("DELETE", "/okta")
    events = [event for event in await trail(app, caller.client) if event.event.startswith("provider_")]
    assert [event.event for event in events] == [
        "provider_created", "provider_changed", "provider_switched_off", "provider_switched_on", "provider_deleted",
    ]  # fmt: skip
    assert {event.subject for event in events} == {f"provider:{made['id']}"}
    assert {event.actor.partition(":")[0] for event in events} == {
        "admin" if caller.base.startswith("/api/admin") else "user"
    }
    assert "acme.example" in events[1].detail
    assert events[1].members["secret_changed"] is True
    assert "okta" in events[4].detail
    assert (await caller.make(name="later", enabled=False))["enabled"] is False
    later = (await trail(app, caller.client))[-1]
    assert (later.event, later.members["name"], later.members["on"]) == ("provider_created", "later", False)
    assert "on" not in events[0].members
