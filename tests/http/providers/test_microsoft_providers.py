"""Settings of the two Microsoft provider kinds: IDs, secrets, and rejected combinations."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.providers.provider_editors import WHO, Editor, editor
from tests.support.accounts import new_client, trail
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.single_sign_on import BASE

pytestmark = pytest.mark.one_store

DIRECTORY, OTHER = "c0c0c0c0-1111-4111-8111-111111111111", "fafafafa-2222-4222-8222-222222222222"
CLIENT_ID, APP = "0a0a0a0a-1111-4111-8111-0000000000aa", "0b0b0b0b-2222-4222-8222-0000000000bb"
SECRET = "the-client-secret-of-entra"
ORGANIZATION = "https://contoso.crm.dynamics.com"
DYNAMICS = {"directory": DIRECTORY, "clientId": CLIENT_ID, "organization": ORGANIZATION, "clientSecret": SECRET}
ENTRA = {"directory": DIRECTORY, "applications": [APP]}


@matrix("who", WHO)
async def test_both_kinds_are_made_looked_at_and_changed(app: App, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    crm = check_success(await caller.create("crm", dynamics=DYNAMICS), 201)
    assert crm["dynamics"] == {
        "directory": DIRECTORY, "clientId": CLIENT_ID, "organization": ORGANIZATION, "cloud": "",
        "groupClaim": "groups", "trustEmail": False, "keepTokens": False, "audiences": [],
    }  # fmt: skip
    assert (crm["kind"], crm["hasClientSecret"]) == ("dynamics", True)
    assert crm["serviceProvider"] == {"callbackUrl": f"{BASE}/api/client/auth/ms-dynamics/callback"}
    assert crm["startUrl"] == f"{BASE}/api/client/auth/ms-dynamics?client={caller.client}&provider=crm"
    apps = check_success(await caller.create("apps", entra=ENTRA), 201)
    assert apps["entra"] == {
        "directory": DIRECTORY, "applications": [APP], "cloud": "", "graphTokens": True, "clientId": "",
        "appIdUri": "", "scopes": [], "askGraph": False, "guests": False, "groupClaim": "groups", "trustEmail": False,
    }  # fmt: skip
    assert (apps["kind"], apps["hasClientSecret"], apps["serviceProvider"]) == ("entra", False, {})
    assert "startUrl" not in apps  # nobody signs in there, because apps send a token
    changed = check_success(await caller.send("PATCH", "/crm", {"dynamics": {"keepTokens": True}}))
    assert changed["dynamics"] == {**crm["dynamics"], "keepTokens": True}
    changed = check_success(await caller.send("PATCH", "/apps", {"entra": {"applications": [APP, CLIENT_ID]}}))
    assert changed["entra"] == {**apps["entra"], "applications": [APP, CLIENT_ID]}
    reply = await caller.app.get(f"/api/client/auth/oidc?client={caller.client}&provider=apps")
    check_refusal(reply, 404, "NOT_FOUND")


@matrix("kind", ["dynamics", "entra"])
@matrix("who", WHO)
async def test_the_secret_is_never_shown(app: App, kind: str, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    settings = DYNAMICS if kind == "dynamics" else {**ENTRA, "clientId": CLIENT_ID, "clientSecret": SECRET}
    answers = [await caller.create("ms", **{kind: settings}), await caller.send("GET"), await caller.send("GET", "/ms")]
    answers += [await caller.send("PATCH", "/ms", {kind: {"clientSecret": f"another-{SECRET}"}})]
    answers += [await caller.send("PATCH", "/ms", {kind: {"directory": "x", "clientSecret": SECRET}})]
    answers += [await caller.send("DELETE", "/ms")]
    assert [answer.status for answer in answers] == [201, 200, 200, 200, 400, 200]
    for answer in answers:
        assert SECRET not in answer.text
    assert not any(SECRET in event.detail for event in await trail(caller.app, caller.client))


GUIDS = ["", "contoso", "contoso.onmicrosoft.com", "common", "organizations", "consumers", DIRECTORY[:-1],
         f"{DIRECTORY}0", DIRECTORY.upper(), f"{{{DIRECTORY[1:-1]}}}", DIRECTORY.replace("-", "_"),
         DIRECTORY[:-1] + "g", f"{DIRECTORY[:-1]}\n", f"{DIRECTORY[:-2]}/.", "٠" * 36, 7, None,
         [DIRECTORY]]  # fmt: skip


@matrix("guid", GUIDS)
async def test_an_invalid_guid_is_rejected_wherever_one_belongs(admin: Editor, guid: Any) -> None:
    for kind, settings, member in (
        ("dynamics", DYNAMICS, "directory"),
        ("dynamics", DYNAMICS, "clientId"),
        ("entra", ENTRA, "directory"),
        *((("entra", {**ENTRA, "clientId": CLIENT_ID}, "clientId"),) if guid != "" else ()),
    ):
        reply = await admin.create("ms", **{kind: {**settings, member: guid}})
        error = check_refusal(reply, 400, "VALIDATION_ERROR")
        assert error["details"][0]["field"] == f"{kind}.{member}", error
    reply = await admin.create("ms", entra={**ENTRA, "applications": [APP, guid]})
    error = check_refusal(reply, 400, "VALIDATION_ERROR")
    assert error["details"][0]["field"] == "entra.applications[1]", error
    assert await admin.names() == []


@matrix("change", [{"directory": OTHER}, {"cloud": "us-dod", "organization": "https://contoso.crm.appsplatform.us"}])
@matrix("who", WHO)
async def test_a_secret_is_not_shown_to_another_directory_or_cloud(app: App, change: dict[str, Any], who: str) -> None:
    """A user who can change a provider but not read its secret could redirect it to their own server."""
    caller = await editor(app, who, await new_client(app))
    made = check_success(await caller.create("crm", dynamics=DYNAMICS), 201)
    error = check_refusal(await caller.send("PATCH", "/crm", {"dynamics": change}), 400, "VALIDATION_ERROR")
    assert error["details"] == [
        {"field": "dynamics.clientSecret", "message": "Enter it again, because the issuer changed"}
    ]
    assert check_success(await caller.send("GET", "/crm")) == made
    for secret in ("new", None):
        changed = await caller.send("PATCH", "/crm", {"dynamics": {**change, "clientSecret": secret}})
        assert check_success(changed)["hasClientSecret"] is (secret is not None)


ENTRAS: dict[str, tuple[dict[str, Any], str]] = {
    "no applications": ({**ENTRA, "applications": []}, "entra.applications"),
    "no list of them": ({"directory": DIRECTORY}, "entra.applications"),
    "neither kind of token": ({**ENTRA, "graphTokens": False}, "entra.clientId"),
    "a scope with a blank": ({**ENTRA, "scopes": ["a b"]}, "entra.scopes"),
    "an empty scope": ({**ENTRA, "scopes": [""]}, "entra.scopes"),
    "a number as text": ({**ENTRA, "guests": "true"}, "entra.guests"),
    "too many applications": ({**ENTRA, "applications": [APP] * 101}, "entra.applications"),
}


@matrix("case", ENTRAS)
async def test_what_else_is_wrong_with_an_entra_provider(admin: Editor, case: str) -> None:
    settings, field = ENTRAS[case]
    error = check_refusal(await admin.create("ms", entra=settings), 400, "VALIDATION_ERROR")
    assert error["details"][0]["field"] == field
    assert await admin.names() == []


async def test_the_kind_of_a_provider_does_not_change(admin: Editor) -> None:
    check_success(await admin.create("ms", dynamics=DYNAMICS), 201)
    for change in ({"entra": ENTRA}, {"dynamics": None, "entra": ENTRA}):
        check_refusal(await admin.send("PATCH", "/ms", change), 400, "VALIDATION_ERROR")
    check_refusal(await admin.create("two", dynamics=DYNAMICS, entra=ENTRA), 400, "VALIDATION_ERROR")
    check_refusal(await admin.send("POST", "/ms/rotate-key"), 409, "CONFLICT")
