"""A run of the tests that is interrupted or killed leaves no server process behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

_RUN = """
import subprocess, sys, time
from tests.support.processes import ending_with_us
server = subprocess.Popen(ending_with_us([sys.executable, "-c", "import time; time.sleep(60)"], {by!r}))
print(server.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("by", ["TERM", "KILL"])
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_takes_its_servers_along(by: str, end: signal.Signals) -> None:
    run = subprocess.Popen([sys.executable, "-c", _RUN.format(by=by)], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    server = run.stdout.readline().strip()
    assert _is_running(server)
    run.send_signal(end)
    run.wait(10)
    deadline = time.monotonic() + 60
    while _is_running(server):
        assert time.monotonic() < deadline, "its server still runs"
        time.sleep(0.02)


def _is_running(process: str) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", process], capture_output=True, text=True, check=False).stdout
    return bool(state) and not state.startswith("Z")
