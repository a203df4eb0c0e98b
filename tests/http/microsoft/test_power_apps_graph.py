"""While Microsoft is slow, busy, down, or sends garbage, no Power Apps caller is accepted or waits for long.

No other caller waits, and nothing is cached.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.interop.microsoft import error_bodies
from tests.interop.microsoft.microsoft_setup import GRAPHQL, ME, MicrosoftSetup, setup_on
from tests.support.application import Reply
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.oidc_socket import Answer
from tests.support.people import users_of
from tests.support.processes import free_port
from tests.support.rules import rule
from tests.support.single_sign_on import impatient

pytestmark = pytest.mark.one_store

ASK_GRAPH = {"askGraph": True}
GOOD = {"id": "aaaaaaaa-0000-4000-8000-000000000001", "givenName": "Alice", "mail": "alice@contoso.example"}


async def unavailable(setup: MicrosoftSetup, token: str, **options: Any) -> Reply:
    """The response by REST, which must equal GraphQL's. Both requests run concurrently, so that they wait only once."""
    rest, graphql = await asyncio.gather(
        setup.app.me(token, **options), setup.app.post(GRAPHQL, ME, token=token, **options)
    )
    check_refusal(rest, 502, "PROVIDER_UNAVAILABLE")
    assert (graphql.status, graphql.json["errors"][0]["extensions"]["code"]) == (502, "PROVIDER_UNAVAILABLE")
    assert graphql.headers.get("retry-after") == rest.headers.get("retry-after")
    return rest


@rule("MICROSOFT-DOWN")
@matrix("status", [429, 503])
@matrix(
    ("told", "passed_on"),
    [
        ("7", "7"), ("1", "1"), ("120", "120"), ("0", "1"), ("86400", "300"), ("99999999999999999999", "1"),
        ("Fri, 15 Jan 2027 08:00:05 GMT", "1"), ("-5", "1"), ("1.5", "1"), ("soon", "1"), ("", "1"), ("\u00b2", "1"),
    ],
)  # fmt: skip
async def test_busy_and_when_to_come_again(setup: MicrosoftSetup, status: int, told: str, passed_on: str) -> None:
    await setup.entra()
    answer = error_bodies.throttled(told) if status == 429 else error_bodies.unavailable(0, **{"Retry-After": told})
    setup.microsoft.answers["graph"] = answer
    reply = await unavailable(setup, setup.microsoft.mint("graph"))
    assert reply.headers["retry-after"] == passed_on


@matrix("status", [500, 501, 502, 504, 509, 599])
async def test_an_error_of_its_own(setup: MicrosoftSetup, status: int) -> None:
    provider = await setup.entra_of_ours(entra=ASK_GRAPH)
    setup.microsoft.answers["graph"] = error_bodies.graph("generalException", "General exception", 0, status)
    for kind in ("graph", "api"):
        reply = await unavailable(setup, setup.microsoft.mint(kind))
        assert "retry-after" not in reply.headers
    assert await users_of(setup.app, provider.client) == {}


