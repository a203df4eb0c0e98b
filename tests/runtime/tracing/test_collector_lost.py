"""A collector that hangs, fails, or is gone delays no request and no end; its spans are counted."""

from __future__ import annotations

import asyncio

import pytest

from tests.runtime.tracing.collector import collecting, traced
from tests.support.application import App, running
from tests.support.matrix import matrix
from tests.support.processes import free_port

pytestmark = pytest.mark.one_store

#: The collector's thread waits longer than the test may take; so a request that waited for it would fail the test.
NEVER = {"OTEL_EXPORTER_OTLP_TIMEOUT": "3600", "OTEL_BSP_SCHEDULE_DELAY": "1"}
SMALL = {"OTEL_BSP_MAX_QUEUE_SIZE": "8"}


def spans(app: App, result: str) -> int:
    found = app.sample("manifest_spans_total", result=result)
    assert found is not None
    return int(found)


async def sign_in_often(app: App) -> None:
    for _ in range(4):
        assert (await app.sign_in(client="acme")).status == 200


@matrix("queue, dropped", [(SMALL, True), ({}, False)])
async def test_requests_and_the_end_never_wait_for_a_collector_that_hangs(
    database_url: str, queue: dict[str, str], dropped: bool
) -> None:
    with collecting() as collector:
        collector.goes_on.clear()
        async with traced(database_url, collector.address, **NEVER, **queue) as app:
            await app.get("/healthz")
            await asyncio.to_thread(collector.asked.wait)
            await sign_in_often(app)
            assert (spans(app, "dropped") > 0) is dropped
            assert (spans(app, "exported"), spans(app, "failed")) == (0, 0)
        assert collector.spans == []


@matrix("status", [400, 0])
async def test_spans_that_no_collector_takes_are_counted(database_url: str, status: int) -> None:
    with collecting() as collector:
        collector.status = status
        address = collector.address if status else f"http://127.0.0.1:{free_port()}"
        async with traced(database_url, address, OTEL_EXPORTER_OTLP_TIMEOUT="1") as app:
            await sign_in_often(app)
            recorder = app.services.recorder
            assert recorder is not None
            await asyncio.to_thread(recorder._provider.force_flush)
            assert spans(app, "failed") > 4
            assert (spans(app, "exported"), spans(app, "dropped")) == (0, 0)


async def test_without_tracing_nothing_is_recorded_or_counted(database_url: str) -> None:
    async with running(database_url) as app:
        assert app.services.recorder is None
        await sign_in_often(app)
        assert app.sample("manifest_spans_total", result="exported") is None
