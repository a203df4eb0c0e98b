"""Passkey responses with a single defect, caused by the browser or authenticator, or altered in transit."""

from __future__ import annotations

import base64 as plain
from collections.abc import Callable
from typing import Any

from tests.support.authenticator import AT, BE, BS, ED, UP, UV, Altered, Key
from tests.support.forged_tokens import b64, unb64
from tests.support.passkeys import ORIGIN

Change = Callable[[dict[str, Any]], None]
OTHER = b64(b"x" * 32)


def _flip(text: str, at: int = -1) -> str:
    raw = bytearray(unb64(text))
    raw[at] ^= 1
    return b64(bytes(raw))


def _response(name: str, at: int = -1) -> Change:
    def change(credential: dict[str, Any]) -> None:
        credential["response"][name] = _flip(credential["response"][name], at)

    return change


def _other_id(credential: dict[str, Any]) -> None:
    credential["id"] = credential["rawId"] = OTHER


def _padded(credential: dict[str, Any]) -> None:
    raw = unb64(credential["response"]["signature"])
    credential["response"]["signature"] = plain.b64encode(raw).decode() + "="


def _no_signature(credential: dict[str, Any]) -> None:
    credential["response"]["signature"] = ""


#: Defect → its cause: the browser or authenticator, which signs it, or a change in transit.
SIGNED: dict[str, Altered] = {
    "type of the client data": Altered(client_data={"type": "webauthn.create"}),
    "no type in the client data": Altered(client_data={"type": None}),
    "challenge": Altered(challenge=OTHER),
    "no challenge": Altered(client_data={"challenge": None}),
    "origin": Altered(origin="https://login.example.com.evil.example"),
    "origin with a port": Altered(origin=f"{ORIGIN}:444"),
    "origin in plain http": Altered(origin="http://login.example.com"),
    "origin below": Altered(origin="https://acme.login.example.com"),
    "no origin": Altered(client_data={"origin": None}),
    "crossOrigin": Altered(client_data={"crossOrigin": True}),
    "crossOrigin as a text": Altered(client_data={"crossOrigin": "false"}),
    "topOrigin": Altered(client_data={"topOrigin": "https://evil.example"}),
    "topOrigin with crossOrigin": Altered(client_data={"crossOrigin": True, "topOrigin": ORIGIN}),
    "RP ID": Altered(rp_id="example.com"),
    "no user presence": Altered(flags=UV | BE | BS),
    "no user verification": Altered(flags=UP | BE | BS),
    "no flags": Altered(flags=0),
    "no backup eligibility": Altered(flags=UP | UV),
    "backup state without eligibility": Altered(flags=UP | UV | BS),
    "key": Altered(key=Key()),
    "extension data without any": Altered(flags=UP | UV | BE | BS | ED),
    "attested data without any": Altered(flags=UP | UV | BE | BS | AT),
    "more data than there is": Altered(tail=b"\x00"),
    "no user handle": Altered(response={"userHandle": None}),
    "user handle": Altered(response={"userHandle": b64(b"y" * 64)}),
    "empty user handle": Altered(response={"userHandle": ""}),
    "raw id": Altered(outer={"rawId": OTHER}),
    "type": Altered(outer={"type": "password"}),
    "no type": Altered(outer={"type": None}),
    "no response": Altered(outer={"response": None}),
}
UNDERWAY: dict[str, Change] = {
    "signature": _response("signature"),
    "signature in another alphabet": _padded,
    "no signature": _no_signature,
    "authenticator data": _response("authenticatorData"),
    "authenticator's RP ID": _response("authenticatorData", 0),
    "client data": _response("clientDataJSON", -3),
    "id and raw id": _other_id,
}