NO_TEXT: list[Any] = [None, 7, True, [], {}, [GOOD["id"]]]
NO_BOOLEAN: list[Any] = [0, 1, "true", "", [], {}]
HOSTILE: dict[str, Answer] = {
    "nothing": Answer(200),
    "no content": Answer(204),
    "no JSON": Answer(200, {"Content-Type": "text/html"}, b"<html>Sign in to the Wi-Fi</html>"),
    "half of it": Answer(200, {}, json.dumps(GOOD).encode()[:-9]),
    "a list": Answer.json([GOOD]),
    "a text": Answer.json("aaaaaaaa-0000-4000-8000-000000000001"),
    "a member twice": Answer(200, {}, json.dumps(GOOD).encode()[:-1] + b', "id": "x"}'),
    "no number": Answer(200, {}, b'{"id": NaN}'),
    "no text": Answer(200, {}, b'{"id": "\xff\xfe"}'),
    "half a character": Answer(200, {}, b'{"id": "\\ud800"}'),
    "nested": Answer(200, {}, b'{"id":' * 100_000),
    "huge": Answer(200, {}, b" " * 1024 * 1024 + json.dumps(GOOD).encode()),
    "packed": Answer(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08\x00\x00\x00\x00\x00"),
    "elsewhere": Answer(302, {"Location": "https://graph.example/v1.0/me"}),
    "elsewhere for ever": Answer(301, {"Location": "/v1.0/me"}),
    "no HTTP": Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n"),
    "an end at once": Answer(raw=b""),
    "endless lines": Answer(raw=b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 200_000),
    **{f"id {value!r}": Answer.json({**GOOD, "id": value}) for value in NO_TEXT},
    **{f"enabled {value!r}": Answer.json({**GOOD, "accountEnabled": value}) for value in NO_BOOLEAN},
}


@matrix("what", HOSTILE)
async def test_an_answer_that_is_none(setup: MicrosoftSetup, what: str) -> None:
    provider = await setup.entra()
    setup.microsoft.answers["graph"] = HOSTILE[what]
    await unavailable(setup, setup.microsoft.mint("graph"))
    assert await users_of(setup.app, provider.client) == {}


@matrix("value", [7, True, ["alice@contoso.example"], {}, "no address", "a@b\r\nSet-Cookie: x=y"])
async def test_an_odd_value_of_a_claim_about_a_person_is_no_value(setup: MicrosoftSetup, value: Any) -> None:
    await setup.entra()
    setup.microsoft.profile = {"mail": value, "givenName": value, "surname": [value], "userType": value}
    me = await setup.me(setup.microsoft.mint("graph"))
    assert me["user"]["email"] == "alice@contoso.example"  # the token's address


@rule("MICROSOFT-DOWN")
@matrix("answer", [Answer(503), Answer(404), Answer.json({"keys": 1}), Answer(200, {}, b"no"), Answer()])
async def test_keys_that_cannot_be_read(setup: MicrosoftSetup, answer: Answer) -> None:
    setup.app.clock.advance(3601)  # cached results have expired
    await setup.entra_of_ours()
    token = setup.microsoft.mint("api")
    setup.microsoft.answers["keys"] = answer
    await unavailable(setup, token)
    del setup.microsoft.answers["keys"]
    await setup.me(token)


@matrix("answer", [error_bodies.throttled(9), error_bodies.unavailable(), Answer(500), Answer(200, {}, b"no")])
async def test_the_token_endpoint_in_trouble(setup: MicrosoftSetup, answer: Answer) -> None:
    await setup.entra_of_ours(entra=ASK_GRAPH)
    token = setup.microsoft.mint("api")
    setup.microsoft.answers["token"] = answer
    reply = await unavailable(setup, token)
    assert reply.headers.get("retry-after") == {429: "9", 503: "1"}.get(answer.status)
    del setup.microsoft.answers["token"]
    await setup.me(token)


@rule("MICROSOFT-DOWN")
async def test_a_failure_is_not_a_verdict(setup: MicrosoftSetup) -> None:
    await setup.entra()
    token = setup.microsoft.mint("graph")
    for answer in (error_bodies.throttled(300), error_bodies.unavailable(), Answer(500), Answer(200, {}, b"no")):
        setup.microsoft.answers["graph"] = answer
        await unavailable(setup, token)
        del setup.microsoft.answers["graph"]
        await setup.me(token)
        setup.app.clock.advance(301)
        setup.microsoft.asked.clear()
    # Nor does an accepted caller keep access beyond his five minutes when nobody can be asked.
    setup.microsoft.answers["graph"] = error_bodies.unavailable()
    await unavailable(setup, token)


async def test_a_token_that_is_remembered_needs_no_graph(setup: MicrosoftSetup) -> None:
    await setup.entra()
    token = setup.microsoft.mint("graph")
    await setup.me(token)
    setup.microsoft.answers["graph"] = error_bodies.unavailable()
    await setup.me(token)


async def test_no_one_listens(database_url: str) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    cloud = f"login={gone} graph={gone} dataverse={gone} issuer=https://login.microsoftonline.com sts=https://sts.windows.net"
    async with setup_on(database_url, MANIFEST_MICROSOFT_CUSTOM_CLOUD=cloud) as setup:
        provider = await setup.entra_of_ours()
        try:
            for kind in ("graph", "api", "api-v1"):
                await unavailable(setup, setup.microsoft.mint(kind), headers={"X-Client-ID": provider.client})
        finally:
            await setup.clear()  # the module's other tests use the same database


@rule("MICROSOFT-DOWN")
async def test_a_hanging_graph_delays_no_one(setup: MicrosoftSetup) -> None:
    """Graph and the key endpoint hang, with far more requests than can run at the same time."""
    app, microsoft = setup.app, setup.microsoft
    app.clock.advance(3601)
    await setup.entra_of_ours(entra=ASK_GRAPH)
    own = (await app.sign_in()).data["token"]
    with microsoft.gates.shut("graph"), microsoft.gates.shut("keys"):
        waiting = [asyncio.create_task(app.me(microsoft.mint(kind))) for kind in ("graph", "api")]
        while not (microsoft.count("graph") and microsoft.count("keys")):
            await asyncio.sleep(0.01)
        with impatient(app):
            given_up = asyncio.gather(
                unavailable(setup, microsoft.mint("graph", claims={"uti": "other"})),
                unavailable(setup, microsoft.mint("api", claims={"uti": "other"})),
                *[app.me(microsoft.mint("graph", claims={"uti": str(n)})) for n in range(100)],
            )
            await asyncio.sleep(0)
            assert (await app.me(own)).status == 200
            assert {reply.status for reply in await given_up} == {502}
        assert (await app.me(own)).status == 200
        assert not any(task.done() for task in waiting)
    assert [(await task).status for task in waiting] == [200, 200]
    await setup.me(microsoft.mint("graph"))
    await setup.me(microsoft.mint("api"))


@rule("MICROSOFT-DOWN")
async def test_all_calls_of_one_judgment_share_its_time(setup: MicrosoftSetup) -> None:
    """However slowly each response arrives, even one byte at a time."""
    setup.app.clock.advance(3601)
    await setup.entra_of_ours(entra=ASK_GRAPH)
    setup.microsoft.delay = dict.fromkeys(("keys", "token", "graph"), 0.3)
    with impatient(setup.app):
        await unavailable(setup, setup.microsoft.mint("api"))
        setup.microsoft.delay = {}
        setup.microsoft.answers["graph"] = Answer(200, {}, b"{", chunks=(b" ", 100, 0.1))
        await unavailable(setup, setup.microsoft.mint("graph"))
