"""A value that many threads and tasks share, and that only one of them renews at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

V = TypeVar("V")


class Renewed(Generic[V]):
    """A value that ``renew`` replaces. ``renew`` gets the value to renew, and returns the next one. It runs in a
    separate thread, so that a canceled or interrupted caller can't stop it between the server's response and the store.
    """

    def __init__(self, value: V | None, renew: Callable[[V | None], V]) -> None:
        self.value = value
        self._renew = renew
        self._lock = threading.Lock()
        self._flight: Future[V] | None = None

    def put(self, value: V | None) -> None:
        """Replaces the value, such as after a sign-in."""
        with self._lock:
            self.value = value

    def after(self, stale: V | None) -> V:
        """Returns a value that isn't ``stale``: the current one, or a renewed one. For any number of callers at the
        same time, only one renewal runs, and all of them get its result or exception."""
        return self._joined(stale).result()

    async def after_async(self, stale: V | None) -> V:
        """Like :meth:`after`, but without blocking the event loop."""
        return await asyncio.wrap_future(self._joined(stale))

    def _joined(self, stale: V | None) -> Future[V]:
        with self._lock:
            if self._flight is not None:
                return self._flight
            flight: Future[V] = Future()
            flight.set_running_or_notify_cancel()  # so that no waiting task can cancel it
            if self.value is not None and self.value is not stale:
                flight.set_result(self.value)
                return flight
            self._flight = flight
        thread = threading.Thread(target=self._fly, args=(flight, stale), name="manifest-auth-renewal", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # threads can't be started anymore, or aren't supported here
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
            if self.value is before:  # nobody signed in in the meantime
                self.value = value
        flight.set_result(value)
