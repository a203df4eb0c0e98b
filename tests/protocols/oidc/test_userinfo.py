"""OpenID userinfo is requested if the ID token lacks claims, and accepted only for the same person."""

from __future__ import annotations

from typing import Any

import pytest

from manifest_auth.runtime.outgoing_guard import Unreachable
from tests.protocols.oidc.relying_party import EMAIL, RelyingParty
from tests.support.matrix import matrix
from tests.support.oidc_op import new_key, signed
from tests.support.oidc_socket import Answer
from tests.support.rules import rule


async def test_userinfo_is_not_asked_when_the_token_says_enough(rp: RelyingParty) -> None:
    await rp.sign_in(frozenset({"email", "email_verified"}))
    assert rp.op.count("userinfo") == 0


async def test_what_the_token_leaves_out_comes_from_userinfo(rp: RelyingParty) -> None:
    rp.op.only_in_userinfo = {"email", "email_verified"}
    claims = await rp.sign_in(EMAIL)
    assert (claims["email"], claims["email_verified"]) == ("ada@acme.example", True)
    asked = rp.op.asked[-1]
    assert (asked.endpoint, asked.method) == ("userinfo", "GET")
    assert asked.headers["authorization"].removeprefix("Bearer ") in rp.op.access_tokens


async def test_a_claim_without_a_value_counts_as_left_out(rp: RelyingParty) -> None:
    rp.op.claims["email"] = ""
    assert (await rp.sign_in(EMAIL))["email"] == ""
    rp.op.id_token = None
    answer = await rp.begin()
    rp.op.id_token = rp.token(rp.good(answer.nonce, email=None))
    assert (await rp.redeem(answer, EMAIL))["email"] == "ada@acme.example"


async def test_what_the_token_says_wins(rp: RelyingParty) -> None:
    rp.op.user["name"] = "Ada"
    rp.op.userinfo = {"sub": "subject-1", "iss": "https://evil.example", "name": "Eve", "groups": ["x"], "aud": "y"}
    claims = await rp.sign_in(frozenset({"groups"}))
    assert (claims["name"], claims["groups"]) == ("Ada", ["x"])
    assert (claims["iss"], claims["aud"]) == (rp.op.issuer, "manifest")


MARKS = {
    "an address of its own keeps its own mark": ({"email": "b@acme.example", "email_verified": True}, None),
    "of the same address the mark may come from there": ({"email": "ada@acme.example", "email_verified": True}, True),
    "a mark alone belongs to no address": ({"email_verified": True}, None),
}


@rule("EMAIL-LINKS")
@matrix(("info", "mark"), MARKS.values(), ids=MARKS.keys())
async def test_an_address_of_the_token_is_not_vouched_for_by_a_mark_of_another(
    rp: RelyingParty, info: dict[str, Any], mark: bool | None
) -> None:
    rp.op.only_in_userinfo = {"email_verified"}
    rp.op.userinfo = {"sub": "subject-1", "groups": ["x"], **info}
    claims = await rp.sign_in(frozenset({"groups"}))
    assert (claims["email"], claims.get("email_verified"), claims["groups"]) == ("ada@acme.example", mark, ["x"])


@matrix(("of_token", "of_userinfo", "mark"), [(True, False, False), (True, None, True), (None, True, True)])
async def test_an_address_of_userinfo_comes_with_its_own_mark_first(
    rp: RelyingParty, of_token: bool | None, of_userinfo: bool | None, mark: bool
) -> None:
    rp.op.claims |= {"email": None, "email_verified": of_token}
    rp.op.userinfo = {"sub": "subject-1", "email": "ada@acme.example"}
    if of_userinfo is not None:
        rp.op.userinfo["email_verified"] = of_userinfo
    claims = await rp.sign_in(EMAIL)
    assert (claims["email"], claims["email_verified"]) == ("ada@acme.example", mark)


async def test_a_provider_without_userinfo_has_nothing_to_add(rp: RelyingParty) -> None:
    rp.op.without_userinfo = True
    assert "groups" not in await rp.sign_in(frozenset({"groups"}))


@matrix("sub", ["admin", "SUBJECT-1", "subject-1 ", "", None, 1, ["subject-1"]])
async def test_userinfo_about_someone_else_is_rejected(rp: RelyingParty, sub: Any) -> None:
    rp.op.userinfo = {"sub": sub, "email": "eve@evil.example"}
    rp.op.only_in_userinfo = {"email"}
    assert "another user" in (await rp.refusal(EMAIL)).reason.text


