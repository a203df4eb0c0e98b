"""Userinfo: asked where the ID token is thin, and believed only about the same person."""

from __future__ import annotations

from typing import Any

import pytest

from manifest_auth.outgoing import Unreachable
from tests.oidc.desk import EMAIL, Desk
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
    assert (await desk.client.redeem(desk.registration(), answer, EMAIL))["email"] == "ada@acme.example"


async def test_what_the_token_says_wins(desk: Desk) -> None:
    desk.op.user["name"] = "Ada"
    desk.op.userinfo = {"sub": "subject-1", "iss": "https://evil.example", "name": "Eve", "groups": ["x"], "aud": "y"}
    claims = await desk.sign_in(frozenset({"groups"}))
    assert (claims["name"], claims["groups"]) == ("Ada", ["x"])
    assert (claims["iss"], claims["aud"]) == (desk.op.issuer, "manifest")


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
    "signed": (Answer(200, {"Content-Type": "application/jwt"}, b"e30.e30.e30"), "signed"),
    "html": (Answer(200, {"Content-Type": "text/html"}, b"<html>"), "userinfo"),
    "a list": (Answer.json([{"sub": "subject-1"}]), "somebody else"),
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
