"""Metrics for Prometheus, with labels from closed lists, never from a caller's input.

Owns the names of all metrics. Never reads the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from manifest_auth.errors import Replay
from manifest_auth.runtime.os_process import own_folder
from manifest_auth.runtime.tracing import note

# The output of ``/metrics`` covers one process, or is the sum of all web processes of one server.
#
# Several processes count into files of a folder that the server creates at startup and deletes at its end, so no data
# of an earlier run is added. The next start deletes the folder of a killed server. The counters of a process stay when
# it dies, because the sums would otherwise fall; its gauges, like waiting hashes, are removed.


_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_PID = re.compile(r"_(\d+)\.db\Z")


class Processes(Collector):
    """Metrics like ``process_cpu_seconds_total``, by ``pid``: of this process, or of the web processes of a folder."""

    def __init__(self, registry: CollectorRegistry, folder: str | None = None) -> None:
        self._folder = folder
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Yields the metrics of the running processes."""
        found: dict[str, Metric] = {}
        for pid in [os.getpid()] if self._folder is None else sorted(_alive(self._folder)):
            for metric in ProcessCollector(pid=lambda: pid, registry=None).collect():  # noqa: B023 - called at once
                same = found.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    same.add_sample(sample.name, {"pid": str(pid)}, sample.value)
        return found.values()


class _AllProcesses(MultiProcessCollector):
    """A collector that removes the gauges of dead processes before it reads."""

    def __init__(self, registry: CollectorRegistry, folder: str) -> None:
        super().__init__(registry, folder)  # type: ignore[no-untyped-call]  # the library has no types here
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """Yields the counters of all processes, and the gauges of running ones."""
        for pid in _pids(self._folder) - _alive(self._folder):
            mark_process_dead(pid, self._folder)  # type: ignore[no-untyped-call]  # as above
        found: Iterable[Metric] = super().collect()  # type: ignore[no-untyped-call]  # as above
        return found


def of_all_processes() -> CollectorRegistry:
    """Creates a registry of all web processes of this server. Call it in such a process, or after :func:`share`."""
    folder, registry = os.environ[_FOLDER], CollectorRegistry()
    _AllProcesses(registry, folder)
    Processes(registry, folder)
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """Returns the text exposition."""
    return generate_latest(registry)


def listen(address: str, registry: CollectorRegistry) -> None:
    """Serves ``/metrics`` on ``HOST:PORT`` in its own thread."""
    host, _, port = address.rpartition(":")
    start_http_server(int(port), host or "127.0.0.1", registry)


@contextlib.contextmanager
def share() -> Iterator[None]:
    """Makes processes that start inside the block count into one new folder."""
    with own_folder("manifest-auth-metrics-") as folder:
        os.environ[_FOLDER] = str(folder)
        yield


def _pids(folder: str) -> set[int]:
    return {int(found[1]) for path in Path(folder).iterdir() if (found := _PID.search(path.name))}


def _alive(folder: str) -> set[int]:
    return {pid for pid in _pids(folder) if _is_alive(pid)}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:  # gone, or another user's process now has the number
        return False
    return True


# Metrics of every request, counted as plain numbers, which are flushed to Prometheus's objects when it reads them.
#
# Prometheus's counters take a lock for each event and, with several web processes, write to a file: thousands of
# instructions of the hundred thousand that a request with a cached token takes. Here an event is one addition.
# :class:`HotPath` creates these counters and flushes them all; callers only count.


EVERY_S = 0.5  # the maximum age of the numbers that another process sees, and how much `kill -9` can lose


class Tally:
    """A counter of events. Only the event loop counts, and only upward, so other threads can read without a lock."""

    __slots__ = ("_count", "_flushed", "_metric")

    def __init__(self, metric: Counter) -> None:
        self._metric, self._count, self._flushed = metric, 0, 0

    def inc(self) -> None:
        """Counts one event."""
        self._count += 1

    def flush(self) -> None:
        """Adds new events to Prometheus's counter. Only one thread can call it at a time."""
        if (count := self._count) != self._flushed:
            self._metric.inc(count - self._flushed)
            self._flushed = count


