"""Invalid API keys are rejected without the database if possible, and otherwise counted by address."""

from __future__ import annotations

import re

import pytest

from tests.support.accounts import new_client, settle
from tests.support.application import App
from tests.support.attempt_limits import PROXY, addresses, at
from tests.support.envelope import check_refusal
from tests.support.machines import SCANNER, machine, unknown_key, wrong
from tests.support.matrix import matrix
from tests.support.oauth_callers import ASSERTION_TYPE, GRANT, REVOKE, TOKEN, basic, form
from tests.support.rules import rule
from tests.support.statements import counted_statements, look_ups

ME = "/api/client/auth/me"
pytestmark = [pytest.mark.settings(**PROXY), pytest.mark.usefixtures("another_day"), pytest.mark.still]
FREE = 30


@rule("MACHINE-JUNK")
async def test_a_wrong_checksum_asks_no_store_ever(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    junk = [wrong(unknown_key()), "mfst_key_", "mfst_key_" + "A" * 49, "mfst_", unknown_key() + "0"]
    junk += [unknown_key("sec"), unknown_key().replace("mfst_", "mfst-").replace("mfst-", "mfst_X")]
    await app.me(junk[0])  # loads keys and settings
    seen = look_ups(monkeypatch, app)
    with counted_statements() as counted:
        for number in range(500):
            check_refusal(await app.me(junk[number % len(junk)]), 401, "INVALID_TOKEN")
    assert (seen, counted) == ([], [])


@rule("MACHINE-JUNK")
async def test_well_formed_unknown_ones_count_by_address(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = (at(address) for address in addresses(2))
    for _ in range(FREE):
        check_refusal(await app.get(ME, token=unknown_key(), headers=here), 401, "INVALID_TOKEN")
    check_refusal(await app.get(ME, token=unknown_key(), headers=here), 429, "RATE_LIMITED")
    seen = look_ups(monkeypatch, app)
    with counted_statements() as counted:
        for _ in range(20):
            app.clock.advance(0.049)  # almost a second in total
            check_refusal(await app.get(ME, token=unknown_key(), headers=here), 429, "RATE_LIMITED")
    assert (seen, counted) == ([], [])
    check_refusal(await app.get(ME, token=unknown_key(), headers=there), 401, "INVALID_TOKEN")
    app.clock.advance(1)
    check_refusal(await app.get(ME, token=unknown_key(), headers=here), 401, "INVALID_TOKEN")
    waits = await app.get(ME, token=unknown_key(), headers=here)
    assert (waits.status, waits.headers["retry-after"]) == (429, "2")


@rule("MACHINE-JUNK")
async def test_unknown_ones_at_revocation_count_too(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    [address] = addresses(1, 30)
    for _ in range(FREE):
        assert (await form(app, REVOKE, {"token": unknown_key()}, at(address))).status == 200
    assert (await form(app, REVOKE, {"token": unknown_key()}, at(address))).status == 429
    seen = look_ups(monkeypatch, app)
    with counted_statements() as counted:
        for _ in range(20):
            assert (await form(app, REVOKE, {"token": unknown_key()}, at(address))).status == 429
    assert (seen, counted) == ([], [])


@rule("OAUTH-GUESSES")
@matrix("way", ["secret of an account", "assertion of an account", "secret of an app"])
async def test_guesses_at_one_client_id_count_from_all_addresses(app: App, way: str) -> None:
    async def guess(number: int, address: str) -> int:
        of_app, by_assertion = way.endswith("app"), way.startswith("assertion")
        client_id = f"app_{number:016}" if of_app else f"svc_{number}"
        assertion = {"client_id": client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": "a.b.c"}
        headers = {} if by_assertion else basic(client_id, unknown_key("sec"))
        path = "/o/acme/token" if of_app else TOKEN
        return (await form(app, path, GRANT | (assertion if by_assertion else {}), headers | at(address))).status

    *guessing, last = addresses(FREE + 2, 3000)
    assert [await guess(9_000_001, address) for address in guessing] == [401] * FREE + [429]
    assert [await guess(number, last) for number in (9_000_001, 9_000_002)] == [429, 401]


@rule("MACHINE-JUNK")
async def test_a_key_that_was_right_passes_while_its_address_waits(app: App) -> None:
    it = await machine(app, await new_client(app))
    [address] = addresses(1, 10)
    assert (await app.get(ME, token=it.key.text, headers=at(address))).status == 200
    for _ in range(FREE + 1):
        last = await app.get(ME, token=unknown_key(), headers=at(address))
    assert last.status == 429
    assert (await app.get(ME, token=it.key.text, headers=at(address))).status == 200


@rule("MACHINE-ADDRESSES")
async def test_only_listed_addresses_can_sign_in(app: App) -> None:
    it = await machine(app, await new_client(app), addresses=["198.51.100.0/24", "2001:db8:1::/48"])
    for address, status in (
        ("198.51.100.77", 200), ("198.51.101.1", 403), ("2001:db8:1::9", 200), ("2001:db8:2::9", 403),
        ("::ffff:198.51.100.7", 200),
    ):  # fmt: skip
        assert (await app.get(ME, token=it.key.text, headers=at(address))).status == status, address
    told = "The networks of the service account don't include your address, 203.0.113.5"
    refused = check_refusal(await app.get(ME, token=it.key.text, headers=at("203.0.113.5")), 403, "FORBIDDEN")
    assert refused["details"] == [{"field": "address", "message": told}]


@rule("MACHINE-ADDRESSES")
@matrix("method", ["GET", "POST"])
async def test_no_page_reads_an_answer_to_a_machine(app: App, method: str) -> None:
    client, origin = await new_client(app), "https://app.machines.example"
    await settle(app, client, allowedOrigins=[origin])
    it = await machine(app, client)
    path, body = (ME, None) if method == "GET" else ("/api/client/graphql", {"query": "{ me { id } }"})
    for token in (it.key.text, wrong(it.key.text), unknown_key()):
        headers = {"Origin": origin, "X-Client-ID": client, **at(addresses(1, 20)[0])}
        reply = await app.send(method, path, body, token=token, headers=headers)
        assert reply.status == (200 if token == it.key.text else 401)
        assert not [name for name in reply.headers if name.startswith("access-control-")]


@rule("MACHINE-SECRETS")
async def test_scanners_find_each_secret_in_the_answer_that_makes_it_and_nowhere_else(app: App) -> None:
    client = await new_client(app)
    it = await machine(app, client)
    token = await app.admin_token()
    made = await app.post(f"{it.base}/secrets", {"label": "x"}, token=token)
    assert len(re.findall(SCANNER, made.text)) == 1
    assert (await app.me(it.key.text)).status == 200
    for path in (it.base, f"/api/admin/clients/{client}/service-accounts", f"/api/admin/audit?client={client}"):
        text = (await app.get(path, token=token)).text
        assert it.key.id in text
        assert not re.search(SCANNER, text)
