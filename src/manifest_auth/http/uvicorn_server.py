"""Runs the application under uvicorn, with limits on connections, requests, and unread responses."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from manifest_auth.errors import ValidationError
from manifest_auth.http.answers import SECURITY, Header, lines, refuse
from manifest_auth.http.pipeline import WHOLE
from manifest_auth.http.request import LEAST_RATE, RECEIVE_TIMEOUT_S
from manifest_auth.runtime import logs, os_process
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.metrics import listen, of_all_processes, share
from manifest_auth.runtime.settings import Network, Settings, SettingsError, check_listener, is_listed, proxy_networks
from manifest_auth.throttle.throttle import network_of

MOST_CONNECTIONS = 4096  # each takes about 20 kB, and more while a request is in progress
_PROXIES = ""  # used as the network of all proxies


class Places:
    """The connections of a process, limited in total and per network.

    If a limit is reached, the connection that has been idle the longest is closed: one from the same network if that
    network has used up its share, otherwise any. Connections with a request in progress are never closed. Listed
    proxies have no share, because all callers connect through them.
    """

    def __init__(self, proxies: tuple[Network, ...]) -> None:
        self._proxies = proxies
        self._taken: dict[BoundedProtocol, str] = {}
        self._by_network: dict[str, set[BoundedProtocol]] = {}

    def take(self, connection: BoundedProtocol, address: str) -> None:
        """Admits a new connection, or drops it if there is no free place and no other connection can be closed."""
        network = _PROXIES if is_listed(address, self._proxies) else network_of(address)
        same, most = self._by_network.get(network, ()), _most()
        if network != _PROXIES and len(same) >= most // 4:
            gives_way = _silent_longest(same)
        elif len(self._taken) >= most:
            strangers = (one for one, of in self._taken.items() if of != _PROXIES)
            gives_way = _silent_longest(strangers) or _silent_longest(self._taken)
        else:
            self._add(connection, network)
            return
        if gives_way is None:
            connection.drop()
            return
        self.leave(gives_way)
        gives_way.drop()
        self._add(connection, network)

    def _add(self, connection: BoundedProtocol, network: str) -> None:
        self._taken[connection] = network
        self._by_network.setdefault(network, set()).add(connection)

    def leave(self, connection: BoundedProtocol) -> None:
        """Frees the place of an ended connection, if it has one."""
        network = self._taken.pop(connection, None)
        if network is not None:
            self._by_network[network].discard(connection)
            if not self._by_network[network]:
                del self._by_network[network]


def _most() -> int:
    """The maximum number of connections. Leaves some open files for the store, uploads, and the log."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files * 3 // 4)


def _silent_longest(connections: Iterable[BoundedProtocol]) -> BoundedProtocol | None:
    silent = ((since, one) for one in connections if (since := one.silent_since) is not None)
    return min(silent, key=lambda pair: pair[0], default=(0.0, None))[1]


MAX_HEAD = 32 * 1024  # bytes of the request line and headers
KEEP_ALIVE_S = 75.0  # a connection without a request is kept for this time, or a few seconds longer
FIRST_S = 1.0  # time to wait for the first request of a new connection when the server stops
LINGER_S = 2.0  # time to wait for the rest of a body after its rejection was sent
UNREAD_S = 30.0  # callers that read nothing for this long are disconnected
SLICE = 4 * 1024  # bytes to parse at a time; they can hold several requests, each larger in memory than here
SHARED = 16 * 1024  # bodies of at least this many bytes are sent without a copy for each caller
_RANDOM = Random()


class HeadTooLarge(ValueError):
    """The request line and headers are longer than ``MAX_HEAD``."""


class UnknownVersion(ValueError):
    """The version is neither HTTP/1.1 nor HTTP/1.0."""


