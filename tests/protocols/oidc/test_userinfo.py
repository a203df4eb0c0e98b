"""Userinfo: asked where the ID token is thin, and believed only about the same person."""

from __future__ import annotations

from typing import Any

import pytest

from manifest_auth.runtime.outgoing import Unreachable
from tests.protocols.oidc.relying_party import EMAIL, Desk
from tests.support.oidc_op import new_key, signed
from tests.support.oidc_socket import Answer


async def test_userinfo_is_not_asked_when_the_token_says_enough(desk: Desk) -> None:
    await desk.sign_in(frozenset({"email", "email_verified"}))
    assert desk.op.count("userinfo") == 0


async def test_what_the_token_leaves_out_comes_from_userinfo(desk: Desk) -> None:
    desk.op.only_in_userinfo = {"email", "email_verified"}
    claims = await desk.sign_in(EMAIL)
    assert (claims["email"], claims["email_verified"]) == ("ada@acme.example", True)
    asked = desk.op.asked[-1]
    assert (asked.endpoint, asked.method) == ("userinfo", "GET")
    assert asked.headers["authorization"].removeprefix("Bearer ") in desk.op.access_tokens


async def test_a_claim_without_a_value_counts_as_left_out(desk: Desk) -> None:
    desk.op.claims["email"] = ""
    assert (await desk.sign_in(EMAIL))["email"] == ""
    desk.op.id_token = None
    answer = await desk.begin()
    desk.op.id_token = desk.token(desk.good(answer.nonce, email=None))
    assert (await desk.redeem(answer, EMAIL))["email"] == "ada@acme.example"


async def test_what_the_token_says_wins(desk: Desk) -> None:
    desk.op.user["name"] = "Ada"
    desk.op.userinfo = {"sub": "subject-1", "iss": "https://evil.example", "name": "Eve", "groups": ["x"], "aud": "y"}
    claims = await desk.sign_in(frozenset({"groups"}))
    assert (claims["name"], claims["groups"]) == ("Ada", ["x"])
    assert (claims["iss"], claims["aud"]) == (desk.op.issuer, "manifest")


MARKS = {
    "an address of its own keeps its own mark": ({"email": "b@acme.example", "email_verified": True}, None),
    "of the same address the mark may come from there": ({"email": "ada@acme.example", "email_verified": True}, True),
    "a mark alone belongs to no address": ({"email_verified": True}, None),
}


@pytest.mark.parametrize(("info", "mark"), MARKS.values(), ids=MARKS.keys())
async def test_an_address_of_the_token_is_not_vouched_for_by_a_mark_of_another(
    desk: Desk, info: dict[str, Any], mark: bool | None
) -> None:
    desk.op.only_in_userinfo = {"email_verified"}
    desk.op.userinfo = {"sub": "subject-1", "groups": ["x"], **info}
    claims = await desk.sign_in(frozenset({"groups"}))
    assert (claims["email"], claims.get("email_verified"), claims["groups"]) == ("ada@acme.example", mark, ["x"])


@pytest.mark.parametrize(
    ("of_token", "of_userinfo", "mark"), [(True, False, False), (True, None, True), (None, True, True)]
)
async def test_an_address_of_userinfo_comes_with_its_own_mark_first(
    desk: Desk, of_token: bool | None, of_userinfo: bool | None, mark: bool
) -> None:
    desk.op.claims |= {"email": None, "email_verified": of_token}
    desk.op.userinfo = {"sub": "subject-1", "email": "ada@acme.example"}
    if of_userinfo is not None:
        desk.op.userinfo["email_verified"] = of_userinfo
    claims = await desk.sign_in(EMAIL)
    assert (claims["email"], claims["email_verified"]) == ("ada@acme.example", mark)


async def test_a_provider_without_userinfo_has_nothing_to_add(desk: Desk) -> None:
    desk.op.without_userinfo = True
    assert "groups" not in await desk.sign_in(frozenset({"groups"}))


@pytest.mark.parametrize("sub", ["admin", "SUBJECT-1", "subject-1 ", "", None, 1, ["subject-1"]])
async def test_userinfo_about_somebody_else_is_refused(desk: Desk, sub: Any) -> None:
    desk.op.userinfo = {"sub": sub, "email": "eve@evil.example"}
    desk.op.only_in_userinfo = {"email"}
    assert "somebody else" in (await desk.refusal(EMAIL)).reason


