"""A license key that isn't genuine, or isn't valid for this installation or time, causes LICENSE_INVALID.

The response is always the same.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from manifest_auth.licence import Seats
from manifest_auth.licence.licence import VERSION
from manifest_auth.text.base64url import encode
from tests.licence.vendor import DAY, OTHER_VENDOR, VENDOR, install, key, licence, state
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.rules import rule

pytestmark = pytest.mark.one_store


def altered(text: str, **members: Any) -> str:
    """The signed key with other members and the old signature."""
    version, payload, signature = text.split(".")
    content = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))) | members
    made = base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
    return f"{version}.{made}.{signature}"


def flipped(text: str, at: int) -> str:
    other = "A" if text[at] != "A" else "B"
    return text[:at] + other + text[at + 1 :]


def now(app: App) -> int:
    return app.clock.ms // 1000


def signed(content: bytes) -> str:
    """The vendor's signature over any content."""
    text = f"{VERSION}.{encode(content)}"
    return f"{text}.{encode(VENDOR.sign(text.encode()))}"


FORGERIES: dict[str, Callable[[App], str]] = {
    "signed by another key": lambda app: key(app, OTHER_VENDOR),
    "more seats": lambda app: altered(key(app), seats={"full": 10_000}),
    "later expiry": lambda app: altered(key(app), expiresAt=2**40),
    "another installation": lambda app: key(app, installation="someone-else"),
    "expired": lambda app: key(app, issued_at=now(app) - 2 * DAY, expires_at=now(app) - DAY),
    "expired within its grace time": lambda app: key(app, issued_at=now(app) - DAY, expires_at=now(app) - 1),
    "not yet valid": lambda app: key(app, issued_at=now(app) + DAY),
    "truncated": lambda app: key(app)[:-10],
    "half": lambda app: key(app)[: len(key(app)) // 2],
    "no signature": lambda app: key(app).rpartition(".")[0],
    "empty signature": lambda app: key(app).rpartition(".")[0] + ".",
    "signature of zeros": lambda app: key(app).rpartition(".")[0] + "." + "A" * 86,
    "one bit of the signature": lambda app: flipped(key(app), -20),
    "one bit of the content": lambda app: flipped(key(app), 40),
    "another version": lambda app: key(app).replace("MANIFEST1", "MANIFEST2"),
    "no version": lambda app: key(app).partition(".")[2],
    "a JWT without a signature": lambda _: "eyJhbGciOiJub25lIn0.e30.",
    "long": lambda app: key(app) + "A" * 10_000,
    "longer": lambda app: key(app) + "A" * 17_000,
    "huge": lambda app: key(app) + "A" * 1_000_000,
    "signed, not UTF-8": lambda app: signed(b'{"id":"\xff"}'),
    "signed, no JSON": lambda app: signed(b"{"),
    "signed, deep": lambda app: signed(b"[" * 5000),
    "signed, more seats than there are numbers": lambda app: key(app, seats=Seats(full=2**64)),
    "signed, a member twice": lambda app: signed(
        msgspec.json.encode(licence(now(app)))[:-1] + b',"customer":"Initech Ltd"}'
    ),
    "signed, a text for a number": lambda app: signed(b'{"id":"L","customer":"C","issuedAt":"1","expiresAt":2}'),
    "resets the clock of anybody": lambda app: key(app, resets_clock=True),
    "padded": lambda app: key(app) + "==",
    "space inside": lambda app: key(app).replace(".", " .", 1),
    "not ASCII": lambda app: key(app).replace("M", "Ｍ", 1),
    "emoji": lambda _: "😀" * 50,
    "one letter": lambda _: "x",
    "dots": lambda _: "." * 100,
}


@rule("LICENCE")
@matrix("name", FORGERIES)
async def test_a_bad_key_is_rejected_and_changes_nothing(premise: App, name: str) -> None:
    constant = {"success": False, "error": {"message": "The license key is invalid", "code": "LICENSE_INVALID"}}
    for before in ("missing", "valid"):
        if before == "valid":
            assert (await install(premise, key(premise))).status == 200
        reply = await install(premise, FORGERIES[name](premise))
        assert reply.status == 400
        assert reply.json["error"].pop("requestId")
        assert reply.json == constant
        assert await state(premise) == before
        expected = "LICENSE_REQUIRED" if before == "missing" else None
        reply = await premise.sign_in(client="acme")
        assert (reply.code if expected else None) == expected
        assert (reply.status == 200) is (before == "valid")


@matrix("body", [{}, {"licenseKey": None}, {"licenseKey": 1}, {"licenseKey": ""}, {"licenseKey": []}])
async def test_no_key_at_all_is_a_fault_of_the_request(premise: App, body: dict[str, Any]) -> None:
    reply = await premise.post("/api/admin/license-on-prem", body, token=await premise.admin_token())
    assert reply.code == "VALIDATION_ERROR"
    assert await state(premise) == "missing"


async def test_white_space_around_a_pasted_key_is_no_fault(premise: App) -> None:
    assert (await install(premise, f"\n  {key(premise)}\r\n")).data["state"] == "valid"