def answer_at_once(
    cycle: RequestResponseCycle, status: int, headers: Sequence[Header], fixed: bytes, body: bytes
) -> None:
    """Sends a complete response like uvicorn's ``send``, but with one write and one check of all headers.

    ``fixed`` contains more headers, in the form that :func:`.answers.lines` creates. The pipeline finds this function
    in the scope (:data:`.pipeline.WHOLE`); other ASGI servers work without it. If a header contains a line break,
    raises ValueError and sends nothing.
    """
    if cycle.disconnected or cycle.response_started:
        return
    all_headers = (*cycle.default_headers, *headers)
    head = lines(all_headers)
    if head.count(b"\n") != len(all_headers) or head.count(b"\r") != len(all_headers):
        raise ValueError("a header contains a line break")
    if b"connection: close\r\n" in head:
        cycle.keep_alive = False
    elif not cycle.keep_alive:
        head += b"connection: close\r\n"
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    content = b"" if cycle.scope["method"] == "HEAD" else body
    if len(content) < SHARED:
        cycle.transport.write(b"".join((STATUS_LINE[status], head, fixed, b"\r\n", content)))
    else:
        cycle.transport.writelines((b"".join((STATUS_LINE[status], head, fixed, b"\r\n")), content))
    cycle.message_event.set()
    del cycle.scope["extensions"]  # it refers to the cycle, which would then wait for the garbage collector
    if not cycle.keep_alive:
        protocol = cycle.transport.get_protocol()
        if cycle.more_body and isinstance(protocol, BoundedProtocol):
            protocol.linger()
        else:
            cycle.transport.close()
    cycle.on_response()


