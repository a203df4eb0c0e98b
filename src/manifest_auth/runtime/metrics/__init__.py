"""Metrics for Prometheus, with labels from closed lists (:mod:`.labels`), never from a caller's input.

Owns the names of all metrics. Never asks the store.
"""

from manifest_auth.runtime.metrics.beats import BeatMetrics
from manifest_auth.runtime.metrics.export import all_processes, listen, share
from manifest_auth.runtime.metrics.labels import (
    Announced,
    Cache,
    CacheResult,
    Call,
    CallResult,
    EntryPoint,
    Failure,
    Limit,
    Method,
    Reset,
    Result,
    Swept,
    Unit,
)
from manifest_auth.runtime.metrics.metrics import Metrics