class Timing:
    """A counter of durations by buckets; otherwise like :class:`Tally`."""

    __slots__ = ("_bounds", "_counts", "_flushed", "_flushed_sum", "_metric", "_sum")

    def __init__(self, metric: Histogram) -> None:
        self._metric, self._bounds = metric, metric._upper_bounds  # the last bound is infinity
        self._counts, self._sum = [0] * len(self._bounds), 0.0
        self._flushed, self._flushed_sum = self._counts.copy(), 0.0

    def observe(self, seconds: float) -> None:
        """Counts one duration."""
        self._sum += seconds  # before the count: every flushed count is in the sum
        self._counts[bisect_left(self._bounds, seconds)] += 1

    @property
    def counts(self) -> list[int]:
        """The number of durations in each bucket so far."""
        return self._counts

    def flush(self) -> None:
        """Flushes like :meth:`Tally.flush`, bucket by bucket, because the library has no public way to add many events
        at once."""
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
    """One metric with all its labels, flushed whenever it is read."""

    def __init__(self, metric: Counter | Histogram, make: Callable[[Any], Part], hot: HotPath) -> None:
        self._metric, self._hot = metric, hot
        self._make: Callable[[Any], Part] = make

    def labels(self, *words: str) -> Part:
        """Returns the counter for these labels. Callers get it once and keep it."""
        part: Part = self._make(self._metric.labels(*words))
        self._hot.parts.append(part)
        return part

    def describe(self) -> Iterable[Metric]:
        """Yields the names, for the registry, which allows each name once."""
        yield from self._metric.describe()

    def collect(self) -> Iterable[Metric]:
        """Yields the values that Prometheus reads."""
        self._hot.flush()
        yield from self._metric.collect()


class HotPath:
    """All counters of one process that every request uses."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.parts: list[Tally | Timing] = []  # grows while another thread iterates over it
        self._registry, self._lock = registry, threading.Lock()

    def counters(self, name: str, documentation: str, **lists: Any) -> dict[tuple[str, ...], Tally]:
        """Creates one counter for every combination of label values."""
        family = self._family(Counter(name, documentation, list(lists), registry=None), Tally)
        return {these: family.labels(*these) for these in itertools.product(*map(get_args, lists.values()))}

    def histogram(self, name: str, documentation: str, labels: list[str], buckets: Sequence[float]) -> Family[Timing]:
        """Creates a histogram of durations by ``labels``."""
        return self._family(Histogram(name, documentation, labels, buckets=buckets, registry=None), Timing)

    def flush(self) -> None:
        """Flushes all counters. Any thread can call it, any number of times."""
        with self._lock:
            for part in self.parts:
                part.flush()

    @contextlib.asynccontextmanager
    async def flushed_regularly(self) -> AsyncIterator[None]:
        """Flushes twice a second and at the end, for one of several web processes, since any of them can serve the
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


# The values of labels are closed lists, so callers cannot fill the memory with new values, and every series exists from
# the start. If a series appears only with its first event, Prometheus sees no increase.


#: Sign-in methods, in addition to the kinds of providers. ``code``: exchanges of one-time codes.
Method = Literal["password", "passkey", "link", "code", "device", "badge", "admin"]
#: Results of an attempt; docs/operations/watch.md explains them.
Result = Literal["ok", "code", "linked", "tried", "failed", "refused", "throttled", "second_factor", "busy"]
#: Rate-limited entry points, by the names of their counters; and which of the three counters rejected an attempt.
EntryPoint = Literal[
    "client",
    "forgot",
    "link",
    "change",
    "admin",
    "admin-own",
    "setup",
    "sso",
    "entra",
    "second_factor",
    "passkey",
    "machine",
    "badge",
    "enrolment",
    "device",
]
Limit = Literal["address", "account", "origin"]
#: Units of work of the database, and key reads.
Unit = Literal["write", "read", "look_up"]
Failure = Literal["busy", "unavailable"]
#: Kinds of announcements between processes; the key of ``installation`` names what changed.
Announced = Literal["session", "user", "tenant", "installation"]
#: Why a process cleared its caches. ``start``: its first heartbeat; ``gap``: the last successful one is too old;
#: ``row``: ``nodes`` had no row of the process; ``many``: too many announcements at the same time; ``server``: lower
#: transaction numbers than before, which means another server.
Reset = Literal["start", "gap", "row", "many", "server"]
#: Caches of a process that requests use.
Cache = Literal["access_tokens", "principals", "discovery", "provider_keys", "directory_keys", "entra", "documents"]
CacheResult = Literal["hit", "miss", "stale"]
#: Purposes of calls to a provider, and their results.
Call = Literal["discovery", "keys", "token", "userinfo", "metadata", "graph", "dataverse", "other"]
CallResult = Literal["ok", "refused", "unreachable"]
#: Results of an attempt to send an email. ``refused``: permanently rejected.
MailResult = Literal["ok", "failed", "refused"]
#: Kinds of rows that are deleted after their expiry.
Swept = Literal[
    "sessions", "admin_sessions", "invitations", "origins", "throttles", "flows", "directory_flows", "codes",
    "assertions", "refused_tokens", "challenges", "passkey_challenges", "trusted_browsers",
    "files", "uploads", "audit_events", "email_changes", "domain_claims", "service_secrets",
    "used_assertions", "announcements", "badges", "enrolments", "enrolled_devices", "device_grants", "pairings",
    "forms", "app_secrets",
]  # fmt: skip
#: Results of recorded spans. ``failed``: not accepted by the collector.
SpanResult = Literal["exported", "dropped", "failed"]
LicenceState = Literal["missing", "valid", "grace", "expired"]


