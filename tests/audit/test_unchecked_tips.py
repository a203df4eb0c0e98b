"""A trail's tip that a node can't verify is reported as unchecked, and resolved by a node with all keys."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from manifest_auth.runtime.sealing import Macs, SecretKeys
from manifest_auth.store import open_store
from tests.audit.conftest import Chain
from tests.support.secret_keys import MACS, SECRET_KEY

ONE, OTHER = bytes(range(32)), bytes(range(32, 64))


@contextlib.asynccontextmanager
async def under(chain: Chain, *keys: bytes) -> AsyncIterator[Chain]:
    """The trail for a node with these keys, the newest first; without any, the usual one."""
    store = open_store(chain.url, 2, macs=Macs(SecretKeys(list(keys))) if keys else MACS)
    await store.open()
    try:
        yield Chain(store, chain.url, chain.number)
    finally:
        await store.close()


async def faults(chain: Chain, *keys: bytes) -> list[tuple[int, str]]:
    async with under(chain, *keys) as seen:
        return await seen.faults()


async def test_each_of_several_doubts_is_settled_by_its_own_key(chain: Chain) -> None:
    """Three nodes that don't know each other's keys record in turn."""
    usual = bytes.fromhex(SECRET_KEY)
    for key in ((ONE,), (OTHER,), ()):
        async with under(chain, *key) as seen:
            await seen.grow(2, at=20_000)
    assert await faults(chain) == [(11, "head"), (13, "head")]
    assert await faults(chain, usual, ONE) == [(13, "head")]
    assert await faults(chain, usual, OTHER) == [(11, "head")]
    assert await faults(chain, usual, ONE, OTHER) == []
