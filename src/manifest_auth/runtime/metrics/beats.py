"""The metrics of beats, which a process on PostgreSQL has."""

from __future__ import annotations

from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from manifest_auth.runtime.metrics.labels import Announced, Reset


class BeatMetrics:
    """Registered when the process begins to beat: on SQLite none of them is shown."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.current = Gauge(
            "manifest_beats_current",
            "1 while the last beat is recent enough to answer from memory",
            registry=registry,
            multiprocess_mode="liveall",
        )
        self.seconds = Histogram(
            "manifest_beat_seconds",
            "Time from sending a beat to its answer",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1.5),
            registry=registry,
        )
        announced = Counter(
            "manifest_announcements", "Announcements that beats have read, by kind", ["kind"], registry=registry
        )
        #: By kind; a newer release may announce others.
        self.announced = {kind: announced.labels(kind) for kind in get_args(Announced)}
        resets = Counter(
            "manifest_resets", "How often all that was remembered was dropped, and why", ["why"], registry=registry
        )
        self.resets = {why: resets.labels(why) for why in get_args(Reset)}
        self.skew = Gauge(
            "manifest_clock_skew_seconds",
            "How far this process's clock is ahead of the store's",
            registry=registry,
            multiprocess_mode="liveall",
        )
