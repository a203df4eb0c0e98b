"""A SAML assertion works once, no matter which route, encoding, or node receives it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from lxml import etree

from tests.support.accounts import new_client, trail
from tests.support.application import App, Reply, running
from tests.support.background_jobs import sweep_expired
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.saml_encrypting import Encryption, encrypt
from tests.support.saml_idp import ASSERTION, Idp, decode, encode
from tests.support.single_sign_on import (
    Browser,
    SamlProvider,
    check_no_one_got_in,
    check_says_no_more,
    failures,
    saml_provider,
    sign_ins,
)

MINUTES = 60


@pytest.fixture(scope="module")
async def second_node(database_url: str, app: App) -> AsyncIterator[App]:
    """Another process's application on the same database."""
    async with running(database_url) as node:
        node.goes_by_the_clock_of(app)
        yield node


async def by_json(okta: SamlProvider, response: str) -> Reply:
    return await okta.call(response)


async def by_form(okta: SamlProvider, response: str) -> Reply:
    return await okta.post(Browser(okta.app), response)


WAYS = {"json": by_json, "form": by_form}


@rule("ASSERTION-ONCE")
@matrix("second", WAYS)
@matrix("first", WAYS)
async def test_an_assertion_works_once(okta: SamlProvider, first: str, second: str) -> None:
    response = okta.response()
    assert (await WAYS[first](okta, response)).status in (200, 303)
    for _ in range(2):
        again = await WAYS[second](okta, response)
        check_no_one_got_in(again)
        check_says_no_more(again, await okta.call(okta.response(sign="none")))
    assert (await WAYS[second](okta, okta.response())).status in (200, 303)


@matrix("sign", ["assertion", "response", "both"])
async def test_whatever_is_signed_it_works_once(okta: SamlProvider, sign: str) -> None:
    response = okta.response(sign=sign)
    assert (await okta.call(response)).status == 200
    check_no_one_got_in(await okta.call(response))


async def test_a_new_envelope_does_not_make_it_new(okta: SamlProvider) -> None:
    response = okta.response()
    assert (await okta.call(response)).status == 200
    tree = etree.fromstring(decode(response))
    tree.set("ID", "_another")
    check_no_one_got_in(await okta.call(encode(etree.tostring(tree))))
    encrypt(tree, okta.certificate, Encryption())
    check_no_one_got_in(await okta.call(encode(etree.tostring(tree)), query=f"?client={okta.client}"))


async def test_nor_does_another_spelling_of_its_base64(okta: SamlProvider) -> None:
    response = okta.response()
    assert (await okta.call(response)).status == 200
    check_no_one_got_in(await okta.call("\n".join(response[i : i + 76] for i in range(0, len(response), 76))))


async def test_an_encrypted_one_works_once_encrypted_or_not(okta: SamlProvider) -> None:
    tree = etree.fromstring(decode(okta.response()))
    plain = encode(etree.tostring(tree))
    encrypt(tree, okta.certificate, Encryption(cipher="aes256-gcm"))
    assert (await okta.call(encode(etree.tostring(tree)), query=f"?client={okta.client}")).status == 200
    check_no_one_got_in(await okta.call(plain))


async def test_an_answer_to_a_request_is_no_good_a_second_time_without_it(okta: SamlProvider) -> None:
    browser = Browser(okta.app)
    request_id, state = await okta.start(browser)
    response = okta.response(in_response_to=request_id)
    assert (await okta.post(browser, response, state)).status == 303
    check_no_one_got_in(await okta.call(response))
    check_no_one_got_in(await okta.post(browser, response))
    request_id, state = await okta.start(browser)
    check_no_one_got_in(await okta.post(browser, response, state))


async def test_of_twenty_at_the_same_time_one_can_sign_in(okta: SamlProvider) -> None:
    response = okta.response("racer@acme.example")
    ways = [by_json, by_form] * 10
    before = sign_ins(okta.app, "saml", "ok")
    replies = await asyncio.gather(*(way(okta, response) for way in ways))
    assert sorted(reply.status in (200, 303) for reply in replies) == [False] * 19 + [True]
    for reply in replies:
        if reply.status not in (200, 303):
            check_no_one_got_in(reply)
    assert sign_ins(okta.app, "saml", "ok") == before + 1


