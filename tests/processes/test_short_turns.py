"""A web process has shorter time slices than its hash workers, so that it can interrupt them."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from pathlib import Path

import pytest

from manifest_auth.runtime.os_process import TURN_NS
from tests.support.server import descendants, served

pytestmark = pytest.mark.one_store

ATTRIBUTES = struct.Struct("=IIQiIQQQ")
GET_ATTRIBUTES = {"x86_64": 315, "aarch64": 275}


def turn_ns(pid: int) -> int:
    """The kernel's value, or 0 before Linux 6.12."""
    found = ctypes.create_string_buffer(ATTRIBUTES.size)
    assert ctypes.CDLL(None).syscall(GET_ATTRIBUTES[platform.machine()], pid, found, len(found), 0) == 0
    _size, policy, _flags, _nice, _priority, turn, _deadline, _period = ATTRIBUTES.unpack(found.raw)
    assert policy == os.SCHED_OTHER
    return int(turn)


def test_a_web_process_has_short_turns_and_its_hash_workers_have_the_usual_ones(tmp_path: Path) -> None:
    is_known = tuple(map(int, platform.release().split(".")[:2])) >= (6, 12)
    with served(tmp_path) as server:
        workers = [pid for pid, line in descendants(server.process.pid).items() if "worker.py" in line]
        assert workers
        assert turn_ns(server.process.pid) == (TURN_NS if is_known else 0)
        assert all(turn_ns(pid) == turn_ns(os.getpid()) for pid in workers)
        assert os.getpriority(os.PRIO_PROCESS, server.process.pid) == os.getpriority(os.PRIO_PROCESS, 0)
