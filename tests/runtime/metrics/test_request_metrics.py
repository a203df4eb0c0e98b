"""A request's metrics cost only an addition, and none is lost."""

from __future__ import annotations

import ast
import asyncio
import itertools
from collections.abc import Callable
from typing import Any, get_args

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest, values

from manifest_auth.runtime import metrics as hot_path
from manifest_auth.runtime.metrics import Cache, CacheResult, Metrics, Unit
from tests.architecture.test_code import FILES, SOURCE
from tests.support.application import App

SCRAPED = ("manifest_request_seconds", "manifest_cache", "manifest_refreshes", "manifest_store_seconds",
           "manifest_store_wait_seconds")  # fmt: skip


pytestmark = pytest.mark.still


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collect the values added to Prometheus's metrics from now on, except those that a PostgreSQL heartbeat adds."""
    seen: list[float] = []
    add: Any = values.MutexValue.inc

    def inc(value: Any, amount: float) -> None:
        task = asyncio.current_task()
        if task is None or task.get_name() != "store-beat":
            seen.append(amount)
        add(value, amount)

    monkeypatch.setattr(values.MutexValue, "inc", inc)
    return seen


def totals(metrics: Metrics) -> dict[str, float]:
    """The number of events in the hot metrics, summed over labels."""
    found = dict.fromkeys(SCRAPED, 0.0)
    for family in metrics.registry.collect():
        for sample in family.samples:
            if family.name in found and sample.name.endswith(("_total", "_count")):
                found[family.name] += sample.value
    return found


async def test_requests_write_nothing_to_prometheus_and_a_scrape_sees_them_all(app: App, written: list[float]) -> None:
    data = (await app.sign_in(client="acme")).data
    token, refresh_token = data["token"], data["refreshToken"]
    before = totals(app.services.metrics)
    written.clear()
    for _ in range(3):
        assert (await app.me(token)).status == 200
    assert (await app.graphql("{ me { id } }", token)).status == 200
    assert (await app.graphql("{ users { id } }", token)).status == 200
    assert (await app.refresh(refresh_token)).status == 200
    assert written == []
    after = totals(app.services.metrics)
    assert after["manifest_request_seconds"] == before["manifest_request_seconds"] + 6
    assert after["manifest_refreshes"] == before["manifest_refreshes"] + 1
    assert after["manifest_cache"] >= before["manifest_cache"] + 12
    for units in ("manifest_store_seconds", "manifest_store_wait_seconds"):
        assert after[units] > before[units]
    assert written != []


def events(metrics: Metrics) -> list[Callable[[], object]]:
    """One event of each kind that a request counts."""
    caches = itertools.product(get_args(Cache), get_args(CacheResult))
    return [
        lambda: metrics.answered("GET", "/", 200, 0.1),
        lambda: metrics.refreshed("ok"),
        *(metrics.cache(cache, result).inc for cache, result in caches),
        *(lambda unit=unit: metrics.store_seconds[unit].observe(0.1) for unit in get_args(Unit)),
        *(lambda unit=unit: metrics.store_wait[unit].observe(0.1) for unit in ("read", "write")),
    ]


async def test_other_processes_see_it_in_time_and_nothing_is_lost_at_the_end(
    written: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_path, "EVERY_S", 0.01)
    metrics = Metrics()
    for count in events(metrics):
        async with asyncio.timeout(60), metrics.serving(several=True):
            count()
            assert written == []
            while not written:
                await asyncio.sleep(0.01)
            written.clear()
            count()
            assert written == []
        assert written != []
        written.clear()


def test_times_are_shown_as_prometheus_would_show_them() -> None:
    registry, bounds = CollectorRegistry(), (0.001, 0.0025, 1.0)
    other = Histogram("h_seconds", "told", ["of"], buckets=bounds, registry=registry)
    same_registry = CollectorRegistry()
    ours = hot_path.HotPath(same_registry).histogram("h_seconds", "told", ["of"], bounds)
    for word in ("x", "y"):
        part = ours.labels(word)
        for seconds in (0.0, 0.001, 0.00100001, 0.5, 1.0, 99.0):
            other.labels(word).observe(seconds)
            part.observe(seconds)
            assert generate_latest(same_registry) == generate_latest(registry)
    asked = "h_seconds_sum"  # like the listener's ``/metrics?name[]=…``
    assert [*same_registry.restricted_registry([asked]).collect()] == [*registry.restricted_registry([asked]).collect()]


def test_the_prometheus_client_is_used_in_one_module() -> None:
    """So that every counter used in a request is handed over."""
    users = {
        path.relative_to(SOURCE).as_posix()
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom) and "prometheus_client" in ast.unparse(node)
    }
    assert users == {"runtime/metrics.py"}
