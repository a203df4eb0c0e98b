"""Diagnosing an OpenID provider gives an administrator messages about wrong settings."""

from __future__ import annotations

from typing import Any

from manifest_auth.protocols.oidc import CallbackAddresses, Finding
from manifest_auth.runtime.clock import Random
from tests.protocols.oidc.relying_party import CALLBACK, SHARED, RelyingParty
from tests.runtime.outgoing.outgoing_calls import TENANT
from tests.support.matrix import matrix
from tests.support.oidc_op import new_key
from tests.support.oidc_socket import Answer


async def found(rp: RelyingParty, *, marked: bool = False, **changes: Any) -> dict[str, list[str]]:
    """The messages, by level."""
    addresses = CallbackAddresses(CALLBACK, SHARED if marked else None)
    findings = [one async for one in rp.client.examine(rp.registration(**changes), addresses, Random(), TENANT)]
    assert findings
    assert all(isinstance(finding, Finding) and finding.text.endswith(".") for finding in findings)
    return {level: [f.text for f in findings if f.level == level] for level in ("ok", "note", "unknown", "bad")}


async def test_a_good_provider_has_nothing_bad(rp: RelyingParty) -> None:
    told = await found(rp)
    assert (told["bad"], told["note"]) == ([], [])
    assert len(told["ok"]) == 9


async def test_nothing_that_was_kept_is_used(rp: RelyingParty) -> None:
    await rp.sign_in()
    await found(rp)
    assert (rp.op.count("discovery"), rp.op.count("keys")) == (2, 2)


@matrix("method", ["auto", "basic", "post"])
async def test_a_wrong_secret_is_told(rp: RelyingParty, method: str) -> None:
    told = await found(rp, client_secret="wrong", authentication=method)
    assert told["bad"] == ["The client ID or the client secret is incorrect."]


@matrix("status", [401, 403])
async def test_a_wrong_secret_is_told_where_it_has_another_code(rp: RelyingParty, status: int) -> None:
    rp.op.answers["token"] = Answer.json({"error": "unauthorized_client"}, status)
    assert (await found(rp))["bad"] == ["The client ID or the client secret is incorrect."]


async def test_a_client_that_must_not_use_codes_is_told(rp: RelyingParty) -> None:
    rp.op.token_error = "unauthorized_client"
    assert "authorization code flow" in (await found(rp))["bad"][0]


async def test_an_unclear_answer_about_the_client_tells_nothing(rp: RelyingParty) -> None:
    rp.op.token_error = "invalid_request"
    told = await found(rp)
    assert (told["bad"], told["note"], len(told["unknown"])) == ([], [], 1)
    assert "400 'invalid_request'" in told["unknown"][0]


async def test_a_slash_too_many_is_told_as_such(rp: RelyingParty) -> None:
    told = await found(rp, issuer=rp.op.issuer + "/")
    assert told["bad"] == [
        f"The issuer is {rp.op.issuer}, but {rp.op.issuer}/ is configured. They differ only in the slash at the end."
    ]


async def test_another_issuer_is_told_with_both_names(rp: RelyingParty) -> None:
    rp.op.announced["issuer"] = "https://other.example"
    (text,) = (await found(rp))["bad"]
    assert "https://other.example" in text
    assert rp.op.issuer in text


@matrix(
    ("answer", "said"),
    [
        (Answer(404), "returned 404"),
        (Answer(301, {"Location": "https://new.example/x"}), "redirected to https://new.example/x"),
        (Answer(200, {}, b"<html>"), "invalid JSON"),
        (Answer(raw=b""), "invalid response"),
    ],
    ids=["404", "redirect", "html", "nothing"],
)
async def test_a_description_that_cannot_be_fetched_is_told(rp: RelyingParty, answer: Answer, said: str) -> None:
    rp.op.answers["discovery"] = answer
    told = await found(rp)
    (text,) = told["bad"]
    assert said in text
    assert "Check the issuer." in text
    assert told["ok"] == [f"Register the redirect URI {CALLBACK}, which belongs only to this provider."]


@matrix("issuer", ["http://idp.example.com", "idp.example.com", "https://a b/", "https://u:p@idp.example"])
async def test_an_issuer_that_must_not_be_called_is_told(rp: RelyingParty, issuer: str) -> None:
    (text,) = (await found(rp, issuer=issuer))["bad"]
    assert " must " in text


