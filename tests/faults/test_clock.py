"""If one node's clock is wrong, ahead or behind, other nodes aren't affected, and the operator is warned."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.faults import machines
from tests.faults.rig import NONE_S, at_work
from tests.faults.sign_on import Team
from tests.kills.rounds import GIVEN, filled
from tests.kills.victim import Victim
from tests.processes.quiet_time import quiet_time
from tests.support.commands import until
from tests.support.oidc_op import provider
from tests.support.postgres import Databases
from tests.support.processes import free_port
from tests.support.server import command

pytestmark = [pytest.mark.needs("strace"), pytest.mark.endurance, pytest.mark.timeout(600)]
TOLD_S = 15.0
WRONG_S = 3.0  # some rounds of that node's background jobs
SKEW_S = 30


def skew(node: Victim) -> float:
    """The value that Prometheus reads."""
    text = httpx2.get(f"{node.base}/metrics", timeout=10).text
    return max(
        float(line.split()[-1])
        for line in text.splitlines()
        if line.startswith(("manifest_clock_skew_seconds ", "manifest_clock_skew_seconds{"))
    )


async def test_the_clock_of_a_node_is_wrong(postgres: Databases, tmp_path: Path) -> None:
    url, clock = postgres.fresh_database(), tmp_path / "clock"
    await filled(url)
    machines.set_clock(clock, "+0")
    runs_wrong = partial(machines.with_clock, machines.clock_library(), str(clock))
    wrong, right = (Victim(tmp_path, url, free_port(), dict(GIVEN), first=first) for first in (runs_wrong, None))
    with provider() as op:
        async with at_work(tmp_path, url, [wrong, right], [right.base]) as rig:
            for away in ("+2h", "-1h"):
                team = await asyncio.to_thread(Team, right.base, op)
                begun = [await asyncio.to_thread(team.begun) for _ in range(3)]

                def go_wrong(away: str = away) -> None:
                    told = wrong.output.read_text().count('"clock_skew"')
                    machines.set_clock(clock, away)
                    began = quiet_time()
                    until(lambda: wrong.output.read_text().count('"clock_skew"') > told, TOLD_S)
                    until(lambda: abs(skew(wrong)) > SKEW_S, TOLD_S)
                    print(f"{away}: told after {quiet_time() - began:.1f} s", end="; ")
                    status, out, errors = command(tmp_path, url, "doctor").ended(60)
                    assert status == 1, out + errors
                    assert any("BAD" in line and f"process {wrong.pid})" in line for line in out.splitlines()), out
                    time.sleep(WRONG_S)

                await rig.fault(f"clock {away}", go_wrong, most=NONE_S)
                for path, cookies in begun:
                    ended = await asyncio.to_thread(team.ended, path, cookies)
                    assert ended.status_code == 302, ended.text
                machines.set_clock(clock, "+0")
                await asyncio.to_thread(until, lambda: abs(skew(wrong)) < 1, TOLD_S)