REFUSED = {
    "401": (Answer(401), "answered 401"),
    "403": (Answer.json({"error": "insufficient_scope"}, 403), "answered 403"),
    "no JWT": (
        Answer(200, {"Content-Type": "application/jwt"}, b'{"sub": "subject-1"}'),
        "userinfo: not three segments",
    ),
    "encrypted": (Answer(200, {"Content-Type": "application/jwt"}, b"e30.e30.e30.e30.e30"), "not three segments"),
    "html": (Answer(200, {"Content-Type": "text/html"}, b"<html>"), "userinfo"),
    "a list": (Answer.json([{"sub": "subject-1"}]), "no object"),
    "a claim given twice": (Answer(200, {}, b'{"sub": "subject-1", "email": "a", "email": "b"}'), "twice"),
}


@pytest.mark.parametrize(("answer", "reason"), REFUSED.values(), ids=REFUSED.keys())
async def test_userinfo_that_cannot_be_used_is_refused(desk: Desk, answer: Answer, reason: str) -> None:
    desk.op.answers["userinfo"] = answer
    assert reason in (await desk.refusal(frozenset({"groups"}))).reason
    await desk.sign_in(EMAIL)  # nobody who needs nothing of it is kept out


@pytest.mark.parametrize("answer", [Answer(500), Answer(raw=b""), Answer(307, {"Location": "/x"})], ids=str)
async def test_userinfo_with_a_fault_is_the_providers(desk: Desk, answer: Answer) -> None:
    desk.op.answers["userinfo"] = answer
    with pytest.raises(Unreachable):
        await desk.sign_in(frozenset({"groups"}))


async def test_a_forged_token_is_refused_before_userinfo_is_asked(desk: Desk) -> None:
    await desk.refused_claims(aud="other")
    assert desk.op.count("userinfo") == 0


def as_jwt(desk: Desk, key: Any = None, *, header: dict[str, Any] | None = None, **claims: Any) -> Answer:
    """Userinfo as a JWT, which a client may be registered for (section 5.3.2)."""
    usual = {"iss": desk.op.issuer, "aud": desk.op.client_id, "sub": "subject-1", "email": "eve@acme.example", **claims}
    told = {name: value for name, value in usual.items() if value is not None}
    text = signed(header or desk.header(), told, key or desk.op.key, desk.op.alg)
    return Answer(200, {"Content-Type": "application/jwt; charset=utf-8"}, f"{text}\n".encode())


@pytest.mark.parametrize("aud", ["manifest", ["manifest"]])
async def test_userinfo_may_be_signed(desk: Desk, aud: Any) -> None:
    desk.op.only_in_userinfo = {"email"}
    desk.op.answers["userinfo"] = as_jwt(desk, aud=aud)
    assert (await desk.sign_in(EMAIL))["email"] == "eve@acme.example"


async def test_signed_userinfo_with_a_new_key_makes_keys_be_fetched_once(desk: Desk) -> None:
    desk.op.only_in_userinfo = {"email"}
    await desk.sign_in(EMAIL)
    old = desk.header()
    desk.op.rotate(keep=True)
    desk.op.answers["userinfo"] = as_jwt(desk)
    desk.op.header = old
    desk.op.keys.reverse()  # the ID token goes on with the old key
    assert (await desk.sign_in(EMAIL))["email"] == "eve@acme.example"
    assert desk.op.count("keys") == 2


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another issuer": ({"iss": "https://evil.example"}, "by or for somebody else"),
    "no issuer": ({"iss": None}, "by or for somebody else"),
    "another client": ({"aud": "other"}, "by or for somebody else"),
    "no audience": ({"aud": None}, "by or for somebody else"),
    "another client besides": ({"aud": ["manifest", "other"]}, "by or for somebody else"),
    "another person": ({"sub": "subject-2"}, "about somebody else"),
}


@pytest.mark.parametrize(("claims", "reason"), BAD.values(), ids=BAD.keys())
async def test_signed_userinfo_must_be_by_the_provider_for_us_about_the_person(
    desk: Desk, claims: dict[str, Any], reason: str
) -> None:
    desk.op.only_in_userinfo = {"email"}
    desk.op.answers["userinfo"] = as_jwt(desk, **claims)
    assert reason in (await desk.refusal(EMAIL)).reason


@pytest.mark.parametrize("how", ["foreign key", "none", "HS256", "another algorithm"])
async def test_userinfo_that_the_provider_did_not_sign_is_refused(desk: Desk, how: str) -> None:
    desk.op.only_in_userinfo = {"email"}
    if how == "foreign key":
        desk.op.answers["userinfo"] = as_jwt(desk, new_key("ES256"))
    else:
        alg = {"another algorithm": "ES384"}.get(how, how)
        desk.op.answers["userinfo"] = as_jwt(desk, header=desk.header(alg=alg))
    assert (await desk.refusal(EMAIL)).reason.startswith("userinfo: s")
