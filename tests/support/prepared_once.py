"""Makes once for a test process what hundreds of applications would each make at their start, and gives them time."""

from __future__ import annotations

import sys
from collections import defaultdict
from functools import cache
from importlib.util import find_spec
from types import SimpleNamespace

from manifest_auth import app
from manifest_auth.runtime.hashing import builds, hasher, pool
from manifest_auth.runtime.hashing.pool import HashPool, _Worker
from manifest_auth.store import postgres_connect

_resting: dict[tuple[object, ...], list[_Worker]] = defaultdict(list)


def prepare() -> None:
    """From now on, in this process."""
    app.freeze_garbage = lambda: None  # the loaded modules are not all that lives on here
    vars(hasher).update(HashPool=_Resting, builds=SimpleNamespace(choose=cache(builds.choose)))
    vars(pool).update(NICE=0)  # a test that waits for a hash does nothing else meanwhile
    vars(postgres_connect).update(LOGIN_S=30.0)  # others may fill the processors
    if find_spec("sniffio") is None:  # httpx2 looks for it on the disk at every request
        sys.modules["sniffio"] = None  # type: ignore[assignment]


class _Resting(HashPool):
    """Its workers go to the next pool that wants the same."""

    @property
    def _kind(self) -> tuple[object, ...]:
        return (*self._folders, self._buffer_kib)

    def _spawn(self) -> None:
        while _resting[self._kind] and not self._closing:
            worker = _resting[self._kind].pop()
            if worker.process.poll() is None:
                self._workers.append(worker)
                self._loop.add_reader(worker.channel, self._readable, worker)
                self._feed()
                return
        super()._spawn()

    async def close(self) -> None:
        for worker in [worker for worker in self._workers if not worker.jobs]:
            self._workers.remove(worker)
            self._loop.remove_reader(worker.channel)
            _resting[self._kind].append(worker)
        await super().close()
