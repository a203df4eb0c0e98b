"""A test run that is interrupted or killed leaves no server process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.architecture.links import ROOT
from tests.support.matrix import some_of

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


_TEST = """
import os, time
from tests.support import server

def test_it(tmp_path):
    folders = os.environ["TESTS_RUN"], os.environ["TESTS_POSTGRES"].partition("host=")[2].removesuffix("/data")
    print(server.start(tmp_path).process.pid, *folders, file=open({told!r}, "w"), flush=True)
    time.sleep(60)
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("end", some_of([signal.SIGTERM, signal.SIGKILL], signal.SIGKILL))
def test_so_does_one_with_workers_and_their_postgresql(end: signal.Signals, tmp_path: Path) -> None:
    told, file = tmp_path / "told", tmp_path / "test_it.py"
    file.write_text(_TEST.format(told=str(told)))
    options = ["-c", str(ROOT / "pyproject.toml"), "-p", "tests.support.run_order", "-n", "2", "--kind", "test"]
    given = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    given.pop("TESTS_POSTGRES", None)
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, str(file)],
        env=given,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 100
    while not (told.exists() and told.read_text().endswith("\n")):
        assert time.monotonic() < deadline, "it started no server"
        time.sleep(0.02)
    server, *folders = told.read_text().split()
    assert _is_running(server)
    assert len([folder for folder in folders if Path(folder).is_dir()]) == 2
    run.send_signal(end)
    run.wait(60)
    while _is_running(server) or any(map(_is_used, folders)):
        assert time.monotonic() < deadline + 100, "its server or its PostgreSQL still runs"
        time.sleep(0.02)


def _is_used(folder: str) -> bool:
    """Whether a process has the folder in its command line, or the folder still exists."""
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return folder in listed or Path(folder).exists()


def _is_running(process: str) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", process], capture_output=True, text=True, check=False).stdout
    return bool(state) and not state.startswith("Z")