class Flow(FlowControl):
    """Stops reading while received data hasn't been parsed (``unparsed``)."""

    unparsed = memoryview(b"")

    def resume_reading(self) -> None:
        if self.read_paused and not self.unparsed:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol, with limits on a request's head and time, and with errors in the envelope.

    No response begins while the previous one is unread, and no request is parsed while another one waits. So a caller
    that sends requests without reading the responses takes no memory beyond the buffers of one connection.

    llhttp parses strictly. It rejects a second or malformed Content-Length, one together with Transfer-Encoding, folded
    lines, bare line feeds, and NUL, and the connection is closed (request smuggling).
    """

    #: Bytes since the last complete request or body part: of a head, or of the framing of a body.
    _head_size = 0
    #: When the current request started, by the event loop's clock; None between two requests.
    _began_at: float | None = None
    #: Since when no request has been in progress, by the same clock; None while one is.
    _rests_since: float | None = None
    _body_size = 0
    _watch: Any = None
    #: The next request, until the previous response is read.
    _held: tuple[RequestResponseCycle, Any] | None = None
    #: Whether to drop further data.
    _lingers = False
    _is_last = False

    def __init__(self, *given: Any, places: Places | None = None, **named: Any) -> None:
        super().__init__(*given, **named)
        self._places = Places(()) if places is None else places

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.flow: Flow = Flow(transport)
        if sys.platform == "linux" and (connection := transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_S * 1000))
        self._began_at = self.loop.time()
        self._watch = self.loop.call_later(RECEIVE_TIMEOUT_S, self._check_time)
        self._places.take(self, self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        self._places.leave(self)
        super().connection_lost(exc)

    @property
    def silent_since(self) -> float | None:
        """When the connection became idle, by the event loop's clock; None while a request is in progress."""
        if self.cycle is None or self.cycle.response_complete:
            return self._began_at if self._rests_since is None else self._rests_since
        return None

    def drop(self) -> None:
        """Closes the connection immediately, even if data is unsent."""
        self.transport.abort()

    def linger(self) -> None:
        """Closes the connection after its last response, while the request's body is still arriving.

        If it were closed immediately, the kernel would respond to further data with a reset, which can overtake the
        response: a proxy would report 502 instead of 413 (RFC 9112, section 9.6). So arriving data is discarded for a
        while.
        """
        self._drop_input()
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def shutdown(self) -> None:
        """Ends the connection when the server stops. A new connection still gets a response to its first request. That
        request might already be on its way, because its sender couldn't know that the server is stopping."""
        if self.cycle is not None:
            super().shutdown()
            return
        self._is_last = True
        self.loop.call_later(FIRST_S, lambda: self.cycle is None and self.transport.close())

    def data_received(self, data: bytes) -> None:
        if self._lingers:
            return
        if len(data) <= SLICE and not (self.pipeline or self._held or self.flow.unparsed):  # almost always
            self._parse(data)
            return
        self.flow.unparsed = memoryview(bytes(self.flow.unparsed) + data)
        self._parse_on()

    @property
    def _is_behind(self) -> bool:
        return bool(self.pipeline) or self._held is not None

    def _parse_on(self) -> None:
        """Parses received data until a request has to wait, and then reads no further."""
        flow = self.flow
        while flow.unparsed and not self._is_behind:
            part, flow.unparsed = flow.unparsed[:SLICE], flow.unparsed[SLICE:]
            self._parse(part)
        if flow.unparsed:
            flow.pause_reading()

    def _parse(self, data: bytes | memoryview) -> None:
        self._head_size += len(data)
        super().data_received(data)  # type: ignore[arg-type]  # the parser takes any buffer
        if self._head_size > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The request headers are too large")

    def _unsupported_upgrade_warning(self) -> None:
        """Rejects data after an upgrade request, which belongs to the requested protocol. It isn't supported."""
        self.flow.unparsed = memoryview(b"")
        super()._unsupported_upgrade_warning()

    def _drop_input(self) -> None:
        self._lingers, self.flow.unparsed = True, memoryview(b"")

    def resume_writing(self) -> None:
        super().resume_writing()
        held, self._held = self._held, None
        if held is not None and not self.transport.is_closing():
            self._start_asgi_task(*held)
            self._go_on_reading()

    def _go_on_reading(self) -> None:
        if self._began_at is not None:
            self._began_at = self.loop.time()  # the sender waited for us
        self._parse_on()
        if not self._is_behind:
            self.flow.resume_reading()

    def _check_time(self) -> None:
        """Closes slow and unused connections. Uses one timer per connection, not per request."""
        now, allowed = self.loop.time(), RECEIVE_TIMEOUT_S + self._body_size / LEAST_RATE
        is_slow = self._began_at is not None and not self.flow.read_paused and now - self._began_at >= allowed
        if is_slow or (self._rests_since is not None and now - self._rests_since >= KEEP_ALIVE_S):
            self.transport.close()
            return
        self._watch = self.loop.call_later(RECEIVE_TIMEOUT_S / 2, self._check_time)

    def on_message_begin(self) -> None:
        self._body_size, self._rests_since = 0, None
        self._began_at = self.loop.time()
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._head_size = 0
        self._body_size += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head_size, self._began_at = 0, None
        if self.cycle is not None and self.cycle.response_complete:  # the response was sent before the body arrived
            self._rests_since = self.loop.time()
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        if self._head_size > MAX_HEAD:  # possibly of a head and the body behind it
            lines_size = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if len(self.url) + lines_size > MAX_HEAD:
                raise HeadTooLarge
        if self.parser.get_http_version() not in ("1.1", "1.0"):  # the parser also accepts 0.9 and 2.0
            raise UnknownVersion
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Like uvicorn's method, but without a timer for each request; see :meth:`_check_time`."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._began_at is None:
            self._rests_since = self.loop.time()
        if self.flow.read_paused:
            self._go_on_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self.flow.write_paused:
            self._held = cycle, app
            self.flow.pause_reading()
            return
        cycle.scope["extensions"] = {WHOLE: partial(answer_at_once, cycle)}  # type: ignore[dict-item]  # the extension is ours
        if self._is_last:
            cycle.keep_alive = False
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """Responds to invalid HTTP in the envelope, but never before the response to an earlier request on the same
        connection, because the caller would confuse the two."""
        self._drop_input()  # the following data has no valid start
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                cycle.keep_alive = False  # the response to the latest valid request is the last one on this connection
                return
            if self.pipeline:
                self.transport.close()
                return
        request_id = _RANDOM.text(12)
        answer = refuse(ValidationError("The request isn't valid HTTP"), request_id)
        head = [b"HTTP/1.1 400 Bad Request\r\n"]
        for name, value in (*self.server_state.default_headers, *answer.headers, *SECURITY):
            head += [name, b": ", value, b"\r\n"]
        head += [b"x-request-id: ", request_id.encode(), b"\r\n", b"content-length: %d\r\n" % len(answer.body)]
        head += [b"connection: close\r\n\r\n", answer.body]
        self.transport.write(b"".join(head))
        self.transport.close()


