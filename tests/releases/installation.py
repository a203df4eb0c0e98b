"""Two nodes behind a proxy, each running one of two releases, with a crowd and steady reads as load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import orjson

import manifest_auth
from tests.architecture.links import ROOT
from tests.kills import actors
from tests.kills.crowd import Crowd
from tests.kills.ledger import Ledger
from tests.kills.rounds import GIVEN, chance_of, until_ready
from tests.kills.victim import Victim
from tests.processes.node_client import AUTH, bearer
from tests.releases import front, next_release
from tests.support.processes import free_port
from tests.support.server import command

READS_A_SECOND = 20
#: For each client of the crowd, after a response: what matters is that no request fails, not how many there are.
PAUSE_S = 0.1
OLD, NEXT = "old", "next"
THIS = str(Path(manifest_auth.__file__).parents[1])


class Installation:
    """``sources`` is the location of each release's code, by default this tree and its successor. ``reads`` is the
    number of responses, all of them successful."""

    def __init__(self, folder: Path, url: str, sources: dict[str, str] | None = None) -> None:
        self.folder, self.url = folder, url
        self.sources = sources or {OLD: THIS, NEXT: str(next_release.make(folder))}
        self.ports = [free_port(), free_port()]
        self.nodes = [self.node(OLD, port) for port in self.ports]
        self.reads = 0
        self.crowd: Crowd

    @property
    def answered(self) -> int:
        """The number of requests with a response, from the crowd and the readers."""
        return self.reads + self.crowd.successes

    def node(self, release: str, port: int, **given: str) -> Victim:
        """A process of that release, not started yet."""
        path = os.pathsep.join([self.sources[release], str(ROOT)])
        return Victim(
            self.folder,
            self.url,
            port,
            {**GIVEN, "MANIFEST_SHUTDOWN_DRAIN": "3", "PYTHONPATH": path, **given},
        )

    async def replace(self, number: int, release: str) -> None:
        """Stop a node gracefully, and start one of the release in its place."""
        await asyncio.to_thread(self.nodes[number].stop)
        self.nodes[number] = self.node(release, self.ports[number])
        self.nodes[number].start()
        await until_ready(self.nodes[number], "/readyz")
        self.crowd.trouble()

    async def until_answered(self, count: int) -> None:
        """Wait for this many more requests."""
        wanted = self.answered + count
        while self.answered < wanted:
            self.crowd.trouble()
            await asyncio.sleep(0.05)

    async def status(self, release: str) -> tuple[int, str, str, dict[str, int]]:
        """The output of `db status` of that release: exit status, schema, word, and the number of processes by
        version."""
        code, out, errors = await self._command(release, "db", "status", "--json")
        assert not errors, errors
        found = orjson.loads(out)
        running = {some["version"]: some["running"] for some in found["processes"]}
        return code, found["schema"], found["state"], running

    async def verifies(self, release: str) -> None:
        """Verify the audit trail, as an operator of that release would."""
        code, out, errors = await self._command(release, "audit", "verify")
        assert code == 0, out + errors

    async def _command(self, release: str, *arguments: str) -> tuple[int, str, str]:
        path = os.pathsep.join([self.sources[release], str(ROOT)])
        given = {**GIVEN, "PYTHONPATH": path}
        return await asyncio.to_thread(command(self.folder, self.url, *arguments, **given).ended, 90)


@contextlib.asynccontextmanager
async def at_work(folder: Path, url: str, sources: dict[str, str] | None = None) -> AsyncIterator[Installation]:
    """Two nodes of the older release under load. At the end, all confirmed changes must exist, and no request may have
    failed."""
    it = Installation(folder, url, sources)
    await asyncio.to_thread(_fill, it.sources[OLD], url)
    try:
        for node in it.nodes:
            node.start()
        for node in it.nodes:
            await until_ready(node, "/readyz")
        with front.running(folder, *it.ports) as base:
            it.crowd = Crowd([base], Ledger(), chance_of(os.urandom(4).hex()), pause=PAUSE_S)
            try:
                template = await actors.published_template(it.crowd)
                it.crowd.begin(*actors.everybody(it.crowd, template), _reads(it, base))
                yield it
                await it.crowd.end()
            finally:
                await it.crowd.leave()
        assert not it.crowd.cut, it.crowd.cut
        await it.crowd.ledger.check(url)
    finally:
        for node in it.nodes:
            node.stop()


def _fill(source: str, url: str) -> None:
    """Create the database with the programs of a release."""
    made = "import asyncio, sys; from tests.kills.rounds import filled; asyncio.run(filled(sys.argv[1]))"
    given = {**os.environ, "PYTHONPATH": os.pathsep.join([source, str(ROOT)])}
    subprocess.run([sys.executable, "-c", made, url], env=given, check=True, timeout=120)


async def _reads(it: Installation, base: str) -> None:
    """Read on a fixed schedule, with separate requests; any status other than 200 fails the crowd."""
    async with httpx2.AsyncClient(base_url=base, timeout=30) as http, asyncio.TaskGroup() as asking:
        token = (await actors.sign_in(it.crowd, "viewer@acme.example"))["token"]

        async def read() -> None:
            answer = await http.get(f"{AUTH}/me", headers=bearer(token))
            assert answer.status_code == 200, answer.text
            it.reads += 1

        while it.crowd.goes_on:
            asking.create_task(read())
            await asyncio.sleep(1 / READS_A_SECOND)
