"""Hashes and verifies passwords: Argon2id in the pool's processes, imported hashes in threads of low priority.

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
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from manifest_auth.errors import Overloaded
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.hashing import builds, imported_hashes
from manifest_auth.runtime.hashing.pool import NICE, HashPool
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.settings import Settings

SALT, TAG = 16, 32
_PHC = re.compile(
    r"\$argon2id\$v=19\$m=(?P<m>\d{1,8}),t=(?P<t>\d{1,4}),p=(?P<p>\d{1,3})\$(?P<salt>[A-Za-z0-9+/]+)\$(?P<tag>[A-Za-z0-9+/]+)\Z"
)
#: The most that an imported Argon2id hash may cost: MiB, and MiB times passes.
MOST_MEMORY: Final = 256
MOST_WORK: Final = 512


class Proof(NamedTuple):
    """``matches``: the password fits the hash. ``outdated``: the hash should be replaced by one with the current
    settings."""

    matches: bool
    outdated: bool


class _Parameters(NamedTuple):
    memory: int
    passes: int
    lanes: int


class Hasher:
    """One object per process. Call :meth:`start` before use. ``in_vain``: whether no hash can be of use now, since the
    store is gone; none is computed then."""

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
        """Number of hashes that are computed at the same time."""
        return self._settings.hash_workers or max(1, len(os.sched_getaffinity(0)) // self._settings.workers)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._pool is not None:
            await self._pool.close()

    def check_capacity(self) -> None:
        """Raises Overloaded when the queue is full, or a hash would be in vain."""
        if self._workers.is_full or self._in_vain():
            raise self._full()

    def _full(self) -> Overloaded:
        self._metrics.hash_refused.inc()
        return Overloaded(retry_after=1)

    async def hash(self, password: str) -> str:
        """The stored form of a new password. Raises Overloaded."""
        salt = self._random.bytes(SALT)
        tag = await self._tag(password, salt, self._today, TAG)
        m, t, p = self._today
        return f"$argon2id$v=19$m={m},t={t},p={p}${_b64(salt)}${_b64(tag)}"

    async def verify(self, stored: str | None, password: str, decoy: str | None = None) -> Proof:
        """Checks a password against ``stored``. Always computes exactly one hash: without a stored hash, or for an
        invalid one, it costs as much as ``decoy``, else as a hash with the current settings, and never matches. Raises
        Overloaded."""
        if stored is not None and _is_hash(stored):
            return await self._verify(stored, password)
        if decoy is not None and _is_hash(decoy):
            await self._verify(decoy, password)
        else:
            await self._tag(password, self._dummy_salt, self._today, TAG)
        return Proof(False, False)

    async def _verify(self, stored: str, password: str) -> Proof:
        found = _PHC.match(stored)
        if found is None:
            return Proof(await self._verify_imported(stored, password), True)
        parameters = _Parameters(int(found["m"]), int(found["t"]), int(found["p"]))
        salt, want = _unb64(found["salt"]), _unb64(found["tag"])
        tag = await self._tag(password, salt, parameters, len(want))
        outdated = parameters != self._today or len(salt) < SALT or len(want) < TAG
        return Proof(hmac.compare_digest(tag, want), outdated)

    @property
    def _workers(self) -> HashPool:
        assert self._pool is not None, "start() first"
        return self._pool

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
    """Why a hash of another system cannot be imported; empty where it can."""
    found = _PHC.match(stored)
    why = imported_hashes.why_refused(stored) if found is None else _why_not_argon2(found)
    return "Not a hash in a format that is read" if why is None else why


def _why_not_argon2(found: re.Match[str]) -> str | None:
    """As :func:`imported_hashes.why_refused`."""
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
