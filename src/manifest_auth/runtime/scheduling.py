"""Asks Linux to run this process at once when it wakes, even in the middle of a hash worker's turn."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

#: A process may be interrupted by one whose turn is shorter; usual are some milliseconds.
TURN_NS = 100_000
_SET_ATTRIBUTES = {"x86_64": 314, "aarch64": 274}  # ``sched_setattr``, which libraries of C have since 2025 alone
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")  # sched_setattr(2): size, policy, flags, nice, priority, three times
_RESET_ON_FORK = 1


def take_short_turns() -> bool:
    """Gives the calling thread, and so an event loop, short turns on the processor; what it starts has the usual ones.

    Its share of the processor stays the same. Linux from 6.12 on lets a thread that wakes interrupt one whose turn is
    longer; older ones take the value and ignore it. Returns whether the system took it.
    """
    number = _SET_ATTRIBUTES.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, _RESET_ON_FORK, nice, 0, TURN_NS, 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, 0, wanted, 0) == 0)