@matrix("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
async def test_a_bad_endpoint_is_told_by_its_name(rp: RelyingParty, name: str) -> None:
    rp.op.announced[name] = "http://idp.example.com/"
    (text,) = (await found(rp))["bad"]
    assert f"{name} must begin with https://" in text
    rp.op.announced[name] = None
    assert f"{name} is missing" in (await found(rp))["bad"][0]


async def test_algorithms_that_are_not_accepted_are_told(rp: RelyingParty) -> None:
    rp.op.announced["id_token_signing_alg_values_supported"] = ["HS256", "none"]
    assert "HS256, none" in (await found(rp))["bad"][0]


async def test_keys_that_cannot_be_used_are_told(rp: RelyingParty) -> None:
    rp.op.published = {"keys": []}
    assert "None of the keys" in (await found(rp))["bad"][0]
    rp.op.published = "x"
    assert "can't be read" in (await found(rp))["bad"][0]
    rp.op.published = {"keys": [{**new_key("ES384").as_dict(private=False)}]}
    assert "None of the keys" in (await found(rp))["bad"][0]


async def test_a_missing_code_flow_is_told(rp: RelyingParty) -> None:
    rp.op.announced["response_types_supported"] = ["id_token"]
    assert "response type code" in (await found(rp))["bad"][0]


async def test_pkce_that_is_not_announced_and_scopes_that_are_not_listed_are_notes(rp: RelyingParty) -> None:
    rp.op.announced |= {"code_challenge_methods_supported": None, "scopes_supported": ["openid"]}
    told = await found(rp)
    assert told["bad"] == []
    assert "PKCE" in told["note"][0]
    assert "email" in told["note"][1]


async def test_a_token_endpoint_that_is_down_is_told(rp: RelyingParty) -> None:
    rp.op.token_status = 503
    assert "token endpoint" in (await found(rp))["bad"][0]


async def test_a_secret_that_the_provider_never_looked_at_is_not_vouched_for(rp: RelyingParty) -> None:
    rp.op.code_first = True
    for told in (
        await found(rp),
        await found(rp, client_secret="wrong"),
        await found(rp, client_id="no such client"),
    ):
        assert told["bad"] == []
        assert told["unknown"] == [
            "The client ID and secret couldn't be checked: the provider responds in the same way to a made-up client "
            "secret."
        ]


async def test_nor_is_a_client_without_a_secret(rp: RelyingParty) -> None:
    rp.op.code_first, rp.op.client_secret = True, None
    assert "to a made-up client ID" in (await found(rp))["unknown"][0]
    rp.op.code_first = False
    assert (await found(rp))["unknown"] == []
    assert [asked.form["client_id"] == "manifest" for asked in rp.op.asked[-3:] if asked.endpoint == "token"] == [
        True, False,
    ]  # fmt: skip


@matrix("method", ["basic", "post"])
async def test_the_secret_that_is_made_up_is_sent_as_the_right_one_is(rp: RelyingParty, method: str) -> None:
    rp.op.methods = (f"client_secret_{method}",)
    rp.op.announced["token_endpoint_auth_methods_supported"] = ["client_secret_basic", "client_secret_post"]
    assert (await found(rp))["note"] == []
    [right, made_up] = [asked for asked in rp.op.asked if asked.endpoint == "token"][-2:]
    assert ("client_secret" in right.form) is ("client_secret" in made_up.form) is (method == "post")


@matrix(("status", "error"), [(403, "invalid_code"), (401, "invalid_grant"), (403, "invalid_grant")])
async def test_a_complaint_about_the_code_is_none_about_the_client(rp: RelyingParty, status: int, error: str) -> None:
    """Glewlwyd returns 403 ``invalid_code`` to a valid client, and 403 ``unauthorized_client`` to an invalid one."""
    rp.op.token_error, rp.op.token_status = error, status
    told = await found(rp)
    assert (told["bad"], told["note"]) == ([], [])
    assert "The provider knows this client and accepts its authentication." in told["ok"]


async def test_the_address_to_register_and_whether_it_is_registered_are_told(rp: RelyingParty) -> None:
    rp.op.registered = {CALLBACK}
    told = await found(rp)
    assert [told["ok"][0], *told["ok"][-2:]] == [
        f"Register the redirect URI {CALLBACK}, which belongs only to this provider.",
        "The provider announces iss (RFC 9207), so every response must name its issuer.",
        "The redirect URI is registered at the provider.",
    ]
    [asked] = [asked for asked in rp.op.asked if asked.endpoint == "authorize"]
    assert (asked.query["prompt"], asked.query["redirect_uri"]) == ("none", CALLBACK)
    told = await found(rp, marked=True)
    assert f"Register the redirect URI {SHARED}, which is shared." in told["ok"]
    assert told["bad"] == ["The redirect URI isn't registered, so the provider shows an error page."]
    rp.op.registered = {SHARED}
    assert (await found(rp, marked=True))["bad"] == []


async def test_a_marked_provider_that_announces_no_iss_needs_its_own_address(rp: RelyingParty) -> None:
    rp.op.without_iss, rp.op.registered = True, {SHARED}
    told = await found(rp, marked=True)
    assert f"Register the redirect URI {CALLBACK}, which belongs only to this provider." in told["ok"]
    assert "sharedCallback has no effect" in told["note"][0]
    assert len(told["bad"]) == 1
    rp.op.registered = {CALLBACK}
    assert (await found(rp, marked=True))["bad"] == []
    rp.op.answers["discovery"] = Answer(503)
    assert (await found(rp, marked=True))["note"] == [
        f"Register the redirect URI {SHARED}, which is shared, if the provider announces iss (RFC 9207); otherwise "
        f"{CALLBACK}, which belongs only to this provider."
    ]


@matrix(
    ("answer", "why"),
    [
        (Answer(302, {"Location": "https://login.example/?next=x"}), "redirects the browser somewhere else first"),
        (Answer(302, {"Location": f"https://evil.example/?{CALLBACK}"}), "redirects the browser somewhere else first"),
        (Answer(302, {"Location": f"{CALLBACK}-x?error=login_required"}), "redirects the browser somewhere else first"),
        (Answer(302), "redirects the browser somewhere else first"),
        (Answer(200, {}, b"<form>"), "returns status 200"),
        (Answer(503), "returns status 503"),
        (Answer(429), "returns status 429"),
        (Answer(404), "returns status 404"),
        (Answer(raw=b""), "invalid response"),
    ],
)
async def test_an_answer_that_tells_nothing_of_the_address_is_no_more(
    rp: RelyingParty, answer: Answer, why: str
) -> None:
    rp.op.answers["authorize"] = answer
    told = await found(rp)
    assert told["bad"] == []
    (text,) = told["unknown"]
    assert text.startswith("The registration of the redirect URI couldn't be checked: ")
    assert why in text
