"""Background jobs that run only when a test calls them, and helpers that wait for other nodes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from unittest import mock

from manifest_auth.accounts import mail_queue
from manifest_auth.clients import client_lifecycle, daily_figures, domain_checks, notices
from manifest_auth.clients.providers import daily_checks
from manifest_auth.context import Origin
from manifest_auth.maintenance import background_jobs, last_backup
from manifest_auth.sign_in.apps import logout
from tests.support.application import App


async def backup_noted(app: App) -> None:
    """Record a backup as just made with another tool."""
    origin = Origin(app.clock.now_ms(), "system", "", "test")
    await app.services.store.write(lambda unit: last_backup.record(unit, origin, origin.at))


async def sweep_expired(app: App) -> None:
    """Delete expired rows."""
    await background_jobs.sweep_expired(app.services)


async def send_logout_notices(app: App) -> None:
    """Notify apps of ended sessions, for every attempt that is due."""
    for notice in await logout.take_due(app.services, ended=True):
        await logout.send(app.services, notice)


async def sweep_clients(app: App) -> None:
    """Delete clients that are due for deletion."""
    await client_lifecycle.sweep_clients(app.services)


async def sweep_files(app: App) -> None:
    """Delete files that no job records, a day after their upload."""
    await background_jobs.sweep_files(app.services)


async def sweep_files_while(app: App, act: Callable[[], Awaitable[object]]) -> None:
    """Like :func:`sweep_files`, but run ``act`` once an unrecorded file is found."""
    original, is_done = app.services.store.read, False

    async def read(work: Any) -> Any:
        nonlocal is_done
        found = await original(work)
        if found and not is_done:
            is_done = True
            await act()
        return found

    with mock.patch.object(app.services.store, "read", read):
        await sweep_files(app)
    assert is_done


async def sweep_broken_uploads(app: App) -> None:
    """Delete what broken uploads left in the folder of files."""
    await background_jobs.sweep_partial_uploads(app.services)


@contextlib.contextmanager
def later_work_waits(app: App) -> Iterator[None]:
    """Complete, when the block ends, the work that a request defers until after its response begins."""
    later: list[Any] = []
    with mock.patch.object(app.services.mail, "in_background", later.append):
        yield
    for one in later:
        app.services.mail.in_background(one)


async def watch_secrets(app: App) -> None:
    """Check which secrets of service accounts are about to expire."""
    await notices.watch_secret_ends(app.services)


async def count_figures(app: App) -> bool:
    """Count new events of the trail for charts. Returns whether nothing is left to count."""
    return await daily_figures.count_all(app.services)


async def sample_load(app: App) -> None:
    """Store a sample of the process's load."""
    await background_jobs.sample_load(app.services)


async def check_providers(app: App) -> int:
    """Check the providers that are due, and return their number."""
    return await daily_checks.check_due(app.services)


async def provider_problems(app: App) -> float | None:
    """The metric for problems found by the latest checks."""
    await daily_checks.update_metric(app.services)
    return app.services.metrics.registry.get_sample_value("manifest_provider_problems")


async def check_domains(app: App) -> int:
    """Check the domain records that are due, and return their number."""
    return await domain_checks.check_due(app.services)


async def drop_old_domains(app: App) -> None:
    """Delete claims that were never verified."""
    await domain_checks.drop_old(app.services)


async def days_later(app: App, days: float) -> int:
    """Move the clock, and check the domain records that are then due. Returns their number."""
    app.clock.advance(days * 86_400)
    return await check_domains(app)


async def runs_nothing(*_: object) -> None:
    """A background job that waits until it's canceled."""
    await asyncio.Event().wait()


@contextlib.contextmanager
def domain_checks_stand_still() -> Iterator[None]:
    """Keep applications that start inside the block from checking domain records on their own."""
    with mock.patch.object(domain_checks, "run", runs_nothing):
        yield


@contextlib.contextmanager
def nothing_by_itself() -> Iterator[None]:
    """Keep applications that start inside the block from running background jobs, which would add to a test's
    counts."""
    with (
        domain_checks_stand_still(),
        mock.patch.object(background_jobs, "run", runs_nothing),
        mock.patch.object(mail_queue.MailQueue, "run", runs_nothing),
        mock.patch.object(daily_checks, "run", runs_nothing),
        mock.patch.object(daily_figures, "run", runs_nothing),
        mock.patch.object(logout, "run", runs_nothing),
    ):
        yield


async def soon(ask: Callable[[], Awaitable[object]], expected: object) -> None:
    """Repeat a query until its result is ``expected``, and fail with the last result after ten seconds. The limit only
    ends tests that hang; tests with real processes verify the actual delay."""
    deadline = time.monotonic() + 60
    while (found := await ask()) != expected and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert found == expected
