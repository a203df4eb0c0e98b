"""``provider test``: sentences that tell whoever configures a provider what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from manifest_auth.oidc import Finding
from tests.oidc.desk import CALLBACK, Desk
from tests.support.oidc_op import new_key
from tests.support.oidc_socket import Answer
from tests.support.outgoing import TENANT


async def found(desk: Desk, **changes: Any) -> dict[str, list[str]]:
    """The sentences, by level."""
    findings = await desk.client.examine(desk.registration(**changes), CALLBACK, TENANT)
    assert findings
    assert all(isinstance(finding, Finding) and finding.text.endswith(".") for finding in findings)
    return {level: [f.text for f in findings if f.level == level] for level in ("ok", "note", "bad")}


async def test_a_good_provider_has_nothing_bad(desk: Desk) -> None:
    told = await found(desk)
    assert (told["bad"], told["note"]) == ([], [])
    assert len(told["ok"]) == 6


async def test_nothing_that_was_kept_is_used(desk: Desk) -> None:
    await desk.sign_in()
    await found(desk)
    assert (desk.op.count("discovery"), desk.op.count("keys")) == (2, 2)


@pytest.mark.parametrize("method", ["auto", "basic", "post"])
async def test_a_wrong_secret_is_told(desk: Desk, method: str) -> None:
    told = await found(desk, client_secret="wrong", authentication=method)
    assert told["bad"] == ["The client id or the client secret is wrong."]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_secret_is_told_where_it_has_another_code(desk: Desk, status: int) -> None:
    desk.op.answers["token"] = Answer.json({"error": "unauthorized_client"}, status)
    assert (await found(desk))["bad"] == ["The client id or the client secret is wrong."]


async def test_a_client_that_may_not_use_codes_is_told(desk: Desk) -> None:
    desk.op.token_error = "unauthorized_client"
    assert "authorization code flow" in (await found(desk))["bad"][0]


async def test_an_unclear_answer_about_the_client_is_a_note(desk: Desk) -> None:
    desk.op.token_error = "invalid_request"
    told = await found(desk)
    assert (told["bad"], len(told["note"])) == ([], 1)
    assert "400 'invalid_request'" in told["note"][0]


async def test_a_slash_too_many_is_told_as_such(desk: Desk) -> None:
    told = await found(desk, issuer=desk.op.issuer + "/")
    assert told["bad"] == [
        f"The issuer is {desk.op.issuer} and {desk.op.issuer}/ is configured: they differ by the slash at the end."
    ]


async def test_another_issuer_is_told_with_both_names(desk: Desk) -> None:
    desk.op.announced["issuer"] = "https://other.example"
    (text,) = (await found(desk))["bad"]
    assert "https://other.example" in text
    assert desk.op.issuer in text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(404), "answered 404"),
        (Answer(301, {"Location": "https://new.example/x"}), "redirected to https://new.example/x"),
        (Answer(200, {}, b"<html>"), "no JSON"),
        (Answer(raw=b""), "broken answer"),
    ],
    ids=["404", "redirect", "html", "nothing"],
)
async def test_a_description_that_cannot_be_fetched_is_told(desk: Desk, answer: Answer, said: str) -> None:
    desk.op.answers["discovery"] = answer
    (text,) = (await found(desk))["bad"]
    assert said in text
    assert "Is the issuer right?" in text


@pytest.mark.parametrize(
    "issuer", ["http://idp.example.com", "idp.example.com", "https://a b/", "https://u:p@idp.example"]
)
async def test_an_issuer_that_may_not_be_called_is_told(desk: Desk, issuer: str) -> None:
    (text,) = (await found(desk, issuer=issuer))["bad"]
    assert " must " in text


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
async def test_a_bad_endpoint_is_told_by_its_name(desk: Desk, name: str) -> None:
    desk.op.announced[name] = "http://idp.example.com/"
    (text,) = (await found(desk))["bad"]
    assert f"{name} must begin with https://" in text
    desk.op.announced[name] = None
    assert f"{name} is missing" in (await found(desk))["bad"][0]


async def test_algorithms_that_are_not_accepted_are_told(desk: Desk) -> None:
    desk.op.announced["id_token_signing_alg_values_supported"] = ["HS256", "none"]
    assert "HS256, none" in (await found(desk))["bad"][0]


async def test_keys_that_cannot_be_used_are_told(desk: Desk) -> None:
    desk.op.published = {"keys": []}
    assert "None of the keys" in (await found(desk))["bad"][0]
    desk.op.published = "x"
    assert "cannot be read" in (await found(desk))["bad"][0]
    desk.op.published = {"keys": [{**new_key("ES384").as_dict(private=False)}]}
    assert "None of the keys" in (await found(desk))["bad"][0]


async def test_a_missing_code_flow_is_told(desk: Desk) -> None:
    desk.op.announced["response_types_supported"] = ["id_token"]
    assert "response type code" in (await found(desk))["bad"][0]


async def test_pkce_that_is_not_announced_and_scopes_that_are_not_listed_are_notes(desk: Desk) -> None:
    desk.op.announced |= {"code_challenge_methods_supported": None, "scopes_supported": ["openid"]}
    told = await found(desk)
    assert told["bad"] == []
    assert "PKCE" in told["note"][0]
    assert "email" in told["note"][1]


async def test_a_token_endpoint_that_is_down_is_told(desk: Desk) -> None:
    desk.op.token_status = 503
    assert "token endpoint" in (await found(desk))["bad"][0]
