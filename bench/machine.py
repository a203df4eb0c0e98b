"""Readings of the machine: processes and their memory, load from other programs, and storage locations."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

#: The number of processors that this process can use. The server starts one hash worker for each.
CORES = len(os.sched_getaffinity(0))


def tree(root: int) -> list[int]:
    """The process and all its descendants."""
    found = [root]
    for pid in found:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:  # the thread has ended
                continue
    return found


def memory_mb(root: int, *, alone: bool = False) -> float:
    """The proportional set size of a process tree in MB, which counts shared pages once. ``alone`` leaves out the
    descendants."""
    kib = 0
    for pid in [root] if alone else tree(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib * 1024 / 1e6


class Watch:
    """The load of other processes since the watch started: all except this process, its children, and the PostgreSQL
    server with the given folder."""

    def __init__(self, postgres: Path | None = None) -> None:
        self._postgres = postgres
        self._began, self._busy, self._own = time.monotonic(), _busy_ticks(), self._own_ticks()

    def others(self) -> float:
        """The share of all processors that other processes have used so far."""
        ticks = (time.monotonic() - self._began) * os.sysconf("SC_CLK_TCK") * (os.cpu_count() or 1)
        theirs = _busy_ticks() - self._busy - (self._own_ticks() - self._own)
        return min(1.0, max(0.0, theirs / ticks))

    def _own_ticks(self) -> int:
        pids = set(tree(os.getpid()))
        if self._postgres is not None:
            pids |= set(tree(postmaster(self._postgres)))
        return sum(map(_ticks, pids))


def postmaster(folder: Path) -> int:
    """The ID of the main process of the PostgreSQL server with this data folder."""
    return int((folder / "postmaster.pid").read_text().split("\n", 1)[0])


def seconds(pids: Iterable[int]) -> float:
    """The processor time of processes, including their children that have ended."""
    return sum(map(_ticks, pids)) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    """The processor time of a process, including its children that have ended."""
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
    """Whether files in this folder exist only in memory. If so, the figures of commits mean nothing."""
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
