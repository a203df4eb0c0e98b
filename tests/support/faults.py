"""Faults inside the server at a chosen moment, when a part breaks, is full, or is late."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import resource
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

from manifest_auth.errors import Overloaded
from manifest_auth.http import sign_in_answer
from manifest_auth.protocols import saml
from manifest_auth.runtime.files import FilesUnavailable
from manifest_auth.runtime.hashing import HashProof
from manifest_auth.runtime.hashing.hasher import HashPool
from manifest_auth.sign_in import password as password_sign_in
from manifest_auth.store import StoreUnavailable
from tests.support.application import App


def hash_queue_is_full(patch: pytest.MonkeyPatch) -> None:
    """Reject every new hash."""
    patch.setattr(HashPool, "is_full", True)


def most_hashes(app: App) -> int:
    """The number of hashes that can be computed or waiting at the same time."""
    return app.services.settings.hash_queue + 2 * app.services.hasher.workers


@contextlib.contextmanager
def hash_workers_stand_still(app: App) -> Iterator[None]:
    """Let no hash finish inside the block, so that the queue fills no matter how fast hashes are."""
    pool = app.services.hasher._pool
    assert pool is not None
    workers = [worker.process for worker in pool._workers]
    for worker in workers:
        worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def hashing_is_overloaded() -> Iterator[None]:
    """Reject each hash, but only after it was requested."""
    with mock.patch.object(HashPool, "tag", side_effect=Overloaded(retry_after=1)):
        yield


def store_is_gone(patch: pytest.MonkeyPatch, app: App, why: str) -> None:
    """Keep units of work that write from reaching the database; the driver reports ``why``."""
    store_has_a_bug(patch, app, StoreUnavailable(why), "write", "write_quickly")


def store_is_known_to_be_gone(patch: pytest.MonkeyPatch, app: App) -> None:
    """Fail every login to PostgreSQL."""
    patch.setattr(type(app.services.store), "is_gone", True)


def logos_cannot_be_read(patch: pytest.MonkeyPatch) -> None:
    """Make the database unavailable to pages that load a client's logo."""

    def broken(_unit: object) -> None:
        raise StoreUnavailable("gone")

    patch.setattr("manifest_auth.tenants.brand_assets.find", broken)


def store_has_a_bug(patch: pytest.MonkeyPatch, app: App, error: Exception, *methods: str) -> None:
    """Make units of work of these kinds fail with the error."""

    async def broken(work: Any) -> Any:
        raise error

    for method in methods:
        patch.setattr(app.services.store, method, broken)


@contextlib.contextmanager
def store_fails_after(app: App, good: int, times: int = 1000, *, is_ended: bool = False) -> Iterator[None]:
    """Let this many short units of work succeed, and then make this many fail or end their request."""
    right, numbers = app.services.store.write_quickly, itertools.count()

    async def broken(work: Any) -> Any:
        if good <= next(numbers) < good + times:
            raise asyncio.CancelledError if is_ended else StoreUnavailable("gone")
        return await right(work)

    with mock.patch.object(app.services.store, "write_quickly", broken):
        yield


def files_are_gone(patch: pytest.MonkeyPatch, app: App, why: str) -> None:
    """Fail to store or open any file, with ``why`` as the reason."""

    async def broken(*_arguments: Any) -> Any:
        raise FilesUnavailable(why)

    for method in ("store", "open"):
        patch.setattr(app.services.files, method, broken)


def sign_in_has_a_bug(patch: pytest.MonkeyPatch) -> None:
    """Fail while the response to a sign-in is written."""
    patch.setattr(sign_in_answer, "role_names", lambda _: 1 / 0)


def listed_origins_cannot_be_read(patch: pytest.MonkeyPatch, app: App, *, bug: bool) -> None:
    """Keep the server from finding out which client lists an origin: the database is unavailable, or there is a bug."""

    async def broken(*_: object) -> bool:
        raise RuntimeError("a bug") if bug else StoreUnavailable("gone")

    patch.setattr(app.services.origin_index, "is_listed", broken)


def new_client_has_a_bug(patch: pytest.MonkeyPatch) -> None:
    """Make the unit of work fail after it has written a new client."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("after the client was written")

    patch.setattr("manifest_auth.audit.record_creation", broken)


@contextlib.contextmanager
def logging_to(app: App, log: object) -> Iterator[None]:
    """Send the server's log to ``log`` inside the block."""
    with mock.patch.object(app.services, "log", log):
        yield


@contextlib.contextmanager
def meanwhile(app: App, act: Callable[[], Awaitable[object]]) -> Iterator[None]:
    """Run ``act`` once the next password has been checked, before the server continues."""
    original, done = app.services.hasher.verify, False

    async def verify(stored: str | None, password: str, decoy: str | None = None) -> HashProof:
        nonlocal done
        proof = await original(stored, password, decoy)
        if not done:
            done = True
            await act()
        return proof

    with mock.patch.object(app.services.hasher, "verify", verify):
        yield


@contextlib.contextmanager
def before_hashes_are_kept(app: App, act: Callable[[str], Awaitable[object]]) -> Iterator[None]:
    """Run ``act`` each time a password has been hashed, before the server continues."""
    original = app.services.hasher.hash

    async def hash_late(password: str) -> str:
        made = await original(password)
        await act(password)
        return made

    with mock.patch.object(app.services.hasher, "hash", hash_late):
        yield


@contextlib.contextmanager
def old_hashes_stay() -> Iterator[None]:
    """Keep sign-ins from replacing outdated hashes."""
    with mock.patch.object(password_sign_in, "_rehash"):
        yield


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Limit this process's files to this many bytes inside the block. Larger writes fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def most_at_once(app: App) -> int:
    """The number of responses that are read at the same time."""
    return app.services.saml_thread.most


def threads_of_reading(patch: pytest.MonkeyPatch) -> list[str]:
    """Collect, starting now, the name of the thread in which each response is read or verified."""
    seen: list[str] = []

    def watched(name: str) -> None:
        original: Callable[..., Any] = getattr(saml, name)

        def work(*given: Any) -> Any:
            where = "the loop" if threading.current_thread() is threading.main_thread() else "a thread"
            seen.append(f"{name.removesuffix('_response')} in {where}")
            return original(*given)

        patch.setattr(saml, name, work)

    watched("read_response")
    watched("verify")
    return seen


def reading_waits(patch: pytest.MonkeyPatch) -> threading.Event:
    """Delay the reading of responses, starting now, until the event is set."""
    original, go_on = saml.read_response, threading.Event()

    def slow(encoded: str) -> Any:
        assert go_on.wait(30)
        return original(encoded)

    patch.setattr(saml, "read_response", slow)
    return go_on
