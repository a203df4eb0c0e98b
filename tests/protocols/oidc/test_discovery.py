"""OpenID discovery: the documents that are accepted, the values that are read, and the time they are cached."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from manifest_auth.protocols.oidc import Client, OidcRefused
from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.runtime.outgoing_guard import Unreachable
from manifest_auth.runtime.settings import load
from tests.protocols.oidc.relying_party import RelyingParty
from tests.runtime.outgoing.outgoing_calls import TENANT, get
from tests.support.matrix import matrix
from tests.support.oidc_socket import Answer
from tests.support.rules import rule

DOWN = Answer(503)


async def test_a_document_is_read(rp: RelyingParty) -> None:
    rp.op.announced |= {"end_session_endpoint": f"{rp.op.base}/bye", "acr_values_supported": ["x"]}
    found = await rp.discover(rp.op.issuer)
    assert found == (
        rp.op.issuer,
        f"{rp.op.base}/authorize",
        f"{rp.op.base}/token",
        f"{rp.op.base}/keys",
        f"{rp.op.base}/userinfo",
        ("RS256", "ES256"),
        ("client_secret_basic", "client_secret_post"),
        True,
        f"{rp.op.base}/bye",
    )


@matrix(
    ("suffix", "path"),
    [
        ("", "/.well-known/openid-configuration"),
        ("/", "/.well-known/openid-configuration"),
        ("/a/b", "/a/b/.well-known/openid-configuration"),
        ("/a/b/", "/a/b/.well-known/openid-configuration"),
    ],
)
async def test_the_document_is_below_the_issuer(rp: RelyingParty, suffix: str, path: str) -> None:
    rp.op.issuer += suffix
    assert (await rp.discover(rp.op.issuer)).issuer == rp.op.issuer
    assert rp.op.asked[0].path == path


@rule("OIDC-DISCOVERY")
@matrix("named", ["{}/", "{} ", "{}?", "https://evil.example", "", None, 1, ["{}"]])
async def test_a_document_of_another_issuer_is_rejected(rp: RelyingParty, named: Any) -> None:
    document = {"issuer": named.format(rp.op.issuer) if isinstance(named, str) else named}
    rp.op.answers["discovery"] = Answer.json({**(await _document(rp)), **document})
    with pytest.raises(OidcRefused, match="the issuer is"):
        await rp.discover(rp.op.issuer)


async def _document(rp: RelyingParty) -> dict[str, Any]:
    reply = await get(rp.outgoing, f"{rp.op.base}/.well-known/openid-configuration")
    document = reply.json()
    assert isinstance(document, dict)
    return document


@rule("OIDC-DISCOVERY")
@matrix("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@matrix(
    "address",
    [None, 1, "", "http://idp.example.com/x", "javascript:alert(1)", "https://a@b.example/", "//x", "https://"],
)
async def test_an_endpoint_that_must_not_be_used_is_rejected(rp: RelyingParty, name: str, address: Any) -> None:
    rp.op.announced[name] = address
    with pytest.raises(OidcRefused, match=name):
        await rp.discover(rp.op.issuer)


@rule("OIDC-DISCOVERY")
async def test_a_hosted_installation_is_not_sent_into_its_own_network(rp: RelyingParty) -> None:
    hosted = Outgoing(load({"MANIFEST_PUBLIC_URL": "https://auth.example.com"}))
    with pytest.raises(Unreachable, match="isn't a public address"):
        await Client(hosted, rp.clock).discover(rp.op.issuer, hosted.deadline(TENANT))
    await hosted.close()
    assert rp.op.asked == []


async def test_an_endpoint_that_no_one_needs_is_left_out_when_it_must_not_be_used(rp: RelyingParty) -> None:
    rp.op.announced |= {"userinfo_endpoint": "http://idp.example.com/", "end_session_endpoint": "x:y"}
    found = await rp.discover(rp.op.issuer)
    assert (found.userinfo_endpoint, found.end_session_endpoint) == (None, None)


@matrix(
    ("announced", "usable"),
    [
        (None, ("RS256",)),
        ([], ("RS256",)),
        ("ES256", ("RS256",)),
        (["none", "HS256", "HS512"], ("RS256",)),
        (["EdDSA", "ES512", "PS256", 1, None, "RS999"], ("RS256", "PS256", "ES512", "EdDSA")),
    ],
)
async def test_of_the_algorithms_ours_are_kept_and_rs256_is_everybodys(
    rp: RelyingParty, announced: Any, usable: tuple[str, ...]
) -> None:
    rp.op.announced["id_token_signing_alg_values_supported"] = announced
    assert (await rp.discover(rp.op.issuer)).algorithms == usable


async def test_what_is_not_announced_has_the_standards_default(rp: RelyingParty) -> None:
    rp.op.without_iss = rp.op.without_userinfo = True
    rp.op.announced["token_endpoint_auth_methods_supported"] = None
    found = await rp.discover(rp.op.issuer)
    assert (found.token_auth_methods, found.returns_iss, found.userinfo_endpoint) == (
        ("client_secret_basic",),
        False,
        None,
    )


@matrix(
    "answer",
    [
        Answer(404),
        Answer(500),
        Answer(200, {}, b"<html>"),
        Answer.json([]),
        Answer(302, {"Location": "/x"}),
        Answer(raw=b""),
    ],
    ids=["404", "500", "html", "list", "redirect", "nothing"],
)
async def test_no_document_is_the_providers_fault(rp: RelyingParty, answer: Answer) -> None:
    rp.op.answers["discovery"] = answer
    with pytest.raises(Unreachable):
        await rp.discover(rp.op.issuer)


async def test_a_document_is_kept_for_an_hour(rp: RelyingParty) -> None:
    await rp.discover(rp.op.issuer)
    rp.op.announced["token_endpoint"] = f"{rp.op.base}/token2"
    rp.clock.advance(3599)
    assert (await rp.discover(rp.op.issuer)).token_endpoint.endswith("/token")
    rp.clock.advance(1)
    assert (await rp.discover(rp.op.issuer)).token_endpoint.endswith("/token2")
    assert rp.op.count("discovery") == 2


async def test_a_stale_document_serves_for_a_day_while_the_provider_does_not(rp: RelyingParty) -> None:
    first = await rp.discover(rp.op.issuer)
    rp.op.answers["discovery"] = DOWN
    rp.clock.advance(24 * 3600 - 1)
    assert await rp.discover(rp.op.issuer) == first
    rp.clock.advance(1)
    with pytest.raises(Unreachable):
        await rp.discover(rp.op.issuer)


async def test_a_failed_fetch_is_not_repeated_within_a_minute_while_a_stale_document_serves(rp: RelyingParty) -> None:
    await rp.discover(rp.op.issuer)
    rp.op.answers["discovery"] = DOWN
    rp.clock.advance(3600)
    for _ in range(5):
        await rp.discover(rp.op.issuer)
    assert rp.op.count("discovery") == 2
    rp.clock.advance(60)
    del rp.op.answers["discovery"]
    await rp.discover(rp.op.issuer)
    assert rp.op.count("discovery") == 3


async def test_a_slow_fetch_leaves_time_for_the_sign_in_while_a_stale_document_serves(rp: RelyingParty) -> None:
    await rp.sign_in()
    rp.clock.advance(3600)
    rp.outgoing.seconds = 2.0
    with rp.op.gates.shut("discovery"):
        answer = await rp.begin()
        rp.outgoing.seconds = 30.0
        await rp.redeem(answer)


async def test_a_stale_document_does_not_hide_that_the_issuer_is_another_now(rp: RelyingParty) -> None:
    await rp.discover(rp.op.issuer)
    rp.clock.advance(3600)
    rp.op.announced["issuer"] = "https://evil.example"
    with pytest.raises(OidcRefused):
        await rp.discover(rp.op.issuer)


async def test_a_clock_that_was_set_back_keeps_nothing_for_ever(rp: RelyingParty) -> None:
    await rp.discover(rp.op.issuer)
    rp.clock.advance(-10 * 365 * 24 * 3600)
    await rp.discover(rp.op.issuer)
    assert rp.op.count("discovery") == 2


async def test_one_who_gives_up_does_not_take_the_fetch_from_the_others(rp: RelyingParty) -> None:
    with rp.op.gates.shut("discovery"):
        hasty = asyncio.create_task(rp.discover(rp.op.issuer))
        patient = asyncio.create_task(rp.discover(rp.op.issuer))
        while not rp.op.count("discovery"):
            await asyncio.sleep(0.01)
        hasty.cancel()
    assert (await patient).issuer == rp.op.issuer
    assert rp.op.count("discovery") == 1


async def test_two_providers_are_two_documents(rp: RelyingParty) -> None:
    first = await rp.discover(rp.op.issuer)
    rp.op.issuer += "/other"
    second = await rp.discover(rp.op.issuer)
    assert first.issuer != second.issuer
    rp.op.issuer = first.issuer
    assert await rp.discover(first.issuer) == first
    assert rp.op.count("discovery") == 2
