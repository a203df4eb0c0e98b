"""Runs the application under uvicorn: what the HTTP server refuses is answered in the envelope too."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from manifest_auth.errors import ValidationError
from manifest_auth.http.answers import SECURITY, Header, refuse
from manifest_auth.http.pipeline import WHOLE
from manifest_auth.runtime import logs
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.metrics import all_processes, listen, share
from manifest_auth.runtime.settings import Settings, check_listener

MAX_HEAD = 32 * 1024  # bytes of address and header lines
RECEIVE_TIMEOUT_S = 30.0  # for a request from its first byte to its last, and as much longer as its size takes at
LINGER_S = 2.0  # for what a caller still sends of a body whose refusal is on its way
LEAST_RATE = 16 * 1024  # bytes a second: a photo from a tablet at the edge of the network gets through
_RANDOM = Random()


class HeadTooLarge(ValueError):
    """Address and header lines are longer than ``MAX_HEAD``."""


class UnknownVersion(ValueError):
    """Neither HTTP/1.1 nor HTTP/1.0."""


def answer_at_once(cycle: RequestResponseCycle, status: int, headers: Sequence[Header], body: bytes) -> None:
    """What uvicorn's ``send`` does for a whole answer, in one write and one look at the headers, not two and many.

    The pipeline finds this in the scope (:data:`.pipeline.WHOLE`); other servers do without. Raises ValueError when
    a header holds a line break: then nothing was sent.
    """
    if cycle.disconnected or cycle.response_started:
        return
    lines = [b"%s: %s\r\n" % header for header in (*cycle.default_headers, *headers)]
    if any(name == b"connection" and value == b"close" for name, value in headers):
        cycle.keep_alive = False
    elif not cycle.keep_alive:
        lines.append(b"connection: close\r\n")
    head = b"".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
        raise ValueError("a header holds a line break")
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    content = b"" if cycle.scope["method"] == "HEAD" else body
    cycle.transport.write(b"".join((STATUS_LINE[status], head, b"\r\n", content)))
    cycle.message_event.set()
    if not cycle.keep_alive:
        protocol = cycle.transport.get_protocol()
        if cycle.more_body and isinstance(protocol, Protocol):
            protocol.linger()
        else:
            cycle.transport.close()
    cycle.on_response()


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with bounds on a request's head and time, and refusals in the envelope.

    Framing is llhttp's, strict: a second or malformed Content-Length, one beside Transfer-Encoding, folded lines, bare
    line feeds and NUL are refused and the connection is closed (security bar 89).
    """

    _head_size = 0
    #: When the request that is being received began, by the loop's clock; None between two requests.
    _began_at: float | None = None
    _body_size = 0
    _watch: Any = None
    _lingers = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._began_at = self.loop.time()
        self._watch = self.loop.call_later(RECEIVE_TIMEOUT_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    def linger(self) -> None:
        """The last answer of this connection is out, and the request's body is still coming in.

        Closed at once, the kernel would answer what comes with a reset, which may overtake the answer: a proxy then
        says 502 in place of 413 (RFC 9112, section 9.6). So what comes is thrown away for a while.
        """
        self._lingers = True
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def data_received(self, data: bytes) -> None:
        if not self._lingers:
            super().data_received(data)

    def _look(self) -> None:
        """Closes the connection of a sender who is too slow. One timer for the connection, none for each request."""
        allowed = RECEIVE_TIMEOUT_S + self._body_size / LEAST_RATE
        if self._began_at is not None and self.loop.time() - self._began_at >= allowed:
            self.transport.close()
            return
        self._watch = self.loop.call_later(RECEIVE_TIMEOUT_S / 2, self._look)

    def on_message_begin(self) -> None:
        self._head_size = self._body_size = 0
        self._began_at = self.loop.time()
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._began_at = None
        super().on_message_complete()

    def on_url(self, url: bytes) -> None:
        self._head_size += len(url)
        if self._head_size > MAX_HEAD:
            raise HeadTooLarge
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value) + 4
        if self._head_size > MAX_HEAD:
            raise HeadTooLarge
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.get_http_version() not in ("1.1", "1.0"):  # the parser lets 0.9 and 2.0 pass
            raise UnknownVersion
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.scope["extensions"] = {WHOLE: partial(answer_at_once, cycle)}  # type: ignore[dict-item]
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """A request that is no HTTP, in the envelope like everything else.

        Never in front of the answer to an earlier request of the same connection, where it would be taken for it.
        """
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                cycle.keep_alive = False  # the answer to the latest sound request is the last one of this connection
                return
            if self.pipeline:
                self.transport.close()
                return
        request_id = _RANDOM.text(12)
        answer = refuse(ValidationError("The request is not valid HTTP"), request_id)
        head = [b"HTTP/1.1 400 Bad Request\r\n"]
        for name, value in (*self.server_state.default_headers, *answer.headers, *SECURITY):
            head += [name, b": ", value, b"\r\n"]
        head += [b"x-request-id: ", request_id.encode(), b"\r\n", b"content-length: %d\r\n" % len(answer.body)]
        head += [b"connection: close\r\n\r\n", answer.body]
        self.transport.write(b"".join(head))
        self.transport.close()


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; requests under way get ``shutdown_grace`` seconds to end. Raises SettingsError
    for a listener that must not be reached by others."""
    check_listener(settings)
    logging.basicConfig(handlers=[logs.ForwardToLog(logs.build(settings.log_level))], level=logging.WARNING, force=True)
    # uvicorn raises the signal again once it has stopped in good order: that is a success.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    if settings.workers == 1:
        _run(settings)
        return
    with share():
        if settings.metrics_listen:
            # One for all processes; a single one has its own, see app.py.
            listen(settings.metrics_listen, all_processes())
        _run(settings)


def _run(settings: Settings) -> None:
    uvicorn.run(
        "manifest_auth.app:create",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # head.py believes listed proxies only
        timeout_keep_alive=75,
        timeout_graceful_shutdown=settings.shutdown_grace,
        backlog=2048,
    )
