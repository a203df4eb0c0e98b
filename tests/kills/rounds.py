"""The steps that all kill tests share: a database, a crowd, the checks after each start, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2

from manifest_auth.maintenance import demo
from manifest_auth.maintenance.startup import build_services, opened
from manifest_auth.runtime.settings import load
from tests.kills import actors
from tests.kills.crowd import Crowd
from tests.kills.ledger import Ledger, Lost
from tests.kills.victim import Victim
from tests.processes.node_client import AUTH, NODE, bearer
from tests.support.application import FAST
from tests.support.processes import free_port
from tests.support.server import DEMO_PASSWORD, command

#: One hash worker, so that starts are fast, and refresh tokens that become invalid as soon as their replacement is
#: used.
GIVEN: dict[str, str] = {**NODE, "MANIFEST_REFRESH_GRACE": "0", "MANIFEST_HASH_WORKERS": "1"}
START_S = 60.0  # no start takes that long on any machine


def chance_of(seed: str) -> random.Random:
    """Reproducible randomness: a failing test prints the seed."""
    print(f"seed: {seed}")
    return random.Random(seed)


async def filled(url: str) -> None:
    """Create the database with the demo's users."""
    settings = load({**FAST, "MANIFEST_DATABASE_URL": url, "MANIFEST_DEMO_PASSWORD": DEMO_PASSWORD})
    async with opened(build_services(settings)) as services:
        await demo.fill(services)


def victims(folder: Path, url: str, count: int, **given: str) -> list[Victim]:
    return [Victim(folder, url, free_port(), {**GIVEN, **given}) for _ in range(count)]


async def until_ready(victim: Victim, path: str = "/healthz") -> float:
    """The seconds from now until it's ready. Fails if it ended, because it would need manual repair."""
    began = time.monotonic()
    async with httpx2.AsyncClient() as http:
        while time.monotonic() - began < START_S:
            with contextlib.suppress(httpx2.HTTPError):
                if (await http.get(victim.base + path, timeout=2)).status_code == 200 and victim.status() is None:
                    return time.monotonic() - began
            assert victim.status() is None, f"the start needs a hand: {victim.status()}\n{victim.said()}"
            await asyncio.sleep(0.01)
    raise AssertionError(f"the start never came to its end:\n{victim.said()}")


@contextlib.asynccontextmanager
async def at_work(url: str, nodes: list[Victim], chance: random.Random, **options: Any) -> AsyncIterator[Crowd]:
    """Start the nodes, with a crowd at work on them; both stop at the end."""
    crowd = Crowd([node.base for node in nodes], Ledger(), chance, **options)
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            await until_ready(node)
        template = await actors.published_template(crowd)
        crowd.begin(*actors.everybody(crowd, template))
        yield crowd
    finally:
        await crowd.leave()
        for node in nodes:
            node.stop()


async def look(crowd: Crowd, url: str, base: str) -> None:
    """Check that all confirmed changes are in the database, the newest sessions still work, and ended ones don't."""
    crowd.trouble()
    held, ended = list(crowd.signed_in), list(crowd.signed_out)
    await crowd.ledger.check(url)
    async with httpx2.AsyncClient(base_url=base, timeout=20) as http:
        for session, token in held:
            status = (await http.get(f"{AUTH}/me", headers=bearer(token))).status_code
            if status != 200 and crowd.ledger.values["session", session] == {"open"}:
                raise Lost(f"in round {crowd.ledger.round}: session {session} was answered and is {status} now")
        for token in ended:
            status = (await http.get(f"{AUTH}/me", headers=bearer(token))).status_code
            if status != 401:
                raise Lost(f"in round {crowd.ledger.round}: a session that was signed out is {status} now")


async def until_successes(crowd: Crowd, count: int) -> None:
    """Wait for this many more responses, to see that the crowd continues."""
    wanted, deadline = crowd.successes + count, time.monotonic() + START_S
    while crowd.successes < wanted:
        crowd.trouble()
        assert time.monotonic() < deadline, "the crowd gets no answers any more"
        await asyncio.sleep(0.01)


async def the_chain_verifies(folder: Path, url: str) -> None:
    """Verify the trail, as an operator would."""
    status, out, errors = await asyncio.to_thread(command(folder, url, "audit", "verify").ended, 90)
    assert status == 0, out + errors