REFUSED = {
    "401": (Answer(401), "returned 401"),
    "403": (Answer.json({"error": "insufficient_scope"}, 403), "returned 403"),
    "no JWT": (
        Answer(200, {"Content-Type": "application/jwt"}, b'{"sub": "subject-1"}'),
        "userinfo: not three segments",
    ),
    "encrypted": (Answer(200, {"Content-Type": "application/jwt"}, b"e30.e30.e30.e30.e30"), "not three segments"),
    "html": (Answer(200, {"Content-Type": "text/html"}, b"<html>"), "userinfo"),
    "a list": (Answer.json([{"sub": "subject-1"}]), "isn't an object"),
    "a claim given twice": (Answer(200, {}, b'{"sub": "subject-1", "email": "a", "email": "b"}'), "twice"),
}


@matrix(("answer", "reason"), REFUSED.values(), ids=REFUSED.keys())
async def test_userinfo_that_cannot_be_used_is_rejected(rp: RelyingParty, answer: Answer, reason: str) -> None:
    rp.op.answers["userinfo"] = answer
    assert reason in (await rp.refusal(frozenset({"groups"}))).reason.text
    await rp.sign_in(EMAIL)  # a person whose sign-in doesn't need it isn't rejected


@matrix("answer", [Answer(500), Answer(raw=b""), Answer(307, {"Location": "/x"})])
async def test_userinfo_with_a_fault_is_the_providers(rp: RelyingParty, answer: Answer) -> None:
    rp.op.answers["userinfo"] = answer
    with pytest.raises(Unreachable):
        await rp.sign_in(frozenset({"groups"}))


async def test_a_forged_token_is_rejected_before_userinfo_is_asked(rp: RelyingParty) -> None:
    await rp.refused_claims(aud="other")
    assert rp.op.count("userinfo") == 0


def as_jwt(rp: RelyingParty, key: Any = None, *, header: dict[str, Any] | None = None, **claims: Any) -> Answer:
    """Userinfo as a JWT, which a client can be registered for (OpenID Connect Core, section 5.3.2)."""
    usual = {"iss": rp.op.issuer, "aud": rp.op.client_id, "sub": "subject-1", "email": "eve@acme.example", **claims}
    told = {name: value for name, value in usual.items() if value is not None}
    text = signed(header or rp.header(), told, key or rp.op.key, rp.op.alg)
    return Answer(200, {"Content-Type": "application/jwt; charset=utf-8"}, f"{text}\n".encode())


@matrix("aud", ["manifest", ["manifest"]])
async def test_userinfo_can_be_signed(rp: RelyingParty, aud: Any) -> None:
    rp.op.only_in_userinfo = {"email"}
    rp.op.answers["userinfo"] = as_jwt(rp, aud=aud)
    assert (await rp.sign_in(EMAIL))["email"] == "eve@acme.example"


async def test_signed_userinfo_with_a_new_key_makes_keys_be_fetched_once(rp: RelyingParty) -> None:
    rp.op.only_in_userinfo = {"email"}
    await rp.sign_in(EMAIL)
    old = rp.header()
    rp.op.rotate(keep=True)
    rp.op.answers["userinfo"] = as_jwt(rp)
    rp.op.header = old
    rp.op.keys.reverse()  # the ID token still uses the old key
    assert (await rp.sign_in(EMAIL))["email"] == "eve@acme.example"
    assert rp.op.count("keys") == 2


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another issuer": ({"iss": "https://evil.example"}, "by or for another party"),
    "no issuer": ({"iss": None}, "by or for another party"),
    "another client": ({"aud": "other"}, "by or for another party"),
    "no audience": ({"aud": None}, "by or for another party"),
    "another client besides": ({"aud": ["manifest", "other"]}, "by or for another party"),
    "another person": ({"sub": "subject-2"}, "about another user"),
}


@matrix(("claims", "reason"), BAD.values(), ids=BAD.keys())
async def test_signed_userinfo_must_be_by_the_provider_for_us_about_the_person(
    rp: RelyingParty, claims: dict[str, Any], reason: str
) -> None:
    rp.op.only_in_userinfo = {"email"}
    rp.op.answers["userinfo"] = as_jwt(rp, **claims)
    assert reason in (await rp.refusal(EMAIL)).reason.text


@matrix("how", ["foreign key", "none", "HS256", "another algorithm"])
async def test_userinfo_that_the_provider_did_not_sign_is_rejected(rp: RelyingParty, how: str) -> None:
    rp.op.only_in_userinfo = {"email"}
    if how == "foreign key":
        rp.op.answers["userinfo"] = as_jwt(rp, new_key("ES256"))
    else:
        alg = {"another algorithm": "ES384"}.get(how, how)
        rp.op.answers["userinfo"] = as_jwt(rp, header=rp.header(alg=alg))
    assert (await rp.refusal(EMAIL)).reason.text.startswith("userinfo: s")
