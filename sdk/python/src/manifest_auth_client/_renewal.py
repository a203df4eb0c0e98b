"""A value that many use at once and one of them renews: threads, tasks, or both."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

V = TypeVar("V")


class Renewed(Generic[V]):
    """``renew`` gets the value that is to be renewed and gives the next one. It runs in its own thread, so that a
    caller who is interrupted or canceled does not break it off between the server's answer and the store."""

    def __init__(self, value: V | None, renew: Callable[[V | None], V]) -> None:
        self.value = value
        self._renew = renew
        self._lock = threading.Lock()
        self._flight: Future[V] | None = None

    def put(self, value: V | None) -> None:
        """Another value after this, as after a sign-in."""
        with self._lock:
            self.value = value

    def after(self, stale: V | None) -> V:
        """A value that isn't ``stale``: the current one, or a renewed one. However many ask at the same time,
        one renewal runs, and all get its result or what it raised."""
        return self._joined(stale).result()

    async def after_async(self, stale: V | None) -> V:
        """The same for a task, which waits without holding its event loop up."""
        return await asyncio.wrap_future(self._joined(stale))

    def _joined(self, stale: V | None) -> Future[V]:
        with self._lock:
            if self._flight is not None:
                return self._flight
            flight: Future[V] = Future()
            flight.set_running_or_notify_cancel()  # so that no task that waits for it can cancel it
            if self.value is not None and self.value is not stale:
                flight.set_result(self.value)
                return flight
            self._flight = flight
        thread = threading.Thread(target=self._fly, args=(flight, stale), name="manifest-auth-renewal", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be started anymore, or none here at all
            self._fly(flight, stale)
        return flight

    def _fly(self, flight: Future[V], stale: V | None) -> None:
        before = self.value
        try:
            value = self._renew(stale)
        except BaseException as failed:  # noqa: BLE001 - raised in every thread and task that waits
            with self._lock:
                self._flight = None
            flight.set_exception(failed)
            return
        with self._lock:
            self._flight = None
            if self.value is before:  # no one signed in in the meantime
                self.value = value
        flight.set_result(value)