class BeatMetrics:
    """Metrics that are registered when the process starts its heartbeat, so SQLite has none of them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.current = Gauge(
            "manifest_beats_current",
            "1 while the last heartbeat is recent enough to serve from memory",
            registry=registry,
            multiprocess_mode="liveall",
        )
        self.seconds = Histogram(
            "manifest_beat_seconds",
            "Time from sending a heartbeat to its response",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1.5),
            registry=registry,
        )
        announced = Counter(
            "manifest_announcements", "Announcements that heartbeats read, by kind", ["kind"], registry=registry
        )
        #: Counters by kind; a newer release can announce other kinds.
        self.announced = {kind: announced.labels(kind) for kind in get_args(Announced)}
        resets = Counter("manifest_resets", "How often all caches were cleared, by reason", ["why"], registry=registry)
        self.resets = {why: resets.labels(why) for why in get_args(Reset)}
        self.skew = Gauge(
            "manifest_clock_skew_seconds",
            "How far this process's clock is ahead of the database's",
            registry=registry,
            multiprocess_mode="liveall",
        )


# Counters for labels are looked up once and kept, because the lookup costs more than counting. Counts of every request
# go through :class:`HotPath`; rare events are written immediately and survive ``kill -9``.


disable_created_metrics()  # type: ignore[no-untyped-call]  # an extra line for each series, which is not needed
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
#: From a key read in memory to a read that waited for SQLite's maximum lock time.
_STORE_SECONDS = (0.0001, 0.0005, *_SECONDS, 10.0)
#: For values that all processes read from one database or compute equally: the newest value counts.
_NEWEST: Literal["mostrecent"] = "mostrecent"


#: Samples that a process keeps for charts: one every 5 seconds for an hour.
_SAMPLES = 720


class LoadSample(NamedTuple):
    """The work of this process up to that time. ``at``: milliseconds; ``answered``: requests, by the buckets of
    :data:`LATENCY_BOUNDS`; ``hashes``, ``mails``: numbers of waiting ones."""

    at: int
    signed_in: int
    not_signed_in: int
    answered: tuple[int, ...]
    hashes: int
    mails: int


#: Upper bounds of the response time, in seconds; the last bucket has none.
LATENCY_BOUNDS = _SECONDS


class Metrics:
    """All metrics; ``render()`` returns the text of ``/metrics``. ``kinds``: the kinds of providers, as further sign-in
    methods."""

    def __init__(self, kinds: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry()
        Processes(self.registry)
        self._hot = HotPath(self.registry)
        self._requests = self._hot.histogram(
            "manifest_request_seconds",
            "Response time, by method, route pattern, and status; its count is the number of requests",
            ["method", "route", "status"],
            _SECONDS,
        )
        self._answered: dict[tuple[str, str, int], Timing] = {}
        self._sign_ins = self._counters(
            "manifest_sign_ins",
            "Sign-in attempts, by method and result",
            method=(*get_args(Method), *kinds),
            result=Result,
        )
        self._refreshes = self._hot.counters(
            "manifest_refreshes", "Token refreshes, by result", result=Literal["ok", "reused", "refused"]
        )
        self._replays = self._counters(
            "manifest_replays",
            "Replayed credentials: single-use or replaced ones that were used again",
            what=Replay,
        )
        self._throttled = self._counters(
            "manifest_throttled",
            "Attempts that a rate limit blocked, by entry point and counter",
            door=EntryPoint,
            limit=Limit,
        )
        self.scim_failures = Counter("manifest_scim_failures", "SCIM requests that failed", registry=self.registry)
        self.scim_request_at = self._gauge("manifest_scim_request_timestamp_seconds", "Last SCIM request", "max")
        self.hash_waiting = self._gauge("manifest_hash_waiting", "Hashes that are waiting or running", "livesum")
        self.hash_limit = self._gauge("manifest_hash_limit", "Maximum number of hashes that can wait or run", "livesum")
        self.hash_refused = Counter(
            "manifest_hash_refused", "Hashes that were rejected because the queue was full", registry=self.registry
        )
        self.hash_seconds = self._histogram("manifest_hash_seconds", "Time from requesting a hash to its result")
        self._cached = self._hot.counters("manifest_cache", "Cache lookups, by result", cache=Cache, result=CacheResult)
        units = self._hot.histogram(
            "manifest_store_seconds", "Time of units of work, from request to durable result", ["unit"], _STORE_SECONDS
        )
        waits = self._hot.histogram(
            "manifest_store_wait_seconds",
            "Part of that time before the unit started: waiting for a connection or a lock",
            ["unit"],
            _STORE_SECONDS,
        )
        self.store_seconds: dict[Unit, Timing] = {unit: units.labels(unit) for unit in get_args(Unit)}
        self.store_wait: dict[Unit, Timing] = {unit: waits.labels(unit) for unit in ("write", "read")}
        self._store_failures = self._counters(
            "manifest_store_failures", "Units of work that the database didn't execute", unit=Unit, why=Failure
        )
        self._called = self._histogram(
            "manifest_provider_seconds",
            "Time of calls to identity providers, by purpose and result",
            ["call", "result"],
        )
        # created on demand, since each is a dozen lines of output
        self._calls: dict[tuple[Call, CallResult], Histogram] = {}
        self._mails = self._counters("manifest_mails", "Emails, by result", result=MailResult)
        self._swept = self._counters("manifest_swept_rows", "Expired rows that were deleted", what=Swept)
        self._build = self._gauge(
            "manifest_build_info",
            "Always 1; the labels are version, commit, schema, and database",
            "livemax",
            ["version", "commit", "schema", "store"],
        )
        self._backup = self._gauge(
            "manifest_last_backup_timestamp_seconds", "Time of the last recorded backup; 0 if there is none", _NEWEST
        )
        self._disk = self._gauge(
            "manifest_disk_free_bytes", "Free space on the fullest of the disks that the server writes to", "livemin"
        )
        self._problems = self._gauge(
            "manifest_provider_problems",
            "Identity providers that are turned on and whose last daily check found a problem",
            _NEWEST,
        )
        self._license: tuple[Gauge, Gauge, Gauge] | None = None
        self._attempts = [0, 0]  # failed and successful ones
        self.samples: deque[LoadSample] = deque(maxlen=_SAMPLES)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one request; ``route`` is the pattern, never the path."""
        key = (method, route, status)
        child = self._answered.get(key)
        if child is None:
            child = self._answered[key] = self._requests.labels(method, route, str(status))
        child.observe(seconds)

    def signed_in(self, method: str, result: Result) -> None:
        """Counts one sign-in attempt."""
        self._sign_ins[method, result].inc()
        note("manifest.sign_in.method", method)
        note("manifest.sign_in.result", result)
        self._attempts[result == "ok"] += 1

    def sample(self, now: int, mails: int) -> None:
        """Stores a sample of the process's work so far, for charts. ``now``: milliseconds; ``mails``: number of waiting
        ones."""
        totals = [0] * (len(LATENCY_BOUNDS) + 1)
        for timing in self._answered.values():
            for bucket, number in enumerate(timing.counts):
                totals[bucket] += number
        failed, signed_in = self._attempts
        hashes = int(self.hash_waiting._value.get())
        self.samples.append(
            LoadSample(
                at=now, signed_in=signed_in, not_signed_in=failed, answered=tuple(totals), hashes=hashes, mails=mails
            )
        )

    def refreshed(self, result: Literal["ok", "reused", "refused"]) -> None:
        """Counts one refresh, of users and system admins alike."""
        self._refreshes[result,].inc()

    def replayed(self, what: Replay) -> None:
        """Counts a rejected replay."""
        self._replays[what,].inc()

    def throttled(self, entry_point: EntryPoint, limit: Limit) -> None:
        """Counts one attempt that a rate limit rejected. ``limit``: the counter with the longest wait."""
        self._throttled[entry_point, limit].inc()

    def cache(self, cache: Cache, result: CacheResult) -> Tally:
        """Returns the counter of one result of one cache. Frequent callers keep it."""
        return self._cached[cache, result]

    def store_failed(self, unit: Unit, why: Failure) -> None:
        """Counts a failed unit of work: the database was ``busy`` for too long, or ``unavailable``."""
        self._store_failures[unit, why].inc()

    def called(self, call: Call, result: CallResult, seconds: float) -> None:
        """Counts one call to an identity provider. No label names the provider."""
        child = self._calls.get((call, result))
        if child is None:
            child = self._calls[call, result] = self._called.labels(call, result)
        child.observe(seconds)

    def mailed(self, result: MailResult) -> None:
        """Counts one attempt to send an email."""
        self._mails[result,].inc()

    def spans(self) -> dict[SpanResult, Counter]:
        """Creates and returns the counters of recorded spans. They exist only if tracing is on."""
        text = "Spans: sent to the collector, dropped because it was too slow, or not accepted by it"
        counters = self._counters("manifest_spans", text, result=SpanResult)
        return {result: counters[result,] for result in get_args(SpanResult)}

    def swept(self, what: Swept, rows: int) -> None:
        """Counts deleted rows."""
        self._swept[what,].inc(rows)

    def runs(self, version: str, commit: str, schema: str, store: str) -> None:
        """Sets version, commit, schema and database."""
        self._build.labels(version, commit, schema, store).set(1)

    def backed_up(self, at_ms: int) -> None:
        """Sets the time of the last backup, in milliseconds; 0 if none is recorded."""
        self._backup.set(at_ms / 1000)

    def disk(self, free: int) -> None:
        """Sets the free space on the fullest disk, in bytes."""
        self._disk.set(free)

    def provider_problems(self, count: int) -> None:
        """Sets the number of identity providers with a problem."""
        self._problems.set(count)

    def license(self, state: str, days_left: float, seats: Mapping[str, tuple[int, int]]) -> None:
        """Sets the license's state, the days until its expiry (negative in its grace period), and the seats of each
        type: used and granted. These metrics appear with the first call, since hosted mode has no license."""
        if self._license is None:
            self._license = (
                self._gauge("manifest_license_days_left", "Days until the license expires", _NEWEST),
                self._gauge(
                    "manifest_license_seats",
                    "Seats by license type: granted by the license, and used by users who need at least that type",
                    _NEWEST,
                    ["type", "count"],
                ),
                self._gauge("manifest_license_state", "1 for the current state of the license", _NEWEST, ["state"]),
            )
        left, counts, states = self._license
        left.set(days_left)
        for kind, (used, granted) in seats.items():
            counts.labels(kind, "used").set(used)
            counts.labels(kind, "granted").set(granted)
        for known in get_args(LicenceState):
            states.labels(known).set(known == state)

    def render(self, *, all_processes: bool = False) -> bytes:
        """Returns the text exposition, of this process or of all web processes of the server. Any thread can call
        it."""
        if not all_processes:
            return render(self.registry)
        self._hot.flush()
        return render(of_all_processes())

    def serving(self, *, several: bool) -> contextlib.AbstractAsyncContextManager[None]:
        """Runs while the application runs. ``several``: other processes can serve the metrics of this one."""
        return self._hot.flushed_regularly() if several else contextlib.nullcontext()

    def _counters(self, name: str, documentation: str, **lists: Any) -> dict[tuple[str, ...], Counter]:
        """Creates the counters of a metric, for every combination of label values."""
        family = Counter(name, documentation, list(lists), registry=self.registry)
        words = [get_args(words) or words for words in lists.values()]
        return {these: family.labels(*these) for these in itertools.product(*words)}

    def _histogram(self, name: str, documentation: str, labels: list[str] | None = None) -> Histogram:
        return Histogram(name, documentation, labels or [], buckets=_SECONDS, registry=self.registry)

    def _gauge(self, name: str, documentation: str, mode: Any, labels: list[str] | None = None) -> Gauge:
        """Creates a gauge. ``mode``: how the values of several web processes are combined: sum of running ones, newest
        value, …"""
        return Gauge(name, documentation, labels or [], registry=self.registry, multiprocess_mode=mode)
