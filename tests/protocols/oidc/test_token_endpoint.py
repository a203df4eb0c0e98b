"""The OpenID token endpoint: our authentication, its possible responses, and the handling of its errors."""

from __future__ import annotations

from typing import Any

import pytest

from manifest_auth.protocols.oidc import sentence_for
from manifest_auth.runtime.outgoing_guard import Unreachable
from tests.protocols.oidc.relying_party import CALLBACK, VERIFIER, RelyingParty
from tests.support.matrix import matrix
from tests.support.oidc_socket import Answer

BASIC, POST = "client_secret_basic", "client_secret_post"


def used(rp: RelyingParty) -> list[str]:
    """The authentication methods that were used, in order."""
    asked = [asked for asked in rp.op.asked if asked.endpoint == "token"]
    return ["basic" if "authorization" in a.headers else "post" if "client_secret" in a.form else "none" for a in asked]


async def test_the_request_is_what_the_standard_asks_for(rp: RelyingParty) -> None:
    answer = await rp.begin()
    await rp.redeem(answer, frozenset())
    asked = rp.op.asked[-2]
    assert (asked.endpoint, asked.method) == ("token", "POST")
    assert asked.form == {
        "grant_type": "authorization_code",
        "code": answer.code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }


@matrix(
    ("authentication", "offered", "tried"),
    [
        ("auto", (BASIC, POST), ["basic"]),
        ("auto", (BASIC,), ["basic"]),
        ("auto", (POST,), ["post"]),
        ("auto", (POST, BASIC), ["basic"]),
        ("basic", (BASIC, POST), ["basic"]),
        ("post", (BASIC, POST), ["post"]),
    ],
)
async def test_a_client_authenticates_as_it_is_set_or_as_the_provider_offers(
    rp: RelyingParty, authentication: str, offered: tuple[str, ...], tried: list[str]
) -> None:
    rp.op.methods = offered
    await rp.sign_in(authentication=authentication)
    assert used(rp) == tried


@matrix("announced", [[BASIC, POST], ["private_key_jwt"], ["none"]])
async def test_a_provider_that_takes_less_than_it_announces_is_understood_and_remembered(
    rp: RelyingParty, announced: list[str]
) -> None:
    rp.op.announced["token_endpoint_auth_methods_supported"] = announced
    rp.op.methods = (POST,)
    await rp.sign_in()
    await rp.sign_in()
    assert used(rp) == ["basic", "post", "post"]
    rp.op.methods = (BASIC,)  # the provider can also change this
    await rp.sign_in()
    await rp.sign_in()
    assert used(rp)[3:] == ["post", "basic", "basic"]


@matrix(("status", "error"), [(401, "unauthorized_client"), (403, "unauthorized_client"), (403, "")])
async def test_a_refusal_that_can_be_about_the_client_is_tried_in_the_other_way(
    rp: RelyingParty, status: int, error: str
) -> None:
    rp.op.answers["token"] = Answer.json({"error": error}, status)
    await rp.refusal()
    assert used(rp) == ["basic", "post"]


async def test_a_method_that_is_set_is_the_only_one_that_is_tried(rp: RelyingParty) -> None:
    rp.op.methods = (POST,)
    assert "invalid_client" in (await rp.refusal(authentication="basic")).reason.text
    assert used(rp) == ["basic"]


async def test_a_client_without_a_secret_names_itself(rp: RelyingParty) -> None:
    rp.op.client_secret, rp.op.methods = None, ("none",)
    await rp.sign_in()
    assert used(rp) == ["none"]
    assert [a.form["client_id"] for a in rp.op.asked if a.endpoint == "token"] == ["manifest"]


@matrix("secret", ["a:b", "p%+ä /=&", " ", "x" * 500])
async def test_any_secret_arrives_as_it_is(rp: RelyingParty, secret: str) -> None:
    for method in ("basic", "post"):
        rp.op.client_id, rp.op.client_secret = "https://app.example/x:1", secret
        await rp.sign_in(authentication=method)


async def test_a_wrong_secret_is_rejected_with_a_sentence_about_the_set_up(rp: RelyingParty) -> None:
    refused = await rp.refusal(client_secret="wrong")
    assert "invalid_client" in refused.reason.text
    assert "isn't set up correctly" in (refused.sentence or "")


ERRORS = ["invalid_grant", "invalid_client", "unauthorized_client", "invalid_request", "access_denied", "made_up"]


@matrix("error", ERRORS)
async def test_an_error_becomes_a_sentence_of_ours(rp: RelyingParty, error: str) -> None:
    rp.op.token_error = error
    refused = await rp.refusal()
    assert error in refused.reason.text
    assert refused.sentence == sentence_for(error)


@matrix("error", ["<script>\n", "a" * 500, 17, None, {"a": 1}, "ü"])
async def test_a_providers_own_text_goes_nowhere(rp: RelyingParty, error: Any) -> None:
    rp.op.answers["token"] = Answer.json({"error": error, "error_description": "<b>words</b>"}, 400)
    refused = await rp.refusal()
    assert refused.reason.text == "token endpoint returned 400: no error code"
    assert refused.sentence == sentence_for("")


@matrix("status", [400, 401, 403, 404])
async def test_a_refusal_without_a_body_is_a_refusal(rp: RelyingParty, status: int) -> None:
    rp.op.answers["token"] = Answer(status, {"Content-Type": "text/html"}, b"<html>")
    assert str(status) in (await rp.refusal()).reason.text


async def test_an_error_with_status_200_is_an_error(rp: RelyingParty) -> None:
    rp.op.answers["token"] = Answer.json({"error": "invalid_grant"})
    assert "invalid_grant" in (await rp.refusal()).reason.text


@matrix(
    "answer",
    [
        Answer.json({"error": "server_error"}, 500),
        Answer(503),
        Answer.json({"error": "slow_down"}, 429),
        Answer(200, {}, b"<html>"),
        Answer(200, {}, b""),
        Answer.json([]),
        Answer(200, {}, b'{"access_token": "a", "access_token": "b"}'),
        Answer(302, {"Location": "/elsewhere"}),
    ],
    ids=["500", "503", "429", "html", "nothing", "list", "twice", "redirect"],
)
async def test_an_invalid_answer_is_the_providers_fault(rp: RelyingParty, answer: Answer) -> None:
    rp.op.answers["token"] = answer
    with pytest.raises(Unreachable):
        await rp.sign_in()
    assert rp.op.count("token") == 1


@matrix("kind", [None, "", "DPoP", "mac", 1, ["bearer"]])
async def test_a_token_that_is_no_bearer_token_is_rejected(rp: RelyingParty, kind: Any) -> None:
    rp.op.token["token_type"] = kind
    assert "token_type" in (await rp.refusal()).reason.text


@matrix("token", [None, "", 1, "a b", "a\r\nX: y", "ü", "a" * 20_000])
async def test_an_access_token_that_no_header_can_carry_is_rejected(rp: RelyingParty, token: Any) -> None:
    rp.op.token["access_token"] = token
    assert "access token" in (await rp.refusal(frozenset({"groups"}))).reason.text


async def test_tokens_without_an_id_token_are_rejected(rp: RelyingParty) -> None:
    rp.op.token["id_token"] = None
    assert "ID token" in (await rp.refusal()).reason.text
