"""Hashes passwords and verifies them: Argon2id in the pool's processes, imported hashes in threads of low priority.

Stored form: the PHC string ``$argon2id$v=19$m=…,t=…,p=…$salt$tag``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import os
import re
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from manifest_auth.errors import Overloaded
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.hashing import builds, imported_hashes
from manifest_auth.runtime.hashing.worker import HEADER
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.os_process import usable_cores
from manifest_auth.runtime.settings import Settings
from manifest_auth.runtime.tracing import note, spanned

# The pool of hash workers has a bounded FIFO queue and as many workers as are needed at the same time; dead ones are
# replaced. Each worker has one running job and one in its pipe, so it never waits for the event loop between two
# hashes. This, more than the workers' lower priority, prevents many sign-ins from delaying reads, because the scheduler
# does not prefer a worker that never sleeps (measurements: ``docs/decisions/0004-hashing.md``).


_WORKER = Path(__file__).with_name("worker.py")
NICE = 10
DEPTH = 2


class HashFailed(Exception):
    """Argon2 rejected the parameters, or the job's worker died twice."""


@dataclass(slots=True, eq=False)
class _Job:
    message: bytes
    done: asyncio.Future[bytes]
    tries: int = 0
    sent_at: float = 0.0


@dataclass(slots=True, eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    channel: socket.socket
    jobs: deque[_Job] = field(default_factory=deque)


class HashPool:
    """The pool of hash workers. ``folders``: the Argon2 build's folders; ``limit``: maximum number of waiting jobs;
    ``buffer_kib``: the usual memory of a job; ``in_vain``: whether waiting jobs are rejected instead."""

    def __init__(
        self, folders: tuple[str, ...], in_vain: Callable[[], bool], *, workers: int, limit: int, buffer_kib: int
    ) -> None:
        self._folders, self._limit, self._buffer_kib = folders, limit, buffer_kib
        self._in_vain = in_vain
        self._count = workers or usable_cores()
        self._wanted = 1  # one more worker if all are busy, since each takes four megabytes
        self._queue: deque[_Job] = deque()
        self._workers: list[_Worker] = []
        self._closing = False

    @property
    def most(self) -> int:
        """The maximum number of jobs that wait or run."""
        return self._limit + self._count * DEPTH

    @property
    def is_full(self) -> bool:
        """Whether the queue is full."""
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
        """Returns the raw Argon2id tag. Raises Overloaded if the queue is full, HashFailed."""
        if self.is_full:
            raise Overloaded(retry_after=1)
        message = HEADER.pack(memory, passes, lanes, length, len(salt)) + salt + password
        job = _Job(message, self._loop.create_future())
        self._queue.append(job)
        asked_at = self._loop.time()
        self._feed()
        tag = await job.done
        note("manifest.waited_ms", round((job.sent_at - asked_at) * 1000, 3))
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
            # The worker runs in the server's session, because Linux compares priorities only within a session
            # (sched_autogroup).
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
            if job.done.done():  # the caller is gone
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
            job.sent_at = self._loop.time()
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
        """Replaces a dead worker. Its jobs return to the start of the queue, each at most twice."""
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


SALT, TAG = 16, 32
_PHC = re.compile(
    r"\$argon2id\$v=19\$m=(?P<m>\d{1,8}),t=(?P<t>\d{1,4}),p=(?P<p>\d{1,3})\$(?P<salt>[A-Za-z0-9+/]+)\$(?P<tag>[A-Za-z0-9+/]+)\Z"
)
#: Maximum cost of an imported Argon2id hash: MiB, and MiB times passes.
MOST_MEMORY: Final = 256
MOST_WORK: Final = 512


class HashProof(NamedTuple):
    """The result of a check. ``matches``: the password matches the hash; ``outdated``: the hash should be replaced by
    one with the current settings."""

    matches: bool
    outdated: bool


class _Parameters(NamedTuple):
    memory: int
    passes: int
    lanes: int


class Hasher:
    """The hasher of a process. Call :meth:`start` before use. ``in_vain``: whether hashes are useless at the moment
    because the database is unavailable; then none is computed."""

    def __init__(self, settings: Settings, random: Random, metrics: Metrics, in_vain: Callable[[], bool]) -> None:
        self._today = _Parameters(settings.argon2_memory, settings.argon2_passes, settings.argon2_lanes)
        self._random = random
        self._settings = settings
        self._metrics = metrics
        self._in_vain = in_vain
        self._dummy_salt = random.bytes(SALT)
        self._threads = ThreadPoolExecutor(2, "foreign-hash", initializer=_lower_priority)
        self._imported = 0
        self._pool: HashPool | None = None
        self.build = ""

    async def start(self) -> None:
        """Chooses the build and starts the workers."""
        build = await asyncio.to_thread(builds.choose)
        self.build = build.name
        self._pool = HashPool(
            build.folders,
            self._in_vain,
            workers=self.workers,
            limit=self._settings.hash_queue,
            buffer_kib=self._today.memory,
        )
        await self._pool.start()
        self._metrics.hash_limit.set(self._pool.most)

    @property
    def workers(self) -> int:
        """Number of hashes that can be computed at the same time."""
        return self._settings.hash_workers or max(1, usable_cores() // self._settings.workers)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._pool is not None:
            await self._pool.close()

    def check_capacity(self) -> None:
        """Raises Overloaded if the queue is full, or a hash would be in vain."""
        if self._workers.is_full or self._in_vain():
            raise self._full()

    def _full(self) -> Overloaded:
        self._metrics.hash_refused.inc()
        return Overloaded(retry_after=1)

    async def hash(self, password: str) -> str:
        """Returns the stored form of a new password. Raises Overloaded."""
        salt = self._random.bytes(SALT)
        tag = await self._tag(password, salt, self._today, TAG)
        m, t, p = self._today
        return f"$argon2id$v=19$m={m},t={t},p={p}${_b64(salt)}${_b64(tag)}"

    async def verify(self, stored: str | None, password: str, decoy: str | None = None) -> HashProof:
        """Checks a password against ``stored``. Always computes exactly one hash. Without a stored hash, or for an
        invalid one, it costs as much as ``decoy``, or else as a hash with the current settings, and never matches.
        Raises Overloaded."""
        if stored is not None and _is_hash(stored):
            return await self._verify(stored, password)
        if decoy is not None and _is_hash(decoy):
            await self._verify(decoy, password)
        else:
            await self._tag(password, self._dummy_salt, self._today, TAG)
        return HashProof(False, False)

    async def _verify(self, stored: str, password: str) -> HashProof:
        found = _PHC.match(stored)
        if found is None:
            return HashProof(await self._verify_imported(stored, password), True)
        parameters = _Parameters(int(found["m"]), int(found["t"]), int(found["p"]))
        salt, want = _unb64(found["salt"]), _unb64(found["tag"])
        tag = await self._tag(password, salt, parameters, len(want))
        outdated = parameters != self._today or len(salt) < SALT or len(want) < TAG
        return HashProof(hmac.compare_digest(tag, want), outdated)

    @property
    def _workers(self) -> HashPool:
        assert self._pool is not None, "start() first"
        return self._pool

    @spanned("hash")
    async def _tag(self, password: str, salt: bytes, parameters: _Parameters, length: int) -> bytes:
        self.check_capacity()
        with self._metrics.hash_seconds.time(), self._metrics.hash_waiting.track_inprogress():
            return await self._workers.tag(
                password.encode("utf-8", "surrogatepass"),
                salt,
                memory=parameters.memory,
                passes=parameters.passes,
                lanes=parameters.lanes,
                length=length,
            )

    @spanned("hash")
    async def _verify_imported(self, stored: str, password: str) -> bool:
        if self._imported >= self._settings.hash_queue or self._in_vain():
            raise self._full()
        self._imported += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self._threads, _imported, stored, password.encode("utf-8", "surrogatepass")
            )
        finally:
            self._imported -= 1


def why_refused(stored: str) -> str:
    """Returns why a hash of another system can't be imported; empty if it can."""
    found = _PHC.match(stored)
    why = imported_hashes.why_refused(stored) if found is None else _why_not_argon2(found)
    return "Not a supported hash format" if why is None else why


def _why_not_argon2(found: re.Match[str]) -> str | None:
    """Returns the reason as :func:`imported_hashes.why_refused` does."""
    memory, passes, lanes = int(found["m"]), int(found["t"]), int(found["p"])
    try:
        sizes = 8 <= len(_unb64(found["salt"])) <= 64 and 16 <= len(_unb64(found["tag"])) <= 64
    except (ValueError, binascii.Error):
        return None
    if not sizes or passes < 1 or not 1 <= lanes <= memory // 8:
        return None
    if memory > MOST_MEMORY * 1024 or memory * passes > MOST_WORK * 1024:
        return f"Argon2id: at most {MOST_MEMORY} MiB, and MiB times passes at most {MOST_WORK}"
    return ""


def _is_hash(stored: str) -> bool:
    return _PHC.match(stored) is not None or imported_hashes.is_known(stored)


def _imported(stored: str, password: bytes) -> bool:
    return imported_hashes.verify(stored, password)


def _lower_priority() -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
