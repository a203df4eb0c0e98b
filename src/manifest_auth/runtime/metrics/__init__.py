"""What is counted and timed, for Prometheus: by labels of closed lists (:mod:`.labels`), never by what a caller sent.

Owns the names of all metrics. Never asks the store.
"""

from manifest_auth.runtime.metrics.export import everybody, listen, share
from manifest_auth.runtime.metrics.labels import (
    Cache,
    CacheResult,
    Call,
    CallResult,
    EntryPoint,
    Failure,
    Limit,
    Method,
    Result,
    Swept,
    Unit,
)
from manifest_auth.runtime.metrics.metrics import Metrics
