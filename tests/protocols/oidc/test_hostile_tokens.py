"""Forged ID tokens are each rejected by the intended check.

Except in tests of signatures, they are signed with the provider's own key, so that nothing else can reject them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from tests.protocols.oidc.relying_party import RelyingParty
from tests.support.matrix import matrix
from tests.support.oidc_op import b64, new_key, signed
from tests.support.rules import rule


async def test_the_token_that_all_others_are_made_from_is_accepted(rp: RelyingParty) -> None:
    assert (await rp.shown_claims())["sub"] == "subject-1"


WRONG: dict[str, list[Any]] = {
    "iss": ["https://evil.example", "", None, 1, [], ..., ["http://127.0.0.1"]],
    "aud": ["other", "", None, ..., 1, [], {}, ["other"], "manifest ", "MANIFEST", {"manifest": 1}],
    "aud ": [["manifest", 1], ["manifest", None], [["manifest"]]],
    "azp": ["other", "", None, ["manifest"]],
    "nonce": ["nonce-0", "", None, ..., 1, ["nonce-1"], "nonce-1 ", "NONCE-1"],
    "sub": ["", None, ..., 1, True, [], {}, "a" * 256, "a\x00b", "a\nb", "\x7f"],
    "exp": [None, ..., "1800000300", True, [], -1, 0, 2**53, 10**30, 1_799_999_940, 1_799_999_939.9],
    "iat": [None, ..., "1800000000", False, -1, 1_800_000_061, 1_800_000_060.5],
    "nbf": [None, "1800000000", True, 1_800_000_061],
}
WRONG_CLAIMS = [
    *((name.strip(), {name.strip(): value}) for name, values in WRONG.items() for value in values),
]

#: Claims that the JSON parser rejects, before any claim is checked.
UNREADABLE = {repr(10**30): "claims: A number is out of range"}


@rule("OIDC-ID-TOKEN")
@matrix(("claim", "claims"), WRONG_CLAIMS)
async def test_a_claim_that_is_not_as_it_must_be_is_rejected(
    rp: RelyingParty, claim: str, claims: dict[str, Any]
) -> None:
    why = UNREADABLE.get(repr(claims[claim]), claim)
    assert await rp.refused_claims(**claims) == f"ID token: {why}"


async def test_the_trailing_slash_of_an_issuer_counts(rp: RelyingParty) -> None:
    assert await rp.refused_claims(iss=rp.op.issuer + "/") == "ID token: iss"
    rp.op.issuer += "/"
    assert await rp.refused_claims(iss=rp.op.base) == "ID token: iss"


@rule("OIDC-ID-TOKEN")
@matrix("alg", ["none", "None", "NONE", "nOnE", "", "HS256", "HS512", "ES256K", "RSA1_5", "dir", "es256"])
async def test_an_algorithm_that_verifies_nothing_is_rejected_though_discovery_lists_it(
    rp: RelyingParty, alg: str
) -> None:
    rp.op.announced["id_token_signing_alg_values_supported"] = ["ES256", alg]
    text = rp.token({})
    for last in ("", "AA", text.rpartition(".")[2]):

        def make(nonce: str, last: str = last) -> str:
            return f"{rp.token(rp.good(nonce), {'alg': alg}).rpartition('.')[0]}.{last}"

        assert "signed with" in (reason := await rp.refused(make)) or "three segments" in reason


@matrix("alg", [None, 1, True, [], ["ES256"], {"ES256": 1}])
async def test_an_algorithm_that_is_no_text_is_rejected(rp: RelyingParty, alg: Any) -> None:
    reason = await rp.refused(lambda nonce: rp.token(rp.good(nonce), rp.header(alg=alg)))
    assert "signed with" in reason


async def test_an_algorithm_that_discovery_does_not_list_is_rejected_but_for_rs256(rp: RelyingParty) -> None:
    rp.op.announced["id_token_signing_alg_values_supported"] = ["RS256"]
    assert "signed with" in await rp.refused_claims()
    rp.op.alg, rp.op.issuer = "RS256", rp.op.issuer + "/2"
    rp.op.announced["id_token_signing_alg_values_supported"] = ["ES256"]
    await rp.shown_claims()


@rule("OIDC-ID-TOKEN")
async def test_the_public_key_is_no_secret_for_hmac(rp: RelyingParty) -> None:
    rp.op.alg = "RS256"
    rp.op.announced["id_token_signing_alg_values_supported"] = ["RS256", "HS256"]
    key = rp.op.key
    public = json.dumps(key.as_dict(private=False)).encode()
    for secret in (key.as_pem(private=False), key.as_der(private=False), public, b""):

        def make(nonce: str, secret: bytes = secret) -> str:
            head = json.dumps({"alg": "HS256", "kid": key.kid}).encode()
            text = f"{b64(head)}.{b64(json.dumps(rp.good(nonce)).encode())}"
            return f"{text}.{b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"

        assert "signed with" in await rp.refused(make)


async def test_a_key_is_used_for_its_own_algorithm_alone(rp: RelyingParty) -> None:
    rp.op.alg = "RS256"
    rp.op.announced["id_token_signing_alg_values_supported"] = ["RS256", "RS512", "PS256", "ES256", "EdDSA"]
    rsa = rp.op.key
    for alg in ("RS512", "PS256", "ES256", "EdDSA"):

        def make(nonce: str, alg: str = alg) -> str:
            header = {"alg": alg, "kid": rsa.kid}
            return signed(header, rp.good(nonce), rsa if alg[1:2] == "S" and alg[0] != "E" else new_key(alg), alg)

        assert "isn't one of" in await rp.refused(make)


@rule("OIDC-ID-TOKEN")
async def test_a_foreign_key_is_rejected_under_any_name(rp: RelyingParty) -> None:
    foreign = new_key("ES256", kid=rp.op.key.kid)
    for header in (rp.header(), {"alg": "ES256"}):

        def make(nonce: str, header: dict[str, Any] = header) -> str:
            return signed(header, rp.good(nonce), foreign, "ES256")

        assert await rp.refused(make) == "ID token: signature"


KIDS = ["../../etc/passwd", "' OR 1=1 --", "http://evil.example/keys", "", "\x00", "a" * 5000, "__class__"]


@matrix("kid", KIDS)
async def test_a_kid_is_a_name_and_nothing_else(rp: RelyingParty, kid: str) -> None:
    reason = await rp.refused(lambda nonce: rp.token(rp.good(nonce), rp.header(kid=kid)))
    assert "isn't one of" in reason
    assert [asked.path for asked in rp.op.asked if asked.endpoint == "unknown"] == []


@matrix("kid", [None, 1, True, [], {}])
async def test_a_kid_that_is_no_text_is_rejected(rp: RelyingParty, kid: Any) -> None:
    assert "kid" in await rp.refused(lambda nonce: rp.token(rp.good(nonce), rp.header(kid=kid)))


@rule("OIDC-ID-TOKEN")
async def test_keys_that_a_token_brings_along_are_not_looked_at(rp: RelyingParty) -> None:
    own = new_key("ES256", kid="evil")
    embedded = {
        "jwk": own.as_dict(private=False),
        "jku": f"{rp.op.base}/evil-keys",
        "x5u": f"{rp.op.base}/evil-chain",
        "x5c": ["TUlJQg=="],
    }
    for header in ({"alg": "ES256", "kid": "evil"}, {"alg": "ES256"}, rp.header()):

        def make(nonce: str, header: dict[str, Any] = header) -> str:
            return signed({**header, **embedded}, rp.good(nonce), own, "ES256")

        assert await rp.refused(make) in (
            "ID token: its key isn't one of the provider's",
            "ID token: signature",
        )
    assert rp.op.count("unknown") == 0


@matrix(
    "member",
    [{"crit": ["exp"]}, {"crit": []}, {"crit": None}, {"b64": False}, {"b64": True}, {"crit": ["b64"], "b64": False}],
)
async def test_critical_and_unencoded_headers_are_rejected(rp: RelyingParty, member: dict[str, Any]) -> None:
    reason = await rp.refused(lambda nonce: rp.token(rp.good(nonce), rp.header(**member)))
    assert reason == "ID token: header"


@matrix("typ", ["at+jwt", "application/at+jwt", "logout+jwt", "LOGOUT+JWT", "secevent+jwt", "JWE", "", 1, None])
async def test_another_kind_of_token_is_rejected(rp: RelyingParty, typ: Any) -> None:
    reason = await rp.refused(lambda nonce: rp.token(rp.good(nonce), rp.header(typ=typ)))
    assert "of type" in reason


async def test_parts_of_two_tokens_do_not_make_a_third(rp: RelyingParty) -> None:
    def make(nonce: str) -> str:
        one = rp.token(rp.good(nonce, sub="subject-1")).split(".")
        two = rp.token(rp.good(nonce, sub="admin")).split(".")
        return ".".join([one[0], two[1], one[2]])

    assert await rp.refused(make) == "ID token: signature"


async def test_one_changed_bit_of_a_signature_is_noticed_and_so_is_its_length(rp: RelyingParty) -> None:
    for alg in ("ES256", "RS256", "PS256", "EdDSA", "Ed448", "ES512"):
        rp.op.alg, rp.op.issuer = alg, f"{rp.op.base}/{alg}"
        rp.clock.advance(3600)
        for change in (
            lambda raw: bytes([raw[0] ^ 1]) + raw[1:],
            lambda raw: raw[:-1],
            lambda raw: raw + b"\0",
            lambda raw: b"\0",
            lambda raw: bytes(len(raw)),
            lambda raw: b"\xff" * len(raw),
            lambda raw: raw * 5,
        ):

            def make(nonce: str, change: Any = change) -> str:
                text, _, coded = rp.token(rp.good(nonce)).rpartition(".")
                raw = base64.urlsafe_b64decode(coded + "==")
                return f"{text}.{b64(change(raw))}"

            assert await rp.refused(make) == "ID token: signature"


SHAPES = {
    "empty": lambda token: " ",
    "two segments": lambda token: token.rpartition(".")[0],
    "four segments": lambda token: token + ".x",
    "five segments": lambda token: token + ".x.y",
    "no signature": lambda token: token.rpartition(".")[0] + ".",
    "padding": lambda token: token + "=",
    "white space": lambda token: token.replace(".", ". ", 1),
    "a line break": lambda token: token + "\n",
    "the other alphabet": lambda token: token[:-2] + "+/",
    "spare bits": lambda token: token[:-1] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[token[-1]],
    "JSON serialization": lambda token: json.dumps(
        dict(zip(("protected", "payload", "signature"), token.split("."), strict=True))
    ),
    "too long": lambda token: token + "A" * 16_384,
}


@matrix("change", SHAPES.values(), ids=SHAPES.keys())
async def test_a_token_that_is_not_shaped_like_one_is_rejected(rp: RelyingParty, change: Any) -> None:
    reason = await rp.refused(lambda nonce: str(change(rp.token(rp.good(nonce)))))
    assert "three segments" in reason or "base64url" in reason


@matrix("token", [None, 1, [], {}, True])
async def test_a_token_that_is_no_text_is_rejected(rp: RelyingParty, token: Any) -> None:
    rp.op.token["id_token"] = token
    assert "three segments" in (await rp.refusal()).reason.text


TEXTS = {
    "a claim given twice": '{"sub": "admin", %s}',
    "a claim given twice in other letters": '{"s\\u0075b": "admin", %s}',
    "NaN": '{"x": NaN, %s}',
    "infinity": '{"x": 1e999, %s}',
    "a lone surrogate": '{"x": "\\ud800", %s}',
    "deep nesting": '{"x": ' + "[" * 3000 + "]" * 3000 + ", %s}",
    "trailing text": "{%s} {}",
    "no object": "[{%s}]",
}


@matrix("text", TEXTS.values(), ids=TEXTS.keys())
async def test_claims_that_two_readers_would_read_differently_are_rejected(rp: RelyingParty, text: str) -> None:
    reason = await rp.refused(lambda nonce: rp.token(text % json.dumps(rp.good(nonce))[1:-1]))
    assert reason.startswith("ID token: claims: ")


@matrix("text", ['{"alg": "none", %s}', "[%s]", '{"x": NaN, %s}', '{"x": ' + "[" * 3000 + "]" * 3000 + ", %s}"])
async def test_a_header_that_two_readers_would_read_differently_is_rejected(rp: RelyingParty, text: str) -> None:
    reason = await rp.refused(lambda nonce: rp.token(rp.good(nonce), text % json.dumps(rp.header())[1:-1]))
    assert reason.startswith("ID token: ")
    assert "signature" not in reason


@rule("OIDC-ID-TOKEN")
async def test_an_access_token_that_was_not_issued_with_it_is_rejected(rp: RelyingParty) -> None:
    for wrong in ("x", "", None, 1, "A" * 22):
        assert await rp.refused_claims(at_hash=wrong) == "ID token: at_hash"


async def test_a_token_of_another_sign_in_is_rejected(rp: RelyingParty) -> None:
    first = await rp.begin()
    kept = rp.token(rp.good(first.nonce))
    assert await rp.refused(lambda nonce: kept) == "ID token: nonce"
