"""A store for plain functions, used in tests with hypothesis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from manifest_auth.store import Store, TenantUnit

T = TypeVar("T")


@dataclass
class SyncStore:
    """A store that is called from plain functions."""

    loop: asyncio.AbstractEventLoop
    store: Store

    def write(self, tenant_id: int, work: Callable[[TenantUnit], T]) -> T:
        return self.loop.run_until_complete(self.store.of(tenant_id).write(work))

    def read(self, tenant_id: int, work: Callable[[TenantUnit], T]) -> T:
        return self.loop.run_until_complete(self.store.of(tenant_id).read(work))
