"""A proxy that makes a connection to a server slow or silently stalled."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlsplit

from tests.support.processes import free_port

_PART = 65536


class Link:
    """``server`` is a loopback port, or the address of a PostgreSQL database, which can use a socket in the file
    system. ``host`` and ``port`` are set while it listens. It runs in its own thread until :meth:`stop`."""

    def __init__(self, server: int | str, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server, self.host, self.port = server, host, port or free_port()
        self._delay_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._thread.start()
        self._run(self._listen())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self) -> str:
        """The address of the database through the proxy."""
        where = urlsplit(str(self._server))
        login = f"{where.username or 'postgres'}:{quote(where.password or '')}"
        return f"postgresql://{login}@{self.host}:{self.port}{where.path}"

    def cut(self) -> None:
        """Stop all data in both directions, without closing connections."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def heal(self) -> None:
        """Deliver what was sent in the meantime, and continue."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def slow(self, seconds: float) -> None:
        """Delay each request and response by this time."""
        self._delay_s = seconds / 2

    def stop(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._pass_on, self.host, self.port, backlog=128)

    async def _end(self) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there: asyncio.StreamWriter | None = None
        try:
            with contextlib.suppress(OSError):
                await self._flows.wait()
                answers, there = await self._connect()
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._carry(reader, there))
                    both.create_task(self._carry(answers, writer))
        finally:
            self._tasks.discard(task)
            for each in (writer, there):
                if each is not None:
                    each.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._server, int):
            return await asyncio.open_connection("127.0.0.1", self._server)
        where = urlsplit(self._server)
        asked = parse_qs(where.query)
        if where.hostname:
            return await asyncio.open_connection(where.hostname, where.port or 5432)
        return await asyncio.open_unix_connection(f"{asked['host'][0]}/.s.PGSQL.{asked.get('port', ['5432'])[0]}")

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Forward data in order, each part after its delay, and then the end of the stream."""
        parts: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def send() -> None:
            while True:
                due, part = await parts.get()
                await asyncio.sleep(due - self._loop.time())
                await self._flows.wait()
                if not part:
                    with contextlib.suppress(OSError, NotImplementedError):
                        sink.write_eof()
                    return
                with contextlib.suppress(OSError):
                    sink.write(part)
                    await sink.drain()

        sending = self._loop.create_task(send())
        try:
            part = b"."
            while part:
                with contextlib.suppress(OSError):
                    part = b""
                    part = await source.read(_PART)
                parts.put_nowait((self._loop.time() + self._delay_s, part))
            await sending
        finally:
            sending.cancel()
