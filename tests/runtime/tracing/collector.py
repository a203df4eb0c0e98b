"""A collector of spans (OTLP over HTTP) on its own socket, which can refuse them or hang."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from unittest import mock

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.application import App, running


class Seen(NamedTuple):
    """A span as it arrived."""

    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    failed: bool


class Collector:
    """Collects spans. ``status`` is its response; while ``hangs`` is set, it doesn't respond."""

    def __init__(self, address: str) -> None:
        self.address, self.status, self.raw = address, 200, b""
        self.spans: list[Seen] = []
        self.resource: dict[str, str] = {}
        self.goes_on, self.asked = threading.Event(), threading.Event()
        self.goes_on.set()

    def receive(self, body: bytes) -> None:
        sent = ExportTraceServiceRequest.FromString(body)
        self.raw += body
        for resource in sent.resource_spans:
            self.resource |= {each.key: each.value.string_value for each in resource.resource.attributes}
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                found = {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in span.attributes}
                assert not span.events
                assert not span.status.message
                ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                self.spans.append(Seen(span.name, *ids, found, failed=span.status.code == 2))

    def taken(self) -> list[Seen]:
        """Returns the spans since the last call."""
        found, self.spans = self.spans, []
        return found


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.asked.set()
            collector.goes_on.wait()
            if self.path == "/v1/traces" and collector.status == 200:
                collector.receive(body)
            with contextlib.suppress(OSError):
                self.send_response(collector.status if self.path == "/v1/traces" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        try:
            yield collector
        finally:
            collector.goes_on.set()
            server.shutdown()


@contextlib.asynccontextmanager
async def traced(database_url: str, collector: str, ratio: str = "1", **settings: str) -> AsyncIterator[App]:
    """Run the application with tracing. Settings can be variables of OpenTelemetry too."""
    standard = {name: settings.pop(name) for name in list(settings) if name.startswith("OTEL_")}
    standard = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_TRACES_SAMPLER_ARG": ratio, **standard}
    with mock.patch.dict(os.environ, standard):
        async with running(database_url, MANIFEST_TRACING="on", **settings) as app:
            yield app
