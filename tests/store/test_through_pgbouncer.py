"""Repeats the tests of the store, sign-in, refresh, and sign-out through PgBouncer in transaction mode."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.links import ROOT
from tests.support.processes import ending_with_us
from tests.support.rounds import repeated

pytestmark = pytest.mark.processes

#: They cut the heartbeat's own connection, or wake up through it; behind a pooler, it has none.
OTHERWISE = ("retired_in_the_meantime", "hears_another_one", "through_pgbouncer")


@pytest.mark.endurance
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "folders",
    [("tests/store",), ("tests/http/sign_in", "tests/http/refresh", "tests/http/sign_out")],
    ids=["store", "http"],
)
def test_once_more(folders: tuple[str, ...]) -> None:
    chosen = " and ".join(["postgresql", *(f"not {name}" for name in OTHERWISE)])
    short = repeated([], ["-m", "not endurance and not release and not one_store"])
    options = ["-q", "--pgbouncer", "--kind", "all", *short, "-k", chosen, "-W", "ignore"]
    command = [sys.executable, "-m", "pytest", *options, *folders]
    done = subprocess.run(
        ending_with_us(command, "KILL"), cwd=ROOT, capture_output=True, text=True, timeout=880, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
