"""Sessions of devices end at their time limit, manually, and with the app, on every node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.accounts import new_client, settle
from tests.support.application import App, running
from tests.support.envelope import check_refusal, check_success
from tests.support.headsets import OWN, Headset, wearer
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.people import set_roles
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, act_on_provider, add_oidc
from tests.support.user_management import reset

pytestmark = pytest.mark.settings(MANIFEST_TRUSTED_PROXIES="192.0.2.1", MANIFEST_RATE_LIMITS="off")
HOUR = 3600


@pytest.fixture(scope="module")
async def other(app: App, database_url: str) -> AsyncIterator[App]:
    async with running(database_url, MANIFEST_TRUSTED_PROXIES="192.0.2.1") as node:
        node.goes_by_the_clock_of(app)
        yield node


@rule("DEVICE-END")
async def test_it_ends_after_its_hours_regardless_of_refreshes(app: App) -> None:
    ada = await wearer(app, hours=2)
    headset, tokens = await ada.paired()
    app.clock.advance(2 * HOUR - 60)
    renewed = (await headset.refresh(tokens["refresh_token"])).json
    assert renewed["expires_in"] == 60
    app.clock.advance(60)
    assert (await app.me(renewed["access_token"])).code == "TOKEN_EXPIRED"
    assert (await headset.refresh(renewed["refresh_token"])).json["error"] == "invalid_grant"


@rule("DEVICE-END")
async def test_it_lasts_no_longer_than_the_client_lets_sessions_last(app: App) -> None:
    ada = await wearer(app, hours=12)
    headset, tokens = await ada.paired()
    await settle(app, ada.client, sessions={"maxSeconds": 3600})
    app.clock.advance(HOUR)
    assert (await headset.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"
    ben = await wearer(app, client=ada.client)
    assert (await ben.paired())[1]["expires_in"] <= 3600


@rule("DEVICE-ROLES")
async def test_the_cap_counts_after_a_refresh_and_in_the_transaction_of_an_act(app: App) -> None:
    ada = await wearer(app, "Operator")
    headset, tokens = await ada.paired()
    await set_roles(app, ada.client, ada.who.id, "User Admin")
    renewed = (await headset.refresh(tokens["refresh_token"])).json["access_token"]
    me = check_success(await app.me(renewed))
    assert (me["roles"], me["permissions"]) == ([], [])
    check_refusal(await app.get("/api/client/apps", token=renewed), 403, "FORBIDDEN")


@rule("DEVICE-END")
@matrix("way", ["by hand", "everywhere", "a new password", "its app is removed", "by a manager"])
async def test_the_other_node_notices_its_end(app: App, other: App, way: str) -> None:
    ada = await wearer(app)
    root, of_client = await app.admin_token(), f"/api/admin/clients/{ada.client}"
    made = check_success(await app.post(f"{of_client}/apps", {"name": "Inspection", "kind": "device"}, token=root), 201)
    pairing, headset = await ada.begin(), Headset(app, made["id"])
    shown = await headset.scan(pairing["qr"])
    check_success(await ada.approve(pairing, shown["match"]))
    token = (await headset.tokens())["access_token"]
    assert (await other.me(token)).status == 200
    session = check_success(await app.me(token))["session"]["id"]
    if way == "by hand":
        check_success(await app.send("DELETE", f"/api/client/auth/sessions/{session}", token=ada.who.token))
    elif way == "everywhere":
        check_success(await app.post("/api/client/auth/sign-out-all", token=ada.who.token))
    elif way == "a new password":
        link = check_success(await app.post(f"{of_client}/users/{ada.who.id}/password-reset", token=root), 201)["link"]
        check_success(await reset(app, link.partition("#")[2], "granite-otter-47-lantern"))
    elif way == "its app is removed":
        gone = check_success(await app.send("DELETE", f"{of_client}/apps/{made['id']}", token=root))
        assert gone == {"ended": 1}
    else:
        check_success(await app.send("DELETE", f"{of_client}/users/{ada.who.id}/sessions/{session}", token=root))
    for node in (app, other):
        for _ in range(200):
            if (code := (await node.me(token)).status) == 401:
                break
            await asyncio.sleep(0.01)
        assert code == 401


@matrix(
    ("method", "path", "body"),
    [("PATCH", "me", {"firstName": "Eve"}), ("POST", "sign-out-all", None), ("POST", "sign-out-others", None)],
)
async def test_it_cannot_change_the_account_or_sign_out_others(
    app: App, method: str, path: str, body: dict[str, str] | None
) -> None:
    ada = await wearer(app)
    headset, tokens = await ada.paired()
    token = tokens["access_token"]
    check_refusal(await app.send(method, f"/api/client/auth/{path}", body, token=token), 403, "FORBIDDEN")
    assert check_success(await app.me(ada.who.token))["user"]["firstName"] != "Eve"
    assert (await app.me(token)).status == 200
    check_success(await app.post("/api/client/auth/sign-out", token=token))
    assert (await headset.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"
    assert (await app.me(ada.who.token)).status == 200


@rule("DEVICE-END")
@matrix("acts", [["switch-off"], ["switch-off", "switch-on"], ["delete"]])
async def test_it_ends_with_what_its_users_provider_opened(app: App, op: Op, acts: list[str]) -> None:
    """Even if the device hasn't polled yet."""
    client = await new_client(app, pairing={"code": True, "sameNetwork": False})
    await add_oidc(app, op, client, name="idp", defaultRoles=["Operator"])
    op.claims, browser = {"sub": "ada", "auth_time": app.clock.now_ms() // 1000}, Browser(app)
    await browser.sign_in_oidc(op, "idp", client)
    here, waiting = (Headset(app, f"manifest.{client}") for _ in range(2))
    for headset in (here, waiting):
        shown = await headset.ask()
        check_success(await browser.send("POST", f"{OWN}/approve", body={"userCode": shown["user_code"]}))
    tokens = await here.tokens()
    for act in acts:
        await act_on_provider(app, client, "idp", act)
    assert (await app.me(tokens["access_token"])).status == 401
    assert (await here.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"
    assert await waiting.polled() == "access_denied"
