"""Web processes that are lost, or silent after serving, are replaced, but never those that are starting."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn.supervisors import multiprocess

from manifest_auth.http.uvicorn_server import _Supervisor
from manifest_auth.runtime import os_process


@dataclass(eq=False)
class Web:
    """A web process. ``runs`` means that it wasn't lost, and ``serves`` that it responds and has started."""

    runs: bool = True
    serves: bool = False
    exitcode: int | None = None
    pid: int = 0
    process: Any = field(init=False)

    def __post_init__(self) -> None:
        self.process = SimpleNamespace(is_alive=lambda: self.runs)

    def is_ready(self, timeout: float) -> bool:
        return self.serves

    def is_alive(self, timeout: float) -> bool:
        return self.runs and self.serves

    def start(self) -> None:
        """Start it."""

    def kill(self) -> None:
        self.runs = False

    join = start


def test_a_process_that_starts_is_waited_for_and_a_lost_one_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(multiprocess, "Process", lambda *_: Web())
    monkeypatch.setattr(os_process, "notify", told.append)
    supervisor: Any = object.__new__(_Supervisor)  # without its signal handlers
    slow, lost, served = Web(), Web(runs=False), Web(serves=True)
    supervisor.config, supervisor.sockets = SimpleNamespace(timeout_worker_healthcheck=20), []
    supervisor.processes, supervisor.should_exit = [slow, lost, served], threading.Event()
    supervisor.keep_subprocess_alive()
    [successor] = {*supervisor.processes} - {slow, served}
    assert (successor is lost, len(supervisor.processes), slow.runs, served.runs) == (False, 3, True, True)
    served.serves = False  # it hangs
    supervisor.keep_subprocess_alive()
    assert (slow.runs, successor.runs, served.runs) == (True, True, False)
    assert os_process.READY not in told
    for each in supervisor.processes:
        each.serves = True
    supervisor.keep_subprocess_alive()
    assert {slow, successor} < {*supervisor.processes}
    assert told == [os_process.ALIVE] * 3 + [os_process.READY]
