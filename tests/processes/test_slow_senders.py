"""A client that never completes its request can't hold a connection forever."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from manifest_auth.http import uvicorn_server
from tests.support.matrix import matrix

REQUEST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"


class _Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def write(self, data: Any) -> None:
        pass


async def _app(_scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def _connect(monkeypatch: pytest.MonkeyPatch) -> tuple[uvicorn_server.BoundedProtocol, _Transport]:
    monkeypatch.setattr(uvicorn_server, "RECEIVE_TIMEOUT_S", 0.1)
    config = uvicorn.Config(_app, http=uvicorn_server.BoundedProtocol, ws="none", lifespan="off", log_config=None)
    config.load()
    protocol, transport = uvicorn_server.BoundedProtocol(config, ServerState(), {}), _Transport()
    protocol.connection_made(transport)
    return protocol, transport


def _held(protocol: uvicorn_server.BoundedProtocol) -> asyncio.Event:
    """Make responses wait for the event from now on."""
    go_on = asyncio.Event()

    async def slow(scope: Any, _receive: Any, send: Any) -> None:
        await go_on.wait()
        await _app(scope, protocol.cycle.receive, send)

    protocol.app = slow
    return go_on


async def _until_closed(protocol: uvicorn_server.BoundedProtocol, transport: _Transport) -> None:
    async with asyncio.timeout(60):
        while not transport.closed:
            await asyncio.sleep(0.02)
    protocol.connection_lost(None)


@matrix("sent", [b"", b"POST /x HT", REQUEST, REQUEST + b"ab", REQUEST + b"abc" + REQUEST[:20]])
async def test_an_unfinished_request_is_cut_off(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol, transport = _connect(monkeypatch)
    if sent:
        protocol.data_received(sent)
    await _until_closed(protocol, transport)


async def test_a_connection_that_rests_between_two_requests_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    protocol, transport = _connect(monkeypatch)
    protocol.data_received(REQUEST + b"abc")
    await asyncio.sleep(0.5)
    assert not transport.closed
    protocol.connection_lost(None)


async def test_a_connection_that_is_not_used_any_longer_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_server, "KEEP_ALIVE_S", 0.2)
    protocol, transport = _connect(monkeypatch)
    protocol.data_received(REQUEST + b"abc")
    await _until_closed(protocol, transport)


async def test_a_long_answer_is_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an earlier request, the next one takes longer than a connection can be idle."""
    monkeypatch.setattr(uvicorn_server, "KEEP_ALIVE_S", 0.1)
    protocol, transport = _connect(monkeypatch)
    protocol.data_received(REQUEST + b"abc")
    await asyncio.sleep(0)
    go_on = _held(protocol)
    protocol.data_received(REQUEST + b"abc")
    await asyncio.sleep(0.5)
    assert not transport.closed
    go_on.set()
    await asyncio.sleep(0.05)
    protocol.connection_lost(None)


async def test_a_connection_whose_request_was_answered_early_is_closed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The response was sent before the body had arrived, which came afterward."""
    monkeypatch.setattr(uvicorn_server, "KEEP_ALIVE_S", 0.2)
    protocol, transport = _connect(monkeypatch)

    async def early(scope: Any, _receive: Any, send: Any) -> None:
        await _app(scope, lambda: asyncio.sleep(0, {}), send)

    protocol.app = early
    protocol.data_received(REQUEST)
    await asyncio.sleep(0.05)
    assert protocol.cycle.response_complete
    protocol.data_received(b"abc")
    await _until_closed(protocol, transport)


async def test_what_does_not_end_behind_a_request_is_kept_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """The preceding request gets a response, and then the connection ends."""
    protocol, transport = _connect(monkeypatch)
    go_on = _held(protocol)
    protocol.data_received(REQUEST + b"abc")
    await asyncio.sleep(0)
    protocol.data_received(b"GET / HTTP/1.1\r\nX-A: " + b"a" * 40_000)
    read: list[bytes] = []
    monkeypatch.setattr(protocol, "parser", SimpleNamespace(feed_data=read.append))
    protocol.data_received(b"a" * 40_000)
    assert not read
    assert not transport.closed
    go_on.set()
    await _until_closed(protocol, transport)
