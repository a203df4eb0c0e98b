"""Nodes with a load and scheduled requests, into which tests inject faults.

Confirmed changes survive without manual repair."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.faults.measured import Schedule, SignedOut
from tests.kills import actors
from tests.kills.crowd import Crowd
from tests.kills.ledger import Ledger
from tests.kills.rounds import chance_of, look, the_chain_verifies, until_ready, until_successes
from tests.kills.victim import Victim
from tests.processes.quiet_time import quiet_time
from tests.support.postgres import Databases
from tests.support.rounds import repeated

PAUSE_S = repeated(0.1, 0.5)  # for each client of the crowd
#: After the longest time that a fault can take.
SLACK_S = 60.0
QUIET_S = 2.0  # before each fault
_TURNS = 4  # of waiting behind others while an outage ends
#: A longer pause is an outage: a sign-in starts every 0.4 s, and the machine is busy.
NONE_S = 1.0
#: A node that stops during a transaction holds its locks until PostgreSQL ends the transaction, after 15 s.
HELD_S = 17.0


_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE state = 'idle in transaction' AND clock_timestamp() - state_change > interval '0.2 s'
"""


def in_the_midst(server: Databases) -> bool:
    """Whether a transaction waits for its node."""
    found = server.psql(_WAITING) != "0\n"
    if found:
        print("a transaction waits for its node", end="; ")
    return found


def over_at_once() -> bool:
    """Return immediately, for a fault that ends on its own."""
    return True


class Off(NamedTuple):
    """Reads or sign-ins (``what``): seconds without a successful response, during the fault and in a quiet moment
    before."""

    what: str
    seconds: float
    usual: float


@dataclass
class Rig:
    """``folder`` is the nodes'; ``url`` is the database's, bypassing all proxies; ``starts`` is the maximum number of
    starts per node; ``usual`` is the number of seconds without a successful response in a quiet moment before the last
    fault."""

    folder: Path
    url: str
    nodes: list[Victim]
    crowd: Crowd
    schedule: Schedule
    starts: int = 1
    usual: dict[str, float] = field(default_factory=dict)

    async def fault(
        self,
        name: str,
        inject: Callable[[], object],
        over: Callable[[], bool] = over_at_once,
        most: float | dict[str, float] = NONE_S,
        bases: Iterable[str] = (),
    ) -> tuple[float, float]:
        """Inject a fault, and wait until it's over and everything works again. ``most`` limits the seconds without a
        successful response, for reads and for sign-ins, at the nodes in ``bases``, or at all nodes. Returns the start
        and the end of the fault."""
        self.crowd.ledger.round += 1
        await until_successes(self.crowd, 10)  # which it could lose
        await self.measure_quiet()
        began = quiet_time()
        await asyncio.to_thread(inject)
        while not await asyncio.to_thread(over):
            assert quiet_time() - began < self._most(most)["reads"] + SLACK_S, f"not over: {name}"
            await asyncio.sleep(0.1)
        over_at = quiet_time()
        await self.schedule.until_good(SLACK_S, over_at)
        found = self.off(name, began, bases)
        await until_successes(self.crowd, 10)
        await self.is_well()
        self.held(found, most)
        return began, over_at

    async def measure_quiet(self) -> None:
        """Measure the response times while nothing fails."""
        quiet = quiet_time()
        await asyncio.sleep(QUIET_S)
        self.usual = {each.what: each.off(quiet) for each in self.schedule.all}

    def off(self, name: str, since: float, bases: Iterable[str] = ()) -> list[Off]:
        """The longest times without a successful response since then, at the relevant nodes; prints the worst."""
        found = []
        for each in self.schedule.all:
            what, _, base = each.what.partition(" at ")
            if not bases or base in bases:
                found.append(Off(what, each.off(since), self.usual.get(each.what, 0.0)))
        worst = {what: max((each for each in found if each.what == what), key=lambda each: each.seconds)
                 for what in ("reads", "sign-ins")}  # fmt: skip
        told = ", ".join(
            f"{what} off for {each.seconds:.1f} s (in a quiet moment {each.usual:.1f})" for what, each in worst.items()
        )
        refused = sum((each.refused for each in self.schedule.all), start=Counter[str]())
        print(f"{name}: {told}; {self.schedule.tried} attempts of sessions that are out, refused: {dict(refused)}")
        return found

    def held(self, found: Iterable[Off], most: float | dict[str, float]) -> None:
        """Raise AssertionError if it was longer. Ignores the usual time between responses, which comes from the
        schedule and from other load, for a few turns of each client."""
        for each in found:
            assert each.seconds <= self._most(most)[each.what] + _TURNS * each.usual, each

    @staticmethod
    def _most(most: float | dict[str, float]) -> dict[str, float]:
        return most if isinstance(most, dict) else dict.fromkeys(("reads", "sign-ins"), most)

    async def is_well(self) -> None:
        """Check that every confirmed change exists, and that only allowed responses occurred."""
        for node in self.nodes:
            await until_ready(node, "/readyz")
            assert node.starts <= self.starts
            assert node.status() is None
        await look(self.crowd, self.url, self.nodes[-1].base)
        await self.schedule.all_are_out()
        self.schedule.check()


@contextlib.asynccontextmanager
async def at_work(
    folder: Path, url: str, nodes: list[Victim], front: list[str] | None = None, allowed: Iterable[str] = ()
) -> AsyncIterator[Rig]:
    """Start the nodes, with clients at work until the block ends, and then check that the ledger is complete and every
    trail verifies. Clients connect to ``front``, or else to the nodes. ``allowed`` are additional outcomes of a
    request: ``502`` (in our envelope) and ``cut``."""
    bases = front or [node.base for node in nodes]
    chance = chance_of(os.environ.get("TESTS_SEED", os.urandom(4).hex()))
    crowd = Crowd(bases, Ledger(), chance, allowed=frozenset({"OVERLOADED"}), pause=PAUSE_S)
    crowd.signed_out = out = SignedOut()  # type: ignore[assignment]  # all of them, with their times
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            await until_ready(node, "/readyz")
        template = await actors.published_template(crowd)
        crowd.begin(*actors.everybody(crowd, template))
        schedule = Schedule(bases, out, frozenset(allowed))
        async with schedule.running():
            made = Rig(folder, url, nodes, crowd, schedule)
            await schedule.until_good(SLACK_S, quiet_time())
            yield made
            await crowd.end()
            await made.is_well()
        assert "cut" in allowed or set(crowd.cut) <= {"OVERLOADED"}, crowd.cut
        await the_chain_verifies(folder, url)
        print(f"{crowd.successes} successes, {crowd.ledger.size} of them proved, cut: {dict(crowd.cut)}")
    finally:
        for node in nodes:
            print(*_errors(node)[-5:], sep="\n", end="")
        await crowd.leave()
        for node in nodes:
            node.stop()


def _errors(node: Victim) -> list[str]:
    lines = node.output.read_text().splitlines() if node.output.exists() else []
    return [line for line in lines if '"level":"error"' in line]
