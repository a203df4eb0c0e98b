"""The output of ``/metrics``: of one process, or the sum of all web processes of one server.

Several processes count into files of a folder that the server creates at its start and deletes at its end, so nothing
of an earlier run is added. The next start deletes the folder of a server that was killed. The counters of a process
stay when it dies, or the sums would fall; its gauges, like hashes that wait, are removed.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from manifest_auth.runtime.temp_folder import own_folder

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_PID = re.compile(r"_(\d+)\.db\Z")


class Processes(Collector):
    """``process_cpu_seconds_total`` and the like, by ``pid``: of this process, or of the web processes of a folder."""

    def __init__(self, registry: CollectorRegistry, folder: str | None = None) -> None:
        self._folder = folder
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """The metrics of the processes that are alive."""
        found: dict[str, Metric] = {}
        for pid in [os.getpid()] if self._folder is None else sorted(_alive(self._folder)):
            for metric in ProcessCollector(pid=lambda: pid, registry=None).collect():  # noqa: B023 - called at once
                same = found.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    same.add_sample(sample.name, {"pid": str(pid)}, sample.value)
        return found.values()


class _AllProcesses(MultiProcessCollector):
    """Removes the gauges of dead processes before it reads."""

    def __init__(self, registry: CollectorRegistry, folder: str) -> None:
        super().__init__(registry, folder)  # type: ignore[no-untyped-call]  # the library has no types here
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """The counters of all processes, and the gauges of those alive."""
        for pid in _pids(self._folder) - _alive(self._folder):
            mark_process_dead(pid, self._folder)  # type: ignore[no-untyped-call]  # as above
        found: Iterable[Metric] = super().collect()  # type: ignore[no-untyped-call]  # as above
        return found


def all_processes() -> CollectorRegistry:
    """A registry of all web processes of this server. Call it in such a process, or after :func:`share`."""
    folder, registry = os.environ[_FOLDER], CollectorRegistry()
    _AllProcesses(registry, folder)
    Processes(registry, folder)
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """The text exposition."""
    return generate_latest(registry)


def listen(address: str, registry: CollectorRegistry) -> None:
    """Serves ``/metrics`` on ``HOST:PORT`` in its own thread."""
    host, _, port = address.rpartition(":")
    start_http_server(int(port), host or "127.0.0.1", registry)


@contextlib.contextmanager
def share() -> Iterator[None]:
    """Processes that start inside the block count into one new folder."""
    with own_folder("manifest-auth-metrics-") as folder:
        os.environ[_FOLDER] = str(folder)
        yield


def _pids(folder: str) -> set[int]:
    return {int(found[1]) for path in Path(folder).iterdir() if (found := _PID.search(path.name))}


def _alive(folder: str) -> set[int]:
    return {pid for pid in _pids(folder) if _is_alive(pid)}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:  # gone, or another user's process has the number now
        return False
    return True
