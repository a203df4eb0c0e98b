"""A user's own passkeys are added in the requesting session, named, and removed, up to the account's limit."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.accounts import settle, trail
from tests.support.application import App
from tests.support.authenticator import BE, EDDSA, ES256, RS256, UP, UV, Altered, Key
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.passkeys import PASSKEYS, PUBLIC, signed_in, with_passkey
from tests.support.rules import rule

pytestmark = [pytest.mark.settings(**PUBLIC), pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@rule("PASSKEY-NAMES-NO-ONE")
async def test_the_options_say_what_is_wanted_and_nothing_of_the_person_but_names(app: App) -> None:
    ada = await signed_in(app)
    found = await ada.creation_options()
    assert found["rp"] == {"id": "login.example.com", "name": "login.example.com"}
    assert found["attestation"] == "none"
    assert found["authenticatorSelection"]["residentKey"] == "required"
    assert found["authenticatorSelection"]["userVerification"] == "required"
    assert [one["alg"] for one in found["pubKeyCredParams"]] == [-8, -7, -257]
    assert (found["timeout"], found["excludeCredentials"]) == (300_000, [])
    assert len(base64.urlsafe_b64decode(found["user"]["id"] + "==")) == 64
    assert found["user"]["name"] == ada.person.email
    assert found["user"]["displayName"].endswith(f"({ada.person.client})")
    assert (await ada.creation_options())["user"] == found["user"]
    await ada.add()
    assert [one["id"] for one in (await ada.creation_options())["excludeCredentials"]] == [ada.browser.made[0].id]


async def test_the_first_passkey_brings_recovery_codes_and_ends_the_other_sessions(app: App) -> None:
    ada = await signed_in(app)
    other = check_success(await ada.person.sign_in())["token"]
    data = await ada.add()
    assert len(ada.recovery_codes) == 10
    assert data["passkey"] == {
        "id": data["passkey"]["id"], "name": "1Password", "createdAt": data["passkey"]["createdAt"],
        "lastUsedAt": None, "backedUp": True, "provider": "1Password",
    }  # fmt: skip
    check_refusal(await app.me(other), 401, "INVALID_TOKEN")
    check_success(await app.me(ada.token))
    assert "recoveryCodes" not in await ada.add()


@matrix(("name", "status"), [("", 201), ("Desk", 201), ("x" * 64, 201), ("x" * 65, 400), ("a\nb", 400)])
async def test_a_name_is_a_line_of_64_characters(app: App, name: str, status: int) -> None:
    ada = await signed_in(app)
    ada.browser.aaguid = bytes(16)
    reply = await ada.send_new(ada.browser.create(await ada.creation_options()), name)
    assert reply.status == status
    if status == 201:
        assert (reply.data["passkey"]["name"], reply.data["passkey"]["provider"]) == (name or "Passkey", None)


async def test_a_passkey_is_renamed_and_removed_by_its_owner_alone(app: App) -> None:
    ada = await with_passkey(app)
    eve = await with_passkey(app, ada.person.client)
    path = f"{PASSKEYS}/{ada.ids[0]}"
    for method, body in (("PATCH", {"name": "Mine"}), ("DELETE", None)):
        check_refusal(await app.send(method, path, body, token=eve.token), 404, "NOT_FOUND")
    assert check_success(await app.send("PATCH", path, {"name": "Desk"}, token=ada.token))["name"] == "Desk"
    check_refusal(await app.send("PATCH", path, {"name": " "}, token=ada.token), 400, "VALIDATION_ERROR")
    check_success(await app.send("DELETE", path, token=ada.token))
    check_refusal(await app.send("DELETE", path, token=ada.token), 404, "NOT_FOUND")
    check_refusal(await ada.sign_in(), 401, "INVALID_CREDENTIALS")
    check_success(await ada.person.sign_in())  # no factor is left, so none is required
    events = [event.event for event in await trail(app, ada.person.client) if event.subject == f"user:{ada.person.id}"]
    assert [name for name in events if name.startswith("passkey_")] == [
        "passkey_added", "passkey_renamed", "passkey_removed",
    ]  # fmt: skip


async def test_no_event_names_a_credential(app: App) -> None:
    ada = await with_passkey(app)
    check_success(await ada.sign_in())
    for event in await trail(app, ada.person.client):
        assert ada.browser.made[0].id not in event.detail


async def test_the_last_factor_stays_where_one_is_required(app: App) -> None:
    ada = await with_passkey(app)
    await settle(app, ada.person.client, secondFactor={"policy": "required"})
    path = f"{PASSKEYS}/{ada.ids[0]}"
    check_refusal(await app.send("DELETE", path, token=ada.token), 409, "CONFLICT")
    await ada.add()
    check_success(await app.send("DELETE", path, token=ada.token))


async def test_an_account_has_at_most_twenty(app: App) -> None:
    ada = await with_passkey(app)
    for _ in range(18):
        await ada.add()
    answers = [ada.browser.create(await ada.creation_options()) for _ in range(3)]
    replies = await asyncio.gather(*(ada.send_new(answer) for answer in answers))
    assert sorted(reply.status for reply in replies) == [201, 409, 409]
    check_refusal(await app.post(f"{PASSKEYS}/options", token=ada.token), 409, "CONFLICT")


async def test_a_credential_is_registered_once_in_the_installation(app: App) -> None:
    ada, eve = await signed_in(app), await signed_in(app)
    made = ada.browser.create(await ada.creation_options())
    check_success(await ada.send_new(made), 201)
    check_refusal(await ada.send_new(made), 409, "CONFLICT")
    options = await eve.creation_options()
    key = Key()
    stolen = eve.browser.create(options, Altered(key=key))
    same = eve.browser.create_again(options, ada.browser.made[0].id, key)
    check_refusal(await eve.send_new(same), 409, "CONFLICT")
    check_success(await eve.send_new(stolen), 201)


@rule("PASSKEY-CHALLENGE")
async def test_an_answer_counts_in_the_session_that_asked_alone_and_once(app: App) -> None:
    ada, eve = await signed_in(app), await signed_in(app)
    made = ada.browser.create(await ada.creation_options())
    check_refusal(await eve.send_new(made), 400, "VALIDATION_ERROR")
    made_id = check_success(await ada.send_new(made), 201)["passkey"]["id"]
    check_success(await app.send("DELETE", f"{PASSKEYS}/{made_id}", token=ada.token))
    for _ in range(2):  # 401 would mean that the session has ended
        error = check_refusal(await ada.send_new(made), 400, "VALIDATION_ERROR")
        assert [detail["field"] for detail in error["details"]] == ["credential"]
    signing_in = ada.browser.create({**(await ada.creation_options()), "challenge": (await ada.options())["challenge"]})
    check_refusal(await ada.send_new(signing_in), 400, "VALIDATION_ERROR")


@matrix("flags", [0, UP, UV, UP | BE])
async def test_a_passkey_is_made_with_the_user_verified(app: App, flags: int) -> None:
    ada = await signed_in(app)
    wrong = ada.browser.create(await ada.creation_options(), Altered(flags=flags | 0x40))
    check_refusal(await ada.send_new(wrong), 400, "VALIDATION_ERROR")
    check_success(await ada.person.sign_in())  # nothing was enrolled


class Shown(Key):
    """A key that the authenticator shows as ``cose``."""

    def __init__(self, cose: dict[int, Any]) -> None:
        super().__init__()
        self._cose = cose

    @property
    def cose(self) -> dict[int, Any]:
        return self._cose


def rsa(bits: int, exponent: int) -> dict[int, Any]:
    return {1: 3, 3: RS256, -1: (2**bits - 1).to_bytes(bits // 8), -2: exponent.to_bytes(3)}


def on_p384() -> dict[int, Any]:
    point = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
    return {1: 2, 3: ES256, -1: 2, -2: point.x.to_bytes(48), -3: point.y.to_bytes(48)}


OF_P256, OF_ED25519, OF_RSA = Key(ES256).cose, Key(EDDSA).cose, rsa(2048, 65537)
USABLE = {
    "ES256": OF_P256, "EdDSA": OF_ED25519, "RS256": OF_RSA, "RS256 of 4,096 bits": rsa(4096, 65537),
    "RS256 with 3": rsa(2048, 3),
}  # fmt: skip
UNUSABLE = {
    **{f"RS256 of {bits} bits": rsa(bits, 65537) for bits in (1024, 2040, 4104, 16384)},
    **{f"RS256 with {exponent}": rsa(2048, exponent) for exponent in (1, 5, 65536, 65539)},
    "ES256 on P-384": on_p384(), "ES256 on secp256k1": OF_P256 | {-1: 8},
    "a point outside of P-256": OF_P256 | {-3: bytes(32)}, "Ed448": OF_ED25519 | {-1: 7},
    "a short EdDSA key": OF_ED25519 | {-2: b"x"}, "ES384": OF_P256 | {3: -35}, "RS1": OF_RSA | {3: -65535},
    "an RSA key for ES256": OF_RSA | {3: ES256}, "a point for RS256": OF_P256 | {3: RS256},
}  # fmt: skip


@matrix("what", [*USABLE, *UNUSABLE])
async def test_a_new_passkey_has_a_key_that_is_safe_and_quick_to_use(app: App, what: str) -> None:
    ada, key = await signed_in(app), Shown((USABLE | UNUSABLE)[what])
    made = ada.browser.create(await ada.creation_options(), Altered(key=key))
    assert (await ada.send_new(made)).status == (201 if what in USABLE else 400)


async def test_a_new_passkey_has_the_id_that_its_authenticator_says(app: App) -> None:
    ada = await signed_in(app)
    other = {"id": "eHh4", "rawId": "eHh4"}
    wrong = ada.browser.create(await ada.creation_options(), Altered(outer=other))
    check_refusal(await ada.send_new(wrong), 400, "VALIDATION_ERROR")


async def test_without_a_session_nothing_is_added(app: App) -> None:
    check_refusal(await app.post(f"{PASSKEYS}/options"), 401, "UNAUTHENTICATED")
    check_refusal(await app.post(PASSKEYS, {"credential": {}}), 401, "UNAUTHENTICATED")


async def test_where_the_client_allows_none_none_is_added(app: App) -> None:
    ada = await signed_in(app)
    made = ada.browser.create(await ada.creation_options())
    await settle(app, ada.person.client, secondFactor={"methods": ["totp"]})
    check_refusal(await app.post(f"{PASSKEYS}/options", token=ada.token), 400, "VALIDATION_ERROR")
    check_refusal(await ada.send_new(made), 400, "VALIDATION_ERROR")
