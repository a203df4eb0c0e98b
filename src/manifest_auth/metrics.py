"""Prometheus metrics of one process. Children are looked up once and kept: looking up costs more than counting."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """All metrics, by name; ``render()`` is the text of ``/metrics``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self._requests = Histogram(
            "manifest_request_seconds",
            "Time to answer, by method, route pattern and status; its count is the number of requests",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=r,
        )
        self.sign_ins = Counter("manifest_sign_ins", "Sign-ins by method and result", ["method", "result"], registry=r)
        self.refreshes = Counter("manifest_refreshes", "Refreshes by result", ["result"], registry=r)
        self.throttled = Counter("manifest_throttled", "Attempts refused by the throttle", registry=r)
        self.hash_waiting = Gauge(
            "manifest_hash_waiting", "Hashes that wait or run", registry=r, multiprocess_mode="livesum"
        )
        self.hash_seconds = Histogram(
            "manifest_hash_seconds", "Time from asking for a hash to having it", buckets=_SECONDS, registry=r
        )
        self.principals = Counter(
            "manifest_principals", "Credential checks by where they were answered", ["from"], registry=r
        )
        self._provider_seconds = Histogram(
            "manifest_provider_seconds",
            "Time that calls to identity providers took, by what they were for and result",
            ["call", "result"],
            buckets=_SECONDS,
            registry=r,
        )
        self.mails = Counter("manifest_mails", "Letters by result", ["result"], registry=r)
        self._license: tuple[Gauge, Gauge] | None = None
        self._children: dict[tuple[str, str, int], Histogram] = {}
        self.refreshed = self.refreshes.labels("ok")

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answered request; ``route`` is the pattern, never the path."""
        key = (method, route, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._requests.labels(method, route, str(status))
        child.observe(seconds)

    def called(self, call: str, result: str, seconds: float) -> None:
        """Counts one call to an identity provider; both words are of short lists, and neither names the provider."""
        self._provider_seconds.labels(call, result).observe(seconds)

    def license(self, days_left: float, seats: Mapping[str, tuple[int, int]]) -> None:
        """How many days a licence has until its expiry, fewer than none in its grace time, and the seats of each type:
        taken and granted. Not among the metrics before, since hosted mode has no licence."""
        if self._license is None:
            mode: Literal["mostrecent"] = "mostrecent"
            r = self.registry
            self._license = (
                Gauge(
                    "manifest_license_days_left", "Days until the licence expires", registry=r, multiprocess_mode=mode
                ),
                Gauge(
                    "manifest_license_seats",
                    "Seats by licence type: granted by the licence, and used by those who need that type at least",
                    ["type", "count"],
                    registry=r,
                    multiprocess_mode=mode,
                ),
            )
        left, counts = self._license
        left.set(days_left)
        for kind, (used, granted) in seats.items():
            counts.labels(kind, "used").set(used)
            counts.labels(kind, "granted").set(granted)

    def render(self) -> bytes:
        """The text exposition; with several web processes, of all of them together."""
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            return generate_latest(_everybody())
        return generate_latest(self.registry)


def listen(address: str, metrics: Metrics | None) -> None:
    """Serves ``/metrics`` on ``HOST:PORT`` in a thread of its own; ``None``: of all processes together."""
    host, _, port = address.rpartition(":")
    start_http_server(int(port), host or "127.0.0.1", _everybody() if metrics is None else metrics.registry)


def _everybody() -> CollectorRegistry:
    """What all web processes of this server count, added up."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types here
    return registry
