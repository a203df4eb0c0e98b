"""The pool of hash workers: a bounded FIFO queue; as many workers as are needed at once; those that die are replaced.

Each worker has one running job and one in its pipe, so it never waits for the event loop between two hashes. That, more
than the workers' lower priority, prevents that many sign-ins delay reads: the scheduler does not prefer a worker that
never sleeps (measurements: ``docs/decisions/0004-hashing.md``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from manifest_auth.errors import Overloaded
from manifest_auth.runtime.hashing.worker import HEADER

_WORKER = Path(__file__).with_name("worker.py")
NICE = 10
DEPTH = 2


class HashFailed(Exception):
    """Argon2 refused the parameters, or the job's worker died twice."""


@dataclass(slots=True, eq=False)
class _Job:
    message: bytes
    done: asyncio.Future[bytes]
    tries: int = 0


@dataclass(slots=True, eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    channel: socket.socket
    jobs: deque[_Job] = field(default_factory=deque)


class HashPool:
    """``folders``: of the Argon2 build; ``limit``: jobs that may wait; ``buffer_kib``: the usual memory of a job;
    ``in_vain``: whether those that wait are refused instead."""

    def __init__(
        self, folders: list[str], in_vain: Callable[[], bool], *, workers: int, limit: int, buffer_kib: int
    ) -> None:
        self._folders, self._limit, self._buffer_kib = folders, limit, buffer_kib
        self._in_vain = in_vain
        self._count = workers or len(os.sched_getaffinity(0))
        self._wanted = 1  # a worker more when all have a job, since each takes four megabytes
        self._queue: deque[_Job] = deque()
        self._workers: list[_Worker] = []
        self._closing = False

    @property
    def most(self) -> int:
        """Number of jobs that may wait or run."""
        return self._limit + self._count * DEPTH

    @property
    def is_full(self) -> bool:
        """Whether as many jobs wait as may."""
        return len(self._queue) >= self._limit

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._spawn()

    async def close(self) -> None:
        self._closing = True
        for worker in self._workers:
            self._loop.remove_reader(worker.channel)
            worker.channel.close()  # the worker reads end of file and exits
            for job in worker.jobs:
                job.done.cancel()
        for job in self._queue:
            job.done.cancel()
        for worker in self._workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(worker.process.wait, 5)
                continue
            worker.process.kill()

    async def tag(self, password: bytes, salt: bytes, *, memory: int, passes: int, lanes: int, length: int) -> bytes:
        """The raw Argon2id tag. Raises Overloaded when the queue is full, HashFailed."""
        if self.is_full:
            raise Overloaded(retry_after=1)
        message = HEADER.pack(memory, passes, lanes, length, len(salt)) + salt + password
        job = _Job(message, self._loop.create_future())
        self._queue.append(job)
        self._feed()
        tag = await job.done
        if tag[:1] == b"!" and len(tag) != length:
            raise HashFailed(tag.decode())
        return tag

    def _spawn(self) -> None:
        if self._closing:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        command = [sys.executable, "-I", "-S", str(_WORKER), str(NICE), str(self._buffer_kib), *self._folders]
        with theirs:
            # In the server's session: Linux compares priorities only within a session (sched_autogroup).
            process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL)  # noqa: S603 - fixed command
        worker = _Worker(process, ours)
        self._workers.append(worker)
        self._loop.add_reader(ours, self._readable, worker)
        self._feed()

    def _feed(self) -> None:
        while self._queue and self._workers:
            worker = min(self._workers, key=lambda w: len(w.jobs))
            if worker.jobs and self._wanted < self._count:
                self._wanted += 1
                self._spawn()
                return
            if len(worker.jobs) >= DEPTH:
                return
            job = self._queue.popleft()
            if job.done.done():  # the caller has gone
                continue
            if self._in_vain():
                job.done.set_exception(Overloaded(retry_after=1))
                continue
            try:
                worker.channel.send(job.message)
            except OSError:
                self._queue.appendleft(job)
                self._replace(worker)
                continue
            worker.jobs.append(job)

    def _readable(self, worker: _Worker) -> None:
        try:
            tag = worker.channel.recv(256)
        except BlockingIOError:
            return
        except OSError:
            tag = b""
        if not tag:
            self._replace(worker)
            return
        job = worker.jobs.popleft()
        self._feed()
        if not job.done.done():
            job.done.set_result(tag)

    def _replace(self, worker: _Worker) -> None:
        """Replaces a dead worker. Its jobs go to the start of the queue again, each at most twice."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        self._loop.remove_reader(worker.channel)
        worker.channel.close()
        worker.process.kill()
        worker.process.wait()
        died_twice = False
        for job in reversed(worker.jobs):
            job.tries += 1
            if job.tries < 2:
                self._queue.appendleft(job)
            elif not job.done.done():
                died_twice = True
                job.done.set_exception(HashFailed("the worker died twice"))
        # A job that kills workers must not restart them in a tight loop.
        self._loop.call_later(0.5 if died_twice else 0.0, self._spawn)
