"""Recorder of spans, which a thread sends to a collector (OTLP over HTTP).

Needs the extra ``otel``. Reads the standard ``OTEL_…`` variables. Requests never wait for the collector: spans that it
doesn't take in time are dropped and counted.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import Tracer as OtelTracer

from manifest_auth import __version__
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.metrics import Counter, Metrics, SpanResult
from manifest_auth.runtime.tracing import Attribute, Trace

#: How many spans wait at most, unless OTEL_BSP_MAX_QUEUE_SIZE says otherwise.
_MOST_WAITING = 2048
_BATCH = 512
_RATIO = "0.01"
_LAST_SPANS_S = 2.0  # how long the end of the process waits for the collector
_CHECK_S = 2.0


class _Sampling(NamedTuple):
    """Whether requests are recorded. ``follows``: as a trusted caller decided; ``ratio``: the share of the others."""

    follows: bool
    ratio: float

    @classmethod
    def of_environment(cls) -> _Sampling:
        """Reads OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG. Raises ValueError."""
        name = os.environ.get("OTEL_TRACES_SAMPLER") or "parentbased_traceidratio"
        given = os.environ.get("OTEL_TRACES_SAMPLER_ARG") or _RATIO
        kind = name.removeprefix("parentbased_")
        try:
            ratio = {"always_on": 1.0, "always_off": 0.0, "traceidratio": float(given)}[kind]
        except (KeyError, ValueError):
            ratio = -1.0
        if not 0 <= ratio <= 1:
            raise ValueError(f"OTEL_TRACES_SAMPLER={name} with OTEL_TRACES_SAMPLER_ARG={given} isn't supported")
        return cls(name != kind, ratio)


def _most_waiting() -> int:
    """Reads OTEL_BSP_MAX_QUEUE_SIZE. Raises ValueError."""
    given = os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") or str(_MOST_WAITING)
    if not given.isdecimal() or not int(given):
        raise ValueError(f"OTEL_BSP_MAX_QUEUE_SIZE={given} isn't a number of spans")
    return int(given)


class Recorder:
    """The spans of one process. Raises ValueError for invalid variables."""

    def __init__(self, metrics: Metrics, random: Random) -> None:
        self._random = random
        self._metrics, self._sampling, self._most = metrics, _Sampling.of_environment(), _most_waiting()
        self._exporter, self._gap = _Exporter(), self._drawn()
        ours = Resource({"service.name": "manifest-auth", "service.version": __version__})
        self._provider = TracerProvider(ALWAYS_ON, ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
        self._tracer = self._provider.get_tracer("manifest_auth", __version__)

    def start(self) -> None:
        """Starts the thread that sends spans."""
        self._provider.add_span_processor(_Queue(self._exporter, self._metrics.spans(), self._most))

    def close(self) -> None:
        """Sends the last spans. Blocks for at most two seconds, even if the collector hangs."""
        ending = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        ending.start()
        ending.join(_LAST_SPANS_S)

    def check(self) -> bool:
        """Whether the collector accepts a request without spans. Blocks for at most two seconds."""
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # the caller reports the failure
        return OTLPSpanExporter(timeout=_CHECK_S).export(()) is SpanExportResult.SUCCESS

    def is_due(self) -> bool:
        """Whether the next request is drawn. Counts down a random gap, which costs less than a number for each."""
        self._gap -= 1
        if self._gap >= 0:
            return False
        self._gap = self._drawn()
        return True

    def _drawn(self) -> int:
        """Returns how many requests to skip: a geometric distribution, as if each request were drawn independently."""
        if (ratio := self._sampling.ratio) in (0.0, 1.0):
            return 0 if ratio else sys.maxsize
        share = (int.from_bytes(self._random.bytes(6)) + 1) / 2**48
        return int(math.log(share) / math.log1p(-ratio))

    def begin(self, trace: Trace | None, *, trusted: bool, due: bool) -> Trace | None:
        """Decides whether to record a request, and returns its trace. ``trace`` is the caller's, if it names one;
        ``due``: the request was drawn. A caller that isn't trusted can't cause recording, not even by its choice of a
        trace ID."""
        if trace is not None and trusted and self._sampling.follows:
            if not trace.sampled:
                return trace
        elif not due:
            return trace
        above = Context()
        if trace is not None:
            ids = int(trace.trace_id, 16), int(trace.parent_id, 16)
            caller = SpanContext(*ids, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
            above = set_span_in_context(NonRecordingSpan(caller), above)
        span = self._tracer.start_span("request", above, SpanKind.SERVER)
        if not span.is_recording():  # OTEL_SDK_DISABLED
            return trace
        own, recorded = span.get_span_context(), _Recorded(self._tracer, span)
        return Trace(format_trace_id(own.trace_id), format_span_id(own.span_id), sampled=True, span=recorded)


class _Recorded:
    """One span of OpenTelemetry. It has no events, because the texts of exceptions can contain anything."""

    def __init__(self, tracer: OtelTracer, span: OtelSpan) -> None:
        self._tracer, self._span = tracer, span

    def child(self, name: str) -> _Recorded:
        return _Recorded(self._tracer, self._tracer.start_span(name, set_span_in_context(self._span, Context())))

    def set(self, attributes: Mapping[Attribute, str | float]) -> None:
        self._span.set_attributes(attributes)  # type: ignore[arg-type]  # keys of Mapping are invariant

    def end(self, name: str = "", *, failed: bool = False) -> None:
        if name:
            self._span.update_name(name)
        if failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class _Queue(BatchSpanProcessor):
    """The queue to the thread that sends. Counts spans by outcome."""

    def __init__(self, exporter: _Exporter, spans: Mapping[SpanResult, Counter], most: int) -> None:
        self._spans, self._most, self._lock, self._waiting = spans, most, threading.Lock(), 0
        exporter.sent = self._sent
        super().__init__(exporter, most, max_export_batch_size=min(most, _BATCH))

    def on_end(self, span: ReadableSpan) -> None:
        """Queues a span, or drops it if the queue is full."""
        with self._lock:
            is_full = self._waiting >= self._most
            self._waiting += not is_full
        if is_full:
            self._spans["dropped"].inc()
        else:
            super().on_end(span)

    def _sent(self, count: int, accepted: bool) -> None:
        with self._lock:
            self._waiting -= count
        self._spans["exported" if accepted else "failed"].inc(count)


class _Exporter(OTLPSpanExporter):
    """Sends spans, and calls ``sent`` after each batch."""

    sent: Callable[[int, bool], None]

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends a batch, for at most OTEL_EXPORTER_OTLP_TIMEOUT."""
        result = SpanExportResult.FAILURE
        try:
            result = super().export(spans)
        finally:
            self.sent(len(spans), result is SpanExportResult.SUCCESS)
        return result
