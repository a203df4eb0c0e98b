"""What is counted and timed, for Prometheus: by words of closed lists, never by what somebody sent."""

from manifest_auth.runtime.metrics.export import everybody, listen, share
from manifest_auth.runtime.metrics.labels import (
    Cache,
    CacheResult,
    Call,
    CallResult,
    Door,
    Failure,
    Limit,
    Method,
    Result,
    Swept,
    Unit,
)
from manifest_auth.runtime.metrics.metrics import Metrics

__all__ = [
    "Cache",
    "CacheResult",
    "Call",
    "CallResult",
    "Door",
    "Failure",
    "Limit",
    "Method",
    "Metrics",
    "Result",
    "Swept",
    "Unit",
    "everybody",
    "listen",
    "share",
]
