"""What is counted on the way of every request: in plain numbers, which Prometheus is given when it asks for them.

Its own counters take a lock for each event and, with several web processes, write to a file: thousands of instructions
of the hundred thousand that a request with a known token takes. Here an event is an addition. Nobody who counts has to
think of handing over: :class:`HotPath` alone makes such counters, and knows all that it made.
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

EVERY_S = 0.5  # as old may be what another process sees of this one, and as much may be lost with `kill -9`


class Tally:
    """Counts events. The event loop alone counts, and only upwards: so others may read it without a lock."""

    __slots__ = ("_count", "_given", "_kept")

    def __init__(self, kept: Counter) -> None:
        self._kept, self._count, self._given = kept, 0, 0

    def inc(self) -> None:
        """One more."""
        self._count += 1

    def deliver_link(self) -> None:
        """Gives Prometheus what it does not have yet. For one thread at a time."""
        if (count := self._count) != self._given:
            self._kept.inc(count - self._given)
            self._given = count


class Timing:
    """Counts times by how long they were; otherwise as :class:`Tally`."""

    __slots__ = ("_bounds", "_counts", "_given", "_given_sum", "_kept", "_sum")

    def __init__(self, kept: Histogram) -> None:
        self._kept, self._bounds = kept, kept._upper_bounds  # the last one is infinity
        self._counts, self._sum = [0] * len(self._bounds), 0.0
        self._given, self._given_sum = self._counts.copy(), 0.0

    def observe(self, seconds: float) -> None:
        """One more, that took so long."""
        self._sum += seconds  # before the count: what is handed over as counted is in the sum
        self._counts[bisect_left(self._bounds, seconds)] += 1

    def deliver_link(self) -> None:
        """As that of :class:`Tally`. By single buckets: the library has no public way to add many events at once."""
        if (counts := self._counts.copy()) == self._given:
            return
        total = self._sum
        for bucket, count, given in zip(self._kept._buckets, counts, self._given, strict=True):
            if count != given:
                bucket.inc(count - given)
        self._kept._sum.inc(total - self._given_sum)
        self._given, self._given_sum = counts, total


Part = TypeVar("Part", Tally, Timing)


class Family(Collector, Generic[Part]):
    """One metric with all its labels: handed over whenever it is read."""

    def __init__(self, kept: Counter | Histogram, make: Callable[[Any], Part], hot: HotPath) -> None:
        self._kept, self._hot = kept, hot
        self._make: Callable[[Any], Part] = make

    def labels(self, *words: str) -> Part:
        """What counts under these labels; to be asked for once, and kept."""
        part: Part = self._make(self._kept.labels(*words))
        self._hot.parts.append(part)
        return part

    def describe(self) -> Iterable[Metric]:
        """For the registry, which allows each name once."""
        yield from self._kept.describe()

    def collect(self) -> Iterable[Metric]:
        """What Prometheus reads."""
        self._hot.deliver_link()
        yield from self._kept.collect()


class HotPath:
    """All that one process counts on the way of every request."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.parts: list[Tally | Timing] = []  # grows while another thread goes through it
        self._registry, self._lock = registry, threading.Lock()

    def counters(self, name: str, told: str, **lists: Any) -> dict[tuple[str, ...], Tally]:
        """One counter for every combination of the words that its labels may hold."""
        family = self._family(Counter(name, told, list(lists), registry=None), Tally)
        return {these: family.labels(*these) for these in itertools.product(*map(get_args, lists.values()))}

    def histogram(self, name: str, told: str, labels: list[str], buckets: Sequence[float]) -> Family[Timing]:
        """Times, by ``labels``."""
        return self._family(Histogram(name, told, labels, buckets=buckets, registry=None), Timing)

    def deliver_link(self) -> None:
        """Gives Prometheus all that was counted so far: from any thread, and as often as one likes."""
        with self._lock:
            for part in self.parts:
                part.deliver_link()

    @contextlib.asynccontextmanager
    async def shown_to_others(self) -> AsyncIterator[None]:
        """Hands over twice a second and at the end: for one of several web processes, any of which is asked for all."""
        regularly = asyncio.create_task(self._regularly(), name="metrics")
        try:
            yield
        finally:
            regularly.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await regularly
            self.deliver_link()

    async def _regularly(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            self.deliver_link()

    def _family(self, kept: Counter | Histogram, make: Callable[[Any], Part]) -> Family[Part]:
        family: Family[Part] = Family(kept, make, self)
        self._registry.register(family)
        return family
