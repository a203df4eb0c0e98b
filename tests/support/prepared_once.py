"""Makes once for a test process what hundreds of applications would each make at their start, and gives them time."""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from functools import cache
from importlib.util import find_spec
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric import rsa

from manifest_auth import app
from manifest_auth.pages import rendering
from manifest_auth.protocols.saml import metadata
from manifest_auth.runtime.hashing import builds, hasher
from manifest_auth.runtime.hashing.hasher import HashPool, _Worker
from manifest_auth.store import postgres_connections
from tests.support.statements import every_statement

#: Keys of SAML providers, each made in a tenth of a second of a processor; few modules need more.
_KEYS = 12
_resting: dict[tuple[object, ...], list[_Worker]] = defaultdict(list)


def prepare() -> None:
    """From now on, in this process."""
    app.freeze_garbage = lambda: None  # the loaded modules are not all that lives on here
    vars(hasher).update(HashPool=_Resting, builds=SimpleNamespace(choose=cache(builds.choose)))
    vars(hasher).update(NICE=0)  # a test that waits for a hash does nothing else meanwhile
    vars(postgres_connections).update(LOGIN_S=30.0)  # others may fill the processors
    vars(metadata).update(rsa=keys)
    if find_spec("sniffio") is None:  # httpx2 looks for it on the disk at every request
        sys.modules["sniffio"] = None  # type: ignore[assignment]


def for_forks() -> None:
    """What each process that this one forks would otherwise make for itself."""
    keys.make()
    for statement in every_statement().values():
        _ = statement.sqlite, statement.postgres
    for template in rendering.TEMPLATES.rglob("[!_]*.html"):
        rendering._load(template.relative_to(rendering.TEMPLATES).as_posix(), "en")


class _Keys:
    """In place of ``rsa``: each module of tests is given the keys that others had, and each of them once."""

    RSAPublicKey, RSAPrivateKey = rsa.RSAPublicKey, rsa.RSAPrivateKey

    def __init__(self) -> None:
        self._made: list[rsa.RSAPrivateKey] = []
        self._given = 0
        self._first: int | None = None
        self._turn = threading.Lock()

    def make(self) -> None:
        """As many as most modules need."""
        self._made += [rsa.generate_private_key(65537, 2048) for _ in range(_KEYS - len(self._made))]

    def next_module(self) -> None:
        """From the first key again that no module was given while it was imported."""
        self._first = self._given if self._first is None else self._first
        self._given = self._first

    def generate_private_key(self, public_exponent: int, key_size: int) -> rsa.RSAPrivateKey:
        with self._turn:
            if self._given == len(self._made):
                self._made.append(rsa.generate_private_key(public_exponent, key_size))
            self._given += 1
            return self._made[self._given - 1]


keys = _Keys()


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
