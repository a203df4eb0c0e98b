"""Metrics for Prometheus, with labels from closed lists (:mod:`.metrics`), never from a caller's input.

Owns the names of all metrics. Never asks the store.
"""

from manifest_auth.runtime.metrics.export import all_processes, listen, share
from manifest_auth.runtime.metrics.metrics import (
    Announced,
    BeatMetrics,
    Cache,
    CacheResult,
    Call,
    CallResult,
    EntryPoint,
    Failure,
    Limit,
    Method,
    Metrics,
    Reset,
    Result,
    Swept,
    Unit,
)
