"""Spans of requests reach the collector in one tree, and contain nothing that a caller or a provider sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple, get_args

import pytest

from manifest_auth.runtime import metrics, tracing
from tests.http.single_sign_on.test_exchange_codes import APP, CHALLENGE, VERIFIER, code_of, exchange
from tests.runtime.tracing.collector import Collector, Seen, collecting, traced
from tests.support import application
from tests.support.accounts import new_client
from tests.support.application import PASSWORD, App, Reply
from tests.support.badges import badge_client
from tests.support.logged import logged
from tests.support.matrix import matrix
from tests.support.oidc_op import provider
from tests.support.passkeys import with_passkey
from tests.support.routes import ROUTES
from tests.support.rules import rule
from tests.support.second_factors import SIGN_IN, enrolled, person
from tests.support.single_sign_on import Browser, add_oidc, begun, saml_provider
from tests.support.user_management import reset

PROXY, STRANGER, ORIGIN = "192.0.2.7", "192.0.2.9", "https://login.example.com"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SETTINGS = {
    "MANIFEST_PUBLIC_URL": ORIGIN,
    "MANIFEST_LOG_REQUESTS": "all",
    "MANIFEST_TRUSTED_PROXIES": PROXY,
    "MANIFEST_TRACE_OUTGOING": "127.0.0.1",
    "MANIFEST_OUTGOING_PRIVATE": "on",
}
Step = Callable[[], Awaitable[Reply]]


class Site(NamedTuple):
    app: App
    collector: Collector

    async def spans(self) -> list[Seen]:
        """The spans since the last call, after the thread has sent them."""
        recorder = self.app.services.recorder
        assert recorder is not None
        await asyncio.to_thread(recorder._provider.force_flush)
        return self.collector.taken()


@pytest.fixture(scope="module")
async def site(database_url: str) -> AsyncIterator[Site]:
    with collecting() as collector:
        async with traced(database_url, collector.address, **SETTINGS) as app:
            yield Site(app, collector)


async def _password(app: App) -> Step:
    return lambda: app.sign_in(client="acme")


async def _wrong_password(app: App) -> Step:
    return lambda: app.sign_in(password="nightjar-wrong-4711", client="acme")


async def _system_admin(app: App) -> Step:
    return lambda: app.post("/api/admin/auth/sign-in", {"username": "root", "password": PASSWORD})


async def _second_factor(app: App) -> Step:
    ada = await enrolled(app)
    challenge = (await ada.challenge())["challenge"]
    return lambda: ada.go_on(challenge, otp=ada.code())


async def _passkey(app: App) -> Step:
    ada = await with_passkey(app)
    credential = ada.browser.get(await ada.options())
    return lambda: app.post(f"{SIGN_IN}/passkey", {"credential": credential}, headers=ada.sent())


async def _badge(app: App) -> Step:
    plant = await badge_client(app)
    device, grace = await plant.device(), await plant.person()
    return lambda: device.sign_in(grace.badge)


async def _link(app: App) -> Step:
    link = await (await person(app)).reset_link()
    return lambda: reset(app, link, "another-kestrel-21-violet")


async def _oidc(app: App) -> Step:
    async def step() -> Reply:
        with provider(app.clock) as op:
            client = await new_client(app)
            await add_oidc(app, op, client)
            browser, address = await begun(app, op, client)
            return await browser.send("GET", address)

    return step


async def _code(app: App) -> Step:
    with provider(app.clock) as op:
        client = await new_client(app)
        await add_oidc(app, op, client, returnAddresses=[APP])
        code = await code_of(app, op, client, returnTo=APP, codeChallenge=CHALLENGE)
    return lambda: exchange(app, code, VERIFIER)


async def _saml(app: App) -> Step:
    okta, browser = await saml_provider(app), Browser(app)
    request_id, relay_state = await okta.start(browser)
    response = okta.response("ada@acme.example", in_response_to=request_id)
    return lambda: okta.post(browser, response, relay_state)


async def _wrong_saml(app: App) -> Step:
    okta, browser = await saml_provider(app), Browser(app)
    request_id, relay_state = await okta.start(browser)
    response = okta.response("ada@acme.example", in_response_to=request_id, audience="https://other.example")
    return lambda: okta.post(browser, response, relay_state)


UNITS = {"store.write", "store.read", "store.look_up"}


@rule("TRACING")
@matrix(
    "prepare, method, result, parts",
    [
        (_password, "password", "ok", {"throttle", "hash", "finish"}),
        (_wrong_password, "password", "failed", {"throttle", "hash"}),
        (_system_admin, "admin", "ok", {"throttle", "hash", "finish"}),
        (_second_factor, "password", "ok", {"throttle", "finish"}),
        (_passkey, "passkey", "ok", {"throttle", "finish"}),
        (_badge, "badge", "ok", {"throttle", "hash", "finish"}),
        (_link, "link", "ok", {"throttle", "hash", "finish"}),
        (_oidc, "oidc", "ok", {"provider.token", "provider.keys", "oidc.verify", "match", "finish"}),
        (_code, "code", "ok", {"finish"}),
        (_saml, "saml", "ok", {"throttle", "saml.verify", "match", "finish"}),
        (_wrong_saml, "saml", "failed", {"throttle", "saml.verify"}),
    ],
)
async def test_a_sign_in_is_one_tree_without_secrets(
    site: Site, prepare: Callable[[App], Awaitable[Step]], method: str, result: str, parts: set[str]
) -> None:
    step = await prepare(site.app)
    await site.spans()
    site.collector.raw = b""
    reply = await step()
    found = await site.spans()
    root = next(span for span in reversed(found) if not span.parent)
    tree = [span for span in found if span.trace == root.trace]
    assert {span.name for span in tree} - UNITS == parts | {root.name}
    ids = {span.id for span in tree}
    assert [span.name for span in tree if span.parent not in ids] == [root.name]
    assert root.attributes["http.response.status_code"] == reply.status
    assert (root.attributes["manifest.sign_in.method"], root.attributes["manifest.sign_in.result"]) == (method, result)
    assert all(span.attributes["manifest.attempts"] == 1 for span in tree if "manifest.attempts" in span.attributes)
    check_attributes(found)
    sent = [PASSWORD, "nightjar", "kestrel", ".example", "192.0.2.", *secrets_of(reply)]
    assert [text for text in sent if text.encode() in site.collector.raw] == []


def secrets_of(reply: Reply) -> list[str]:
    """Every token, name, and cookie of a response."""
    cookies = [line.partition(";")[0].partition("=")[2] for line in reply.headers.get_list("set-cookie")]
    data = (reply.json or {}).get("data", {})
    texts = [*cookies, data.get("token"), data.get("refreshToken"), data.get("user", {}).get("email")]
    return [text for text in texts if text]


def check_attributes(spans: list[Seen]) -> None:
    """Check that every text comes from a list in the code."""
    patterns = {route.path for route in ROUTES} | {"(none)"}
    lists: dict[str, Any] = {
        "http.request.method": {"GET", "POST", "PUT", "PATCH", "DELETE"},
        "http.route": patterns,
        "manifest.sign_in.method": {*get_args(metrics.Method), "oidc", "saml"},
        "manifest.sign_in.result": get_args(metrics.Result),
        "manifest.call.result": get_args(metrics.CallResult),
    }
    for span in spans:
        assert set(span.attributes) <= set(get_args(tracing.Attribute))
        for name, value in span.attributes.items():
            if isinstance(value, str) and name != "error.type":
                assert value in lists[name]
        assert span.attributes.get("error.type", "X").isidentifier()


async def test_unknown_paths_and_queries_are_not_in_a_span(site: Site) -> None:
    await site.spans()
    await site.app.get("/ada-lovelace/4711?email=ada@acme.example")
    [span] = [span for span in await site.spans() if not span.parent]
    assert span.name == "GET (none)"
    assert span.attributes["error.type"] == "NOT_FOUND"
    check_attributes([span])
    assert site.collector.resource["service.name"] == "manifest-auth"


async def test_the_client_is_named_by_its_number(site: Site) -> None:
    token = (await site.app.sign_in(client="acme")).data["token"]
    await site.spans()
    await site.app.me(token)
    [span] = [span for span in await site.spans() if not span.parent]
    assert span.attributes["manifest.client"] == site.app.ids["acme"]


@rule("TRACING")
@matrix(
    "ratio, sampler, peer, sent, recorded",
    [
        ("0", "", PROXY, "01", True),
        ("1", "", PROXY, "00", False),
        ("0", "", STRANGER, "01", False),
        ("1", "", STRANGER, "00", True),
        ("0", "", STRANGER, None, False),
        ("1", "", STRANGER, None, True),
        ("0", "traceidratio", PROXY, "01", False),
        ("1", "always_off", PROXY, "01", False),
        ("1", "parentbased_always_off", PROXY, "01", True),
        ("0", "always_on", STRANGER, None, True),
    ],
)
async def test_only_a_trusted_caller_decides_what_is_recorded(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    ratio: str,
    sampler: str,
    peer: str,
    sent: str | None,
    recorded: bool,
) -> None:
    monkeypatch.setattr(application, "_PEER", (peer, 40000))
    headers = {} if sent is None else {"traceparent": f"00-{TRACE}-{PARENT}-{sent}"}
    with collecting() as collector:
        named = {"OTEL_TRACES_SAMPLER": sampler} if sampler else {}
        async with traced(database_url, collector.address, ratio, **SETTINGS, **named) as app:
            with logged(app) as lines:
                await app.get("/healthz", headers=headers)
                [line] = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [span.name for span in collector.spans] == (["GET /healthz"] if recorded else [])
    for span in collector.spans:
        assert (line["trace_id"], line["span_id"]) == (span.trace, span.id)
        assert (span.trace, span.parent) == ((TRACE, PARENT) if sent else (span.trace, ""))
    if not recorded:
        assert line.get("trace_id") == (TRACE if sent else None)


async def test_calls_name_the_recorded_trace_to_listed_hosts(site: Site) -> None:
    with provider(site.app.clock) as op:
        client = await new_client(site.app)
        await add_oidc(site.app, op, client)
        browser, address = await begun(site.app, op, client)
        await site.spans()
        await browser.send("GET", address)
        [sent] = [asked.headers.get("traceparent") for asked in op.asked if asked.endpoint == "token"]
    [root] = [span for span in await site.spans() if not span.parent]
    assert sent == f"00-{root.trace}-{root.id}-01"
