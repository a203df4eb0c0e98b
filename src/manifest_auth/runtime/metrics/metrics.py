"""Metrics of one process, and the values of their labels."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from manifest_auth.errors import Replay
from manifest_auth.runtime.metrics import export
from manifest_auth.runtime.metrics.hot_path import HotPath, Tally, Timing

# The values of labels.
#
# Each list is closed, so callers cannot fill the memory with new values, and every series exists from the start: for a
# series that appears with its first event, Prometheus sees no increase.


#: Ways to sign in, in addition to the kinds of providers. ``code``: exchanges of one-time codes.
Method = Literal["password", "passkey", "link", "code", "device", "badge", "admin"]
#: Results of an attempt; docs/operations/watch.md explains them.
Result = Literal["ok", "code", "linked", "tried", "failed", "refused", "throttled", "second_factor", "busy"]
#: Entry points that the throttle limits, as its counters name them; and which of its three counters refused an attempt.
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
#: Units of work of the store, and key reads.
Unit = Literal["write", "read", "look_up"]
Failure = Literal["busy", "unavailable"]
#: Kinds of announcements between processes; the key of ``installation`` names what changed.
Announced = Literal["session", "user", "tenant", "installation"]
#: Why a process dropped all that it remembered: its first beat; the last good one is too old; ``nodes`` had no row of
#: the process; too many announcements at once; transactions with lower numbers than before, so another server.
Reset = Literal["start", "gap", "row", "many", "server"]
#: Caches of a process that requests use.
Cache = Literal["access_tokens", "principals", "discovery", "provider_keys", "directory_keys", "entra", "documents"]
CacheResult = Literal["hit", "miss", "stale"]
#: Purposes of calls to a provider, and their results.
Call = Literal["discovery", "keys", "token", "userinfo", "metadata", "graph", "dataverse", "other"]
CallResult = Literal["ok", "refused", "unreachable"]
#: Results of an attempt to send an e-mail. ``refused``: for good.
MailResult = Literal["ok", "failed", "refused"]
#: Kinds of rows that are deleted after their expiry.
Swept = Literal[
    "sessions", "admin_sessions", "invitations", "origins", "throttles", "flows", "directory_flows", "codes",
    "assertions", "refused_tokens", "challenges", "passkey_challenges", "trusted_browsers",
    "files", "uploads", "audit_events", "email_changes", "domain_claims", "service_secrets",
    "used_assertions", "announcements", "badges", "enrolments", "enrolled_devices", "device_grants", "pairings",
]  # fmt: skip
LicenceState = Literal["missing", "valid", "grace", "expired"]


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


# The metrics of one process.
#
# Counters for labels are looked up once and kept: the lookup costs more than counting.
#
# What every request counts goes through :class:`HotPath`; rare events are written at once and survive ``kill -9``.


disable_created_metrics()  # type: ignore[no-untyped-call]  # an extra line for each series, which is not needed
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
#: From a key read in memory to one that waited for a lock as long as SQLite does.
_STORE_SECONDS = (0.0001, 0.0005, *_SECONDS, 10.0)
#: For values that all processes read from one store or compute equally: the newest value counts.
_NEWEST: Literal["mostrecent"] = "mostrecent"


class Metrics:
    """All metrics; ``render()`` is the text of ``/metrics``. ``kinds``: the kinds of providers, as further sign-in
    methods."""

    def __init__(self, kinds: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry()
        export.Processes(self.registry)
        self._hot = HotPath(self.registry)
        self._requests = self._hot.histogram(
            "manifest_request_seconds",
            "Time to answer, by method, route pattern and status; its count is the number of requests",
            ["method", "route", "status"],
            _SECONDS,
        )
        self._answered: dict[tuple[str, str, int], Timing] = {}
        self._sign_ins = self._counters(
            "manifest_sign_ins",
            "Attempts to sign in, by method and result",
            method=(*get_args(Method), *kinds),
            result=Result,
        )
        self._refreshes = self._hot.counters(
            "manifest_refreshes", "Refreshes by result", result=Literal["ok", "reused", "refused"]
        )
        self._replays = self._counters(
            "manifest_replays",
            "Replayed credentials: single-use or replaced ones that were presented again",
            what=Replay,
        )
        self._throttled = self._counters(
            "manifest_throttled",
            "Attempts that the throttle refused, by entry point and counter",
            door=EntryPoint,
            limit=Limit,
        )
        self.hash_waiting = self._gauge("manifest_hash_waiting", "Hashes that wait or run", "livesum")
        self.hash_limit = self._gauge("manifest_hash_limit", "How many hashes may wait or run", "livesum")
        self.hash_refused = Counter(
            "manifest_hash_refused", "Hashes that the full queue refused", registry=self.registry
        )
        self.hash_seconds = self._histogram("manifest_hash_seconds", "Time from asking for a hash to having it")
        self._cached = self._hot.counters(
            "manifest_cache", "Lookups in caches by result", cache=Cache, result=CacheResult
        )
        units = self._hot.histogram(
            "manifest_store_seconds",
            "Time of units of work, from request to durable result",
            ["unit"],
            _STORE_SECONDS,
        )
        waits = self._hot.histogram(
            "manifest_store_wait_seconds",
            "The part of that time before the unit started: waiting for a connection or a lock",
            ["unit"],
            _STORE_SECONDS,
        )
        self.store_seconds: dict[Unit, Timing] = {unit: units.labels(unit) for unit in get_args(Unit)}
        self.store_wait: dict[Unit, Timing] = {unit: waits.labels(unit) for unit in ("write", "read")}
        self._store_failures = self._counters(
            "manifest_store_failures", "Units of work that the store did not execute", unit=Unit, why=Failure
        )
        self._called = self._histogram(
            "manifest_provider_seconds",
            "Time of calls to identity providers, by purpose and result",
            ["call", "result"],
        )
        self._calls: dict[tuple[Call, CallResult], Histogram] = {}  # created on demand: each is a dozen lines
        self._mails = self._counters("manifest_mails", "E-mails by result", result=MailResult)
        self._swept = self._counters("manifest_swept_rows", "Expired rows that were deleted", what=Swept)
        self._build = self._gauge(
            "manifest_build_info",
            "1; the labels name version, commit, schema and store",
            "livemax",
            ["version", "commit", "schema", "store"],
        )
        self._backup = self._gauge(
            "manifest_last_backup_timestamp_seconds", "Time of the last recorded backup; 0: none", _NEWEST
        )
        self._license: tuple[Gauge, Gauge, Gauge] | None = None

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answered request; ``route`` is the pattern, never the path."""
        key = (method, route, status)
        child = self._answered.get(key)
        if child is None:
            child = self._answered[key] = self._requests.labels(method, route, str(status))
        child.observe(seconds)

    def signed_in(self, method: str, result: Result) -> None:
        """Counts one attempt to sign in."""
        self._sign_ins[method, result].inc()

    def refreshed(self, result: Literal["ok", "reused", "refused"]) -> None:
        """Counts one refresh, of users and system admins alike."""
        self._refreshes[result,].inc()

    def replayed(self, what: Replay) -> None:
        """Counts a replay that was refused."""
        self._replays[what,].inc()

    def throttled(self, entry_point: EntryPoint, limit: Limit) -> None:
        """Counts one attempt that the throttle refused. ``limit``: the counter with the longest wait."""
        self._throttled[entry_point, limit].inc()

    def cache(self, cache: Cache, result: CacheResult) -> Tally:
        """The counter of one result of one cache. Frequent callers keep it."""
        return self._cached[cache, result]

    def store_failed(self, unit: Unit, why: Failure) -> None:
        """Counts a unit of work that failed: the store was ``busy`` for too long, or ``unavailable``."""
        self._store_failures[unit, why].inc()

    def called(self, call: Call, result: CallResult, seconds: float) -> None:
        """Counts one call to an identity provider. No label names the provider."""
        child = self._calls.get((call, result))
        if child is None:
            child = self._calls[call, result] = self._called.labels(call, result)
        child.observe(seconds)

    def mailed(self, result: MailResult) -> None:
        """Counts one attempt to send an e-mail."""
        self._mails[result,].inc()

    def swept(self, what: Swept, rows: int) -> None:
        """Counts deleted rows."""
        self._swept[what,].inc(rows)

    def runs(self, version: str, commit: str, schema: str, store: str) -> None:
        """Sets version, commit, schema and store."""
        self._build.labels(version, commit, schema, store).set(1)

    def backed_up(self, at_ms: int) -> None:
        """Sets the time of the last backup, milliseconds; 0 when none is recorded."""
        self._backup.set(at_ms / 1000)

    def license(self, state: str, days_left: float, seats: Mapping[str, tuple[int, int]]) -> None:
        """Sets the licence's state, the days until its expiry (negative in its grace time), and the seats of each type:
        used and granted. These metrics appear with the first call, since hosted mode has no licence."""
        if self._license is None:
            self._license = (
                self._gauge("manifest_license_days_left", "Days until the licence expires", _NEWEST),
                self._gauge(
                    "manifest_license_seats",
                    "Seats by licence type: granted by the licence, and used by those who need that type at least",
                    _NEWEST,
                    ["type", "count"],
                ),
                self._gauge("manifest_license_state", "1 for the state that the licence is in", _NEWEST, ["state"]),
            )
        left, counts, states = self._license
        left.set(days_left)
        for kind, (used, granted) in seats.items():
            counts.labels(kind, "used").set(used)
            counts.labels(kind, "granted").set(granted)
        for known in get_args(LicenceState):
            states.labels(known).set(known == state)

    def render(self, *, all_processes: bool = False) -> bytes:
        """The text exposition, of this process or of all web processes of the server. From any thread."""
        if not all_processes:
            return export.render(self.registry)
        self._hot.flush()
        return export.render(export.all_processes())

    def serving(self, *, several: bool) -> contextlib.AbstractAsyncContextManager[None]:
        """Runs while the application runs. ``several``: other processes may serve the metrics of this one."""
        return self._hot.flushed_regularly() if several else contextlib.nullcontext()

    def _counters(self, name: str, documentation: str, **lists: Any) -> dict[tuple[str, ...], Counter]:
        """The counters of a metric, for every combination of label values."""
        family = Counter(name, documentation, list(lists), registry=self.registry)
        words = [get_args(words) or words for words in lists.values()]
        return {these: family.labels(*these) for these in itertools.product(*words)}

    def _histogram(self, name: str, documentation: str, labels: list[str] | None = None) -> Histogram:
        return Histogram(name, documentation, labels or [], buckets=_SECONDS, registry=self.registry)

    def _gauge(self, name: str, documentation: str, mode: Any, labels: list[str] | None = None) -> Gauge:
        """``mode``: how the values of several web processes are combined: sum of those alive, newest value, …"""
        return Gauge(name, documentation, labels or [], registry=self.registry, multiprocess_mode=mode)