_FIRST = 3  # SD_LISTEN_FDS_START


def inherited_fd() -> int | None:
    """Returns the descriptor of the socket that systemd holds, so that connections wait during a restart, in the way of
    ``sd_listen_fds(3)``. None means that the server opens its own socket. Raises SettingsError if there is more than
    one."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    if os.environ.get("LISTEN_FDS") != "1":
        raise SettingsError("LISTEN_FDS: expected exactly one socket, see deploy/manifest-auth.socket")
    return _FIRST


def inherited_address() -> tuple[str, int] | None:
    """Returns the host and port of that socket, which replace the settings. Raises SettingsError."""
    fd = inherited_fd()
    if fd is None:
        return None
    with socket.socket(fileno=os.dup(fd)) as listener:
        if listener.family not in (socket.AF_INET, socket.AF_INET6):
            raise SettingsError("LISTEN_FDS: not a TCP socket, see deploy/manifest-auth.socket")
        host, port, *_ = listener.getsockname()
        return host, port


class _Server(uvicorn.Server):
    """A single web process."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        os_process.notify(os_process.READY)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        os_process.notify(os_process.STOPPING)
        await super().shutdown(sockets)


class _Supervisor(Multiprocess):
    """The parent of several web processes."""

    _is_ready = False
    _begun: tuple[Process, ...] = ()

    def keep_subprocess_alive(self) -> None:
        # A process that is silent before it serves is still starting. If it were replaced, it would start over, and on
        # a busy machine it would do so repeatedly.
        alive = [one for one in self.processes if one not in self._begun and one.process.is_alive()]
        starting = [one for one in alive if not one.is_ready(timeout=1)]
        self.processes = [one for one in self.processes if one not in starting]
        self._begun = tuple(self.processes)
        super().keep_subprocess_alive()
        self.processes += starting
        os_process.notify(os_process.ALIVE)
        if not self._is_ready and not self.should_exit.is_set() and self._begun == tuple(self.processes):
            self._is_ready = True
            os_process.notify(os_process.READY)

    def terminate_all(self) -> None:
        os_process.notify(os_process.STOPPING)
        super().terminate_all()


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Requests in progress get ``shutdown_grace`` seconds to finish. Raises
    SettingsError for a listener that other machines must not be able to reach."""
    check_listener(settings)
    logging.basicConfig(handlers=[logs.ForwardToLog(logs.build(settings.log_level))], level=logging.WARNING, force=True)
    # uvicorn raises the signal again after an orderly stop, so the exit status is success.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    try:
        if settings.workers == 1:
            _one(_config(settings))
            return
        with share():
            if settings.metrics_listen:
                # One listener serves all processes. For a single process, app.py starts it.
                listen(settings.metrics_listen, of_all_processes())
            _several(_config(settings))
    except SystemExit as ended:
        # This server uses uvicorn's status of a failed start for an older schema, which a restart can't fix.
        if ended.code == STARTUP_FAILURE:
            sys.exit(1)
        raise


def _one(config: uvicorn.Config) -> None:
    server = _Server(config)
    _set_hang_up()
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(1)


def _several(config: uvicorn.Config) -> None:
    supervisor = _Supervisor(config, [config.bind_socket()])
    _set_hang_up()
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        sys.exit(1)


def _set_hang_up() -> None:
    """Handles SIGHUP. If the server was started from a terminal, closing the terminal stops the server in an orderly
    way. A service ignores the signal, and so do its child processes, because settings are read only at the start."""
    if sys.stdin is not None and sys.stdin.isatty():
        signal.signal(signal.SIGHUP, lambda _number, _frame: signal.raise_signal(signal.SIGTERM))
    else:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        "manifest_auth.app:create",
        factory=True,
        host=settings.host,
        port=settings.port,
        fd=inherited_fd(),
        workers=settings.workers,
        http=partial(BoundedProtocol, places=Places(proxy_networks(settings))),  # type: ignore[arg-type]  # as good as a class
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # request.py trusts listed proxies only
        # One of several processes that serves and is then silent for longer is replaced.
        timeout_worker_healthcheck=20,
        timeout_graceful_shutdown=settings.shutdown_grace,
        backlog=2048,
    )
