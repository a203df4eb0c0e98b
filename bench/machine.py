"""Readings of the machine: processes and their memory, load by other programs, where files lie."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

#: Processors that this process can use; the server makes as many hash workers.
CORES = len(os.sched_getaffinity(0))


def tree(root: int) -> list[int]:
    """The process and all that descend from it."""
    found = [root]
    for pid in found:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:  # the thread has ended
                continue
    return found


def memory_mb(root: int, *, alone: bool = False) -> float:
    """Proportional set size of a process tree in MB: a page that several share counts once. ``alone``: of the process
    without those that descend from it."""
    kib = 0
    for pid in [root] if alone else tree(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib * 1024 / 1e6


class Watch:
    """The load of other processes on the machine from here: all but this process, its children and a PostgreSQL whose
    folder is given."""

    def __init__(self, postgres: Path | None = None) -> None:
        self._postgres = postgres
        self._began, self._busy, self._own = time.monotonic(), _busy_ticks(), self._own_ticks()

    def others(self) -> float:
        """Their share of all processors so far."""
        ticks = (time.monotonic() - self._began) * os.sysconf("SC_CLK_TCK") * (os.cpu_count() or 1)
        theirs = _busy_ticks() - self._busy - (self._own_ticks() - self._own)
        return min(1.0, max(0.0, theirs / ticks))

    def _own_ticks(self) -> int:
        pids = set(tree(os.getpid()))
        if self._postgres is not None:
            pids |= set(tree(postmaster(self._postgres)))
        return sum(map(_ticks, pids))


def postmaster(folder: Path) -> int:
    """The first process of the PostgreSQL whose data lie there."""
    return int((folder / "postmaster.pid").read_text().split("\n", 1)[0])


def seconds(pids: Iterable[int]) -> float:
    """Processor time of processes and of their children that ended."""
    return sum(map(_ticks, pids)) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    """Processor time of a process and of its children that ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


def _busy_ticks() -> int:
    user, nice, system, _idle, _wait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return user + nice + system + irq + softirq + steal


def is_in_memory(folder: Path) -> bool:
    """Whether files there are in memory only: then commits cost nothing, and their figures mean nothing."""
    best, kind = "", ""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, name, *_ = line.split()
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, name
    return kind in ("tmpfs", "ramfs")


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"
