"""``python -m bench.hashes pool|library|wheel CONCURRENCY SECONDS``: raw Argon2id hashes per second, as JSON.

``pool`` runs the server's hash pool without a server: same build, settings, and number of workers, with one concurrent
hash per client. ``library`` calls Argon2 in threads of one process, using the build that the server chose; ``wheel``
does the same with the build that pip installs.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable

from bench.machine import CORES
from manifest_auth.runtime.hashing import builds
from manifest_auth.runtime.hashing.hasher import HashPool
from manifest_auth.runtime.settings import Settings

_WORDS, _SALT, _TAG = b"Bench-pass-2026!", b"0123456789abcdef", 32
_SETTINGS = Settings()
_COST = (_SETTINGS.argon2_memory, _SETTINGS.argon2_passes, _SETTINGS.argon2_lanes)


async def _pool(at_once: int, seconds: float) -> list[float]:
    memory, passes, lanes = _COST
    build = builds.choose()
    pool = HashPool(build.folders, lambda: False, workers=CORES, limit=max(at_once, 64), buffer_kib=memory)
    await pool.start()
    times: list[float] = []

    async def client(until: float) -> None:
        while (began := time.perf_counter()) < until:
            await pool.tag(_WORDS, _SALT, memory=memory, passes=passes, lanes=lanes, length=_TAG)
            times.append(time.perf_counter() - began)

    async def run(span: float) -> None:
        until = time.perf_counter() + span
        await asyncio.gather(*(client(until) for _ in range(at_once)))

    await run(0.2)  # workers start, buffers are allocated
    times.clear()
    began = time.perf_counter()
    await run(seconds)
    span = time.perf_counter() - began
    await pool.close()
    times.sort()
    return [len(times) / span, times[len(times) // 2] * 1000, times[int(len(times) * 0.99)] * 1000]


def _threads(threads: int, seconds: float) -> list[float]:
    hash_once = _plain()
    hash_once()
    counts = [0] * threads
    until = time.perf_counter() + seconds

    def work(number: int) -> None:
        while time.perf_counter() < until:
            hash_once()
            counts[number] += 1

    began = time.perf_counter()
    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return [sum(counts) / (time.perf_counter() - began)]


def _plain() -> Callable[[], object]:
    from argon2.low_level import Type, hash_secret_raw

    memory, passes, lanes = _COST
    return lambda: hash_secret_raw(_WORDS, _SALT, passes, memory, lanes, _TAG, Type.ID)


def main(kind: str, at_once: int, seconds: float) -> list[float]:
    if kind == "pool":
        return asyncio.run(_pool(at_once, seconds))
    if kind == "library":
        sys.path[:0] = builds.choose().folders
    return _threads(at_once, seconds)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
