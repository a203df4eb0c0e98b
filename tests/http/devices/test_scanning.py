"""A person shows a code to a headset, enters the two digits that it then shows, and so signs it in."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.accounts import trail
from tests.support.application import PASSWORD, App, running
from tests.support.envelope import check_refusal, check_success
from tests.support.headsets import ELSEWHERE, HERE, Wearer, wearer
from tests.support.matrix import matrix
from tests.support.oauth_callers import form
from tests.support.rules import rule

pytestmark = [
    pytest.mark.one_store,
    pytest.mark.settings(MANIFEST_TRUSTED_PROXIES="192.0.2.1", MANIFEST_RATE_LIMITS="off"),
]


async def test_the_complete_flow(app: App) -> None:
    ada = await wearer(app, "Operator", "Author")
    pairing = await ada.begin()
    assert pairing["qr"].startswith(f"{app.public_url}/pair#{ada.client}.")
    assert (await ada.look(pairing))["state"] == "waiting"
    headset = ada.headset()
    shown = await headset.scan(pairing["qr"], "Quest 3 Halle-2")
    assert (len(shown["match"]), shown["expires_in"], shown["interval"]) == (2, 120, 2)
    seen = await ada.look(pairing)
    assert seen["state"] == "claimed"
    device = seen["device"]
    assert (device["app"], device["name"], device["address"]) == ("Manifest", "Quest 3 Halle-2", HERE)
    assert (device["sameNetwork"], device["roles"]) == (True, ["Operator"])
    assert await headset.polled(2) == "authorization_pending"
    check_success(await ada.approve(pairing, shown["match"]))
    assert (await ada.look(pairing))["state"] == "approved"
    tokens = await headset.tokens()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert (await ada.look(pairing))["state"] == "done"
    me = check_success(await app.me(tokens["access_token"]))
    assert (me["user"]["email"], me["roles"]) == (ada.who.email, ["Operator"])
    assert (me["session"]["method"], me["session"]["amr"], me["session"]["authenticatedAt"]) == (
        "device",
        ["device"],
        None,
    )
    listed = check_success(await app.get("/api/client/auth/sessions", token=ada.who.token))["items"]
    assert [(one["appId"], one["label"]) for one in listed if one["method"] == "device"] == [
        (f"manifest.{ada.client}", "Quest 3 Halle-2")
    ]
    events = [(one.event, one.subject) for one in await trail(app, ada.client)]
    me_as_subject = f"user:{ada.who.id}"
    assert [name for name, subject in events if subject == me_as_subject][-4:] == [
        "pairing_begun", "pairing_claimed", "device_approved", "signed_in",
    ]  # fmt: skip


async def test_typed_letters_work_in_any_spelling_and_only_with_their_client(app: App) -> None:
    ada, eve = await wearer(app), await wearer(app)
    pairing = await ada.begin()
    foreign = await eve.headset().post("/oauth2/pairing", pairing_code=pairing["typed"])
    assert foreign.json["error"] == "invalid_grant"
    await ada.headset().scan(pairing["typed"].lower().replace("-", " "))


@matrix("spoilt", ["unknown", "used", "over", "renewed", "another client's", "closed"])
async def test_an_expired_code_is_rejected_like_any_other(app: App, spoilt: str) -> None:
    ada = await wearer(app)
    pairing, headset = await ada.begin(), ada.headset()
    code = pairing["qr"]
    if spoilt == "unknown":
        code = code[:-1] + ("A" if code[-1] != "A" else "B")
    elif spoilt == "used":
        await ada.headset().scan(code)
    elif spoilt == "over":
        app.clock.advance(60)
        assert (await ada.look(pairing))["state"] == "expired"
    elif spoilt == "renewed":
        fresh = check_success(await ada.send("POST", f"/pairings/{pairing['id']}/renew"))
        assert fresh["id"] == pairing["id"]
        await ada.headset().scan(fresh["qr"])
    elif spoilt == "another client's":
        code = code.replace(f"#{ada.client}.", "#acme.")
    else:
        check_success(await ada.send("POST", f"/pairings/{pairing['id']}/deny"))
    refused = await headset.post("/oauth2/pairing", pairing_code=code)
    assert (refused.status, refused.json["error"]) == (400, "invalid_grant")
    assert refused.json["error_description"] == "The pairing code is unknown, used, or expired"


@rule("DEVICE-APPROVAL")
async def test_an_incorrect_number_permanently_rejects_the_device(app: App) -> None:
    ada = await wearer(app)
    pairing, headset = await ada.begin(), ada.headset()
    shown = await headset.scan(pairing["qr"])
    wrong = "00" if shown["match"] != "00" else "01"
    check_refusal(await ada.approve(pairing, wrong), 409, "CONFLICT")
    check_refusal(await ada.approve(pairing, shown["match"]), 409, "CONFLICT")
    assert (await ada.look(pairing))["state"] == "denied"
    assert await headset.polled() == "access_denied"


@rule("DEVICE-APPROVAL")
async def test_an_approved_device_can_be_rejected_until_it_polls(app: App) -> None:
    ada = await wearer(app)
    pairing, headset = await ada.begin(), ada.headset()
    shown = await headset.scan(pairing["qr"])
    check_success(await ada.approve(pairing, shown["match"]))
    check_success(await ada.send("POST", f"/pairings/{pairing['id']}/deny"))
    assert (await ada.look(pairing))["state"] == "denied"
    assert await headset.polled(2) == "access_denied"


async def test_from_another_network_it_is_rejected_with_the_reason_unless_the_client_allows_it(app: App) -> None:
    ada = await wearer(app)
    pairing, far = await ada.begin(), ada.headset(ELSEWHERE)
    shown = await far.scan(pairing["qr"])
    assert (await ada.look(pairing))["device"]["sameNetwork"] is False
    refused = check_refusal(await ada.approve(pairing, shown["match"]), 403, "FORBIDDEN")
    assert "different network" in refused["message"]
    assert await far.polled() == "authorization_pending"
    anywhere = await wearer(app, sameNetwork=False)
    await anywhere.paired(ELSEWHERE)


@matrix(
    ("one", "other", "networks", "same"),
    [
        ("2001:db8:1:2::7", "2001:db8:1:2::8", [], True),
        ("2001:db8:1:2::7", "2001:db8:1:3::8", [], False),
        ("2001:db8:1:2::7", "2001:db8:1:3::8", ["2001:db8:1::/48"], True),
        ("10.1.2.3", "192.168.9.9", [], True),
        ("10.1.2.3", "192.168.9.9", ["10.0.0.0/8"], False),
        ("203.0.113.9", "203.0.113.10", ["203.0.113.0/24"], True),
        ("203.0.113.9", "203.0.113.10", [], False),
        ("127.0.0.1", "127.0.0.1", [], True),
    ],
)
async def test_what_counts_as_one_network(
    app: App, one: str, other: str, networks: list[str], same: bool
) -> None:  # fmt: skip
    ada = await wearer(app, at=other, networks=networks)
    pairing = await ada.begin()
    await ada.headset(one).scan(pairing["qr"])
    assert (await ada.look(pairing))["device"]["sameNetwork"] is same


@rule("DEVICE-APPROVAL")
async def test_behind_a_public_address_loopback_is_no_network(app: App, database_url: str) -> None:
    public = {"MANIFEST_PUBLIC_URL": "https://auth.example.com", "MANIFEST_TRUSTED_PROXIES": "192.0.2.1"}
    async with running(database_url, **public) as node:
        ada = await wearer(node, at="127.0.0.1")
        pairing = await ada.begin()
        await ada.headset("127.0.0.1").scan(pairing["qr"])
        assert (await ada.look(pairing))["device"]["sameNetwork"] is False


async def test_a_user_without_a_device_role_cannot_pair(app: App) -> None:
    admin = await wearer(app, "Admin", "User Admin")
    check_refusal(await admin.send("POST", "/pairings"), 403, "FORBIDDEN")


@rule("DEVICE-APPROVAL")
async def test_it_requires_reauthentication_and_the_same_session(app: App) -> None:
    ada = await wearer(app)
    pairing = await ada.begin()
    shown = await ada.headset().scan(pairing["qr"])
    again = (await app.sign_in(ada.who.email, client=ada.client)).data["token"]
    other = Wearer(app, ada.client, ada.who._replace(token=again))
    check_refusal(await other.approve(pairing, shown["match"]), 404, "NOT_FOUND")
    app.clock.advance(599)
    late = await ada.begin()
    shown = await ada.headset().scan(late["qr"])
    app.clock.advance(1)
    for reply in (await ada.send("POST", "/pairings"), await ada.approve(late, shown["match"])):
        check_refusal(reply, 403, "REAUTHENTICATION_REQUIRED")
    check_success(await app.post("/api/client/auth/reauthenticate", {"password": PASSWORD}, token=ada.who.token))
    check_success(await ada.approve(late, shown["match"]))


async def test_turned_off_neither_side_begins(app: App) -> None:
    ada = await wearer(app, scan=False)
    check_refusal(await ada.send("POST", "/pairings"), 409, "CONFLICT")
    refused = await ada.headset().post("/oauth2/pairing", pairing_code="x")
    assert refused.json["error"] == "unauthorized_client"


@rule("DEVICE-GUESSES")
async def test_a_fourth_pairing_ends_the_oldest(app: App) -> None:
    ada = await wearer(app)
    first = await ada.begin()
    headset = ada.headset()
    await headset.scan(first["qr"])
    for _ in range(3):
        app.clock.advance(1)
        await ada.begin()
    assert (await ada.look(first))["state"] == "denied"
    assert await headset.polled() == "access_denied"


@rule("DEVICE-GUESSES")
async def test_an_eleventh_device_is_rejected(app: App) -> None:
    ada = await wearer(app)
    headsets = [(await ada.paired())[0] for _ in range(9)]
    pairings = [await ada.begin() for _ in range(2)]
    waiting = []
    for pairing in pairings:
        headset = ada.headset()
        shown = await headset.scan(pairing["qr"])
        check_success(await ada.approve(pairing, shown["match"]))
        waiting.append(headset)
    assert [await one.polled(0) for one in waiting] == ["", "access_denied"]
    check_refusal(await ada.send("POST", "/pairings"), 409, "CONFLICT")
    assert len(headsets) == 9


@rule("DEVICE-APPROVAL")
async def test_one_of_fifty_concurrent_claims_wins(app: App, database_url: str) -> None:
    ada = await wearer(app)
    pairing = await ada.begin()
    settings = {"MANIFEST_TRUSTED_PROXIES": "192.0.2.1", "MANIFEST_RATE_LIMITS": "off"}
    async with running(database_url, **settings) as other:
        other.goes_by_the_clock_of(app)
        fields = {"client_id": f"manifest.{ada.client}", "pairing_code": pairing["qr"]}
        claims = (form(node, "/oauth2/pairing", fields) for node in (app, other) for _ in range(25))
        replies = await asyncio.gather(*claims)
    assert sorted(reply.status for reply in replies) == [200] + [400] * 49
    assert {reply.json["error"] for reply in replies if reply.status == 400} == {"invalid_grant"}
