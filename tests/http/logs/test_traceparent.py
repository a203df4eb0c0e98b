"""A request's W3C trace context is logged, and forwarded only to hosts that the operator lists."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import application
from tests.support.accounts import new_client
from tests.support.application import App, running
from tests.support.logged import logged
from tests.support.matrix import matrix
from tests.support.oidc_op import Op, provider
from tests.support.rules import rule
from tests.support.single_sign_on import add_oidc, begun

PROXY = "192.0.2.7"
pytestmark = [
    pytest.mark.one_store,
    pytest.mark.settings(
        MANIFEST_LOG_REQUESTS="all", MANIFEST_TRUSTED_PROXIES=PROXY, MANIFEST_TRACE_OUTGOING="other.example, 127.0.0.1"
    ),
]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{PARENT}-01"


async def traced(app: App, *sent: str) -> dict[str, Any]:
    """The log line of a request with these headers."""
    with logged(app) as lines:
        await app.get("/healthz", headers=[("traceparent", text) for text in sent])
        [line] = [json.loads(line) for line in lines.getvalue().splitlines()]
    return {name: value for name, value in line.items() if name in ("event", "trace_id", "span_id")}


@matrix(
    "sent",
    [
        (),
        (GOOD, GOOD),
        (f"{GOOD},{GOOD}",),
        ("",),
        (f"01{GOOD[2:]}",),
        (f"ff{GOOD[2:]}",),
        (f"{GOOD}-00",),
        (GOOD[:-1],),
        (GOOD.upper(),),
        (GOOD.replace("-", "_"),),
        (f"00-{'0' * 32}-{PARENT}-01",),
        (f"00-{TRACE}-{'0' * 16}-01",),
        (GOOD.replace("4b", "4g"),),
    ],
)
async def test_anything_but_one_well_formed_header_is_ignored(app: App, sent: tuple[str, ...]) -> None:
    assert await traced(app, *sent) == {"event": "request"}


async def test_lines_carry_the_trace_and_a_span_of_their_own_request(app: App) -> None:
    first, second = await traced(app, GOOD), await traced(app, GOOD[:-1] + "9")
    spans = {line.pop("span_id") for line in (first, second)}
    assert first == second == {"event": "request", "trace_id": TRACE}
    assert len(spans | {PARENT}) == 3
    assert {len(span) for span in spans} == {16}


@rule("OUTGOING")
@matrix("peer, sampled", [(PROXY, "01"), ("192.0.2.9", "00")])
async def test_calls_pass_it_to_listed_hosts_and_a_strangers_sampling_does_not_count(
    app: App, op: Op, monkeypatch: pytest.MonkeyPatch, peer: str, sampled: str
) -> None:
    monkeypatch.setattr(application, "_PEER", (peer, 40000))
    span, sent = await asked_with(app, op)
    assert sent == [f"00-{TRACE}-{span}-{sampled}"]
    assert await traced(app) == {"event": "request"}


@rule("OUTGOING")
async def test_no_other_host_gets_it(database_url: str) -> None:
    async with running(database_url, MANIFEST_LOG_REQUESTS="all", MANIFEST_TRACE_OUTGOING="other.example") as node:
        with provider(node.clock) as op:
            assert (await asked_with(node, op))[1] == [None]


async def asked_with(app: App, op: Op) -> tuple[str, list[str | None]]:
    """The span of a traced sign-in, and the trace that each call to the provider's token endpoint carried."""
    client = await new_client(app)
    await add_oidc(app, op, client)
    browser, address = await begun(app, op, client)
    with logged(app) as lines:
        assert (await browser.send("GET", address, headers={"traceparent": GOOD})).status == 302
        told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["event"] for line in told] == ["signed_in", "request"]
    assert {line["trace_id"] for line in told} == {TRACE}
    [span] = {line["span_id"] for line in told}
    sent = [asked.headers.get("traceparent") for asked in op.asked if asked.endpoint == "token"]
    return span, sent
