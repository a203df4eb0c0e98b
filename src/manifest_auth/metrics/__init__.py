"""What is counted and timed, for Prometheus: by words of closed lists, never by what somebody sent."""

from manifest_auth.metrics.exposing import everybody, listen, share
from manifest_auth.metrics.metrics import Metrics
from manifest_auth.metrics.words import (
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