@rule("ASSERTION-ONCE")
async def test_of_twenty_at_the_same_time_by_two_nodes_one_can_sign_in(okta: SamlProvider, second_node: App) -> None:
    response = okta.response("two-nodes@acme.example")
    body = {"samlResponse": response}
    replies = await asyncio.gather(
        *(node.post("/api/client/auth/okta-saml", body) for node in [okta.app, second_node] * 10)
    )
    assert sorted(reply.status for reply in replies) == [200] + [401] * 19


@rule("SAML-CONDITIONS")
async def test_another_node_knows_what_this_one_used(okta: SamlProvider, second_node: App) -> None:
    response = okta.response()
    assert (await okta.call(response)).status == 200
    check_no_one_got_in(await second_node.post("/api/client/auth/okta-saml", {"samlResponse": response}))


@rule("SAML-CONDITIONS")
async def test_it_is_remembered_until_it_is_rejected_as_expired(okta: SamlProvider) -> None:
    """Tests the last moment at which it's still valid, including a minute of clock skew, and the first at which it
    isn't."""
    response = okta.response()
    assert (await okta.call(response)).status == 200
    okta.app.clock.advance(6 * MINUTES - 0.001)
    await sweep_expired(okta.app)
    check_no_one_got_in(await okta.call(response))
    assert "replay" in (await failures(okta.app, "acme"))[-1]["why"]
    okta.app.clock.advance(0.001)
    check_no_one_got_in(await okta.call(response))
    assert "expired" in (await failures(okta.app, "acme"))[-1]["why"]


async def test_of_two_confirmations_it_is_remembered_as_long_as_the_longer_counts(okta: SamlProvider) -> None:
    def twice(tree: etree._Element) -> None:
        [first] = tree.iterfind(f".//{{{ASSERTION}}}SubjectConfirmation")
        first.addnext(copy.deepcopy(first))
        until = datetime.fromtimestamp(okta.app.clock.ms / 1000 + 60 * MINUTES, UTC)
        first[0].set("NotOnOrAfter", until.strftime("%Y-%m-%dT%H:%M:%SZ"))

    used, spare = (okta.response(not_on_or_after=None, session_until=None, before=twice) for _ in range(2))
    assert (await okta.call(used)).status == 200
    okta.app.clock.advance(59 * MINUTES)
    await sweep_expired(okta.app)
    check_no_one_got_in(await okta.call(used))
    assert (await okta.call(spare)).status == 200


async def test_an_assertion_whose_person_was_turned_away_is_used_up_too(app: App) -> None:
    okta = await saml_provider(app, createUsers=False)
    response = okta.response("nobody@acme.example")
    check_no_one_got_in(await okta.call(response))
    assert (await okta.admin("PATCH", body={"createUsers": True})).status == 200
    check_no_one_got_in(await okta.call(response))
    assert (await okta.call(okta.response("nobody@acme.example"))).status == 200


async def test_the_same_id_from_another_issuer_or_for_another_client_is_another_assertion(app: App) -> None:
    client = await new_client(app)
    idp = Idp(issuer="http://www.okta.com/exkids")
    here, beside = await saml_provider(app, client, idp), await saml_provider(app, client)
    there = await saml_provider(app, await new_client(app), idp)
    for okta in (here, beside, there):
        response = okta.response(f"ids-{okta.name}@acme.example", assertion_id="_counted1")
        assert (await okta.call(response)).status == 200
        check_no_one_got_in(await okta.call(response))


async def test_a_replay_is_in_the_audit_trail(app: App) -> None:
    okta = await saml_provider(app, await new_client(app))
    response = okta.response()
    await okta.call(response)
    await okta.call(response)
    events = await trail(app, okta.client)
    assert [event.event for event in events][-2:] == ["assertion_replayed", "sign_in_failed"]
    assert events[-2].members["provider"] == events[-1].members["provider"] == okta.made["id"]
    assert events[-1].members["why"] == "replay: the assertion was used before"
