"""Metrics of every request, counted as plain numbers, which are flushed to Prometheus's objects when it reads them.

Prometheus's counters take a lock for each event and, with several web processes, write to a file: thousands of
instructions of the hundred thousand that a request with a cached token takes. Here an event is one addition.
:class:`HotPath` creates these counters and flushes them all; callers only count.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.registry import Collector

EVERY_S = 0.5  # how old the numbers are that another process sees, and how much `kill -9` may lose


class Tally:
    """Counts events. Only the event loop counts, and only upwards, so other threads may read without a lock."""

    __slots__ = ("_count", "_flushed", "_metric")

    def __init__(self, metric: Counter) -> None:
        self._metric, self._count, self._flushed = metric, 0, 0

    def inc(self) -> None:
        """Counts one event."""
        self._count += 1

    def flush(self) -> None:
        """Adds new events to Prometheus's counter. For one thread at a time."""
        if (count := self._count) != self._flushed:
            self._metric.inc(count - self._flushed)
            self._flushed = count


class Timing:
    """Counts durations by buckets; otherwise as :class:`Tally`."""

    __slots__ = ("_bounds", "_counts", "_flushed", "_flushed_sum", "_metric", "_sum")

    def __init__(self, metric: Histogram) -> None:
        self._metric, self._bounds = metric, metric._upper_bounds  # the last one is infinity
        self._counts, self._sum = [0] * len(self._bounds), 0.0
        self._flushed, self._flushed_sum = self._counts.copy(), 0.0

    def observe(self, seconds: float) -> None:
        """Counts one duration."""
        self._sum += seconds  # before the count: every flushed count is in the sum
        self._counts[bisect_left(self._bounds, seconds)] += 1

    def flush(self) -> None:
        """As :meth:`Tally.flush`, bucket by bucket: the library has no public way to add many events at once."""
        if (counts := self._counts.copy()) == self._flushed:
            return
        total = self._sum
        for bucket, count, given in zip(self._metric._buckets, counts, self._flushed, strict=True):
            if count != given:
                bucket.inc(count - given)
        self._metric._sum.inc(total - self._flushed_sum)
        self._flushed, self._flushed_sum = counts, total


Part = TypeVar("Part", Tally, Timing)


class Family(Collector, Generic[Part]):
    """One metric with all its labels; flushed whenever it is read."""

    def __init__(self, metric: Counter | Histogram, make: Callable[[Any], Part], hot: HotPath) -> None:
        self._metric, self._hot = metric, hot
        self._make: Callable[[Any], Part] = make

    def labels(self, *words: str) -> Part:
        """The counter for these labels. Callers ask once and keep it."""
        part: Part = self._make(self._metric.labels(*words))
        self._hot.parts.append(part)
        return part

    def describe(self) -> Iterable[Metric]:
        """The names, for the registry, which allows each name once."""
        yield from self._metric.describe()

    def collect(self) -> Iterable[Metric]:
        """The values that Prometheus reads."""
        self._hot.flush()
        yield from self._metric.collect()


class HotPath:
    """All counters of one process that every request uses."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.parts: list[Tally | Timing] = []  # grows while another thread goes through it
        self._registry, self._lock = registry, threading.Lock()

    def counters(self, name: str, documentation: str, **lists: Any) -> dict[tuple[str, ...], Tally]:
        """One counter for every combination of label values."""
        family = self._family(Counter(name, documentation, list(lists), registry=None), Tally)
        return {these: family.labels(*these) for these in itertools.product(*map(get_args, lists.values()))}

    def histogram(self, name: str, documentation: str, labels: list[str], buckets: Sequence[float]) -> Family[Timing]:
        """Durations by ``labels``."""
        return self._family(Histogram(name, documentation, labels, buckets=buckets, registry=None), Timing)

    def flush(self) -> None:
        """Flushes all counters. From any thread, any number of times."""
        with self._lock:
            for part in self.parts:
                part.flush()

    @contextlib.asynccontextmanager
    async def flushed_regularly(self) -> AsyncIterator[None]:
        """Flushes twice a second and at the end: for one of several web processes, since any of them may serve the
        metrics of all."""
        regularly = asyncio.create_task(self._regularly(), name="metrics")
        try:
            yield
        finally:
            regularly.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await regularly
            self.flush()

    async def _regularly(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            self.flush()

    def _family(self, metric: Counter | Histogram, make: Callable[[Any], Part]) -> Family[Part]:
        family: Family[Part] = Family(metric, make, self)
        self._registry.register(family)
        return family
