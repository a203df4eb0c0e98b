"""The pytest plugin that selects and sorts tests, and writes the report at the end; pytest-xdist runs the tests."""

from __future__ import annotations

import gc
import json
import math
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from _pytest.subtests import SubtestReport

from tests.support import needs, run_folder
from tests.support.postgres import POOLED, SHARED, Postgres
from tests.support.rounds import RELEASE

_DURATIONS = Path(__file__).parents[1] / "durations.json"  # seconds by file
_SLOWEST = 15
#: The garbage collector runs after this many new objects, which makes calls in this process a tenth faster.
_OBJECTS = 20_000
_ROOT = Path(__file__).parents[2]
_REPORT = "manifest-auth-report"
_COMPILES = "TESTS_COMPILES"  # set if no file was compiled before this run
_LEFT_OUT = "left_out"  # key under which a worker reports the tests that it left out


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("manifest-auth")
    kinds = ("all", "unit", "test", "endurance", "ci")
    group.addoption("--kind", choices=kinds, default="all", help="which tests; see docs/tests.md")
    group.addoption("--rounds", type=int, default=1, help="how often each victim is killed")
    group.addoption("--pgbouncer", action="store_true", help="PostgreSQL is reached through PgBouncer")
    group.addoption("--record", action="store_true", help="writes tests/durations.json")
    group.addoption("--shuffle", metavar="SEED", help="the files in another order")


def _is_worker(config: pytest.Config) -> bool:
    """Whether this process runs tests for another one."""
    return hasattr(config, "workerinput")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in {
        "endurance": "a long proof, for ./dev endurance",
        "one_store": "the store decides nothing in it that can still change: on PostgreSQL before a release",
        "release": "something else proves it as well: for ./dev endurance --rounds 50",
        "rounds": "repeats itself --rounds times: a few in ./dev test, many in ./dev endurance",
    }.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    if _is_worker(config):
        return
    os.environ["TESTS_ROUNDS"] = str(config.getoption("--rounds"))
    if config.getoption("--pgbouncer"):
        os.environ[POOLED] = "1"
    run_folder.begin()
    compiled = sys.dont_write_bytecode or any((_ROOT / "tests").rglob("test_*-pytest-*.pyc"))
    if config.getoption("numprocesses") and not compiled:
        os.environ[_COMPILES] = "1"
    for path in map(file_of, config.args):
        if not Path(path).exists():  # workers would report it, but their output is lost
            raise pytest.UsageError(f"there is no {path}")
    if config.getoption("numprocesses") and config.getoption("--kind") in ("unit", "test", "ci"):
        config.option.basetemp = config.option.basetemp or str(run_folder.folder() / "tmp")
    config.pluginmanager.register(_Report(config), _REPORT)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not _is_worker(config):
        run_folder.end()


def pytest_sessionstart(session: pytest.Session) -> None:
    """On SIGTERM, stop everything that the run started, as after Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Start one PostgreSQL server for all workers, which inherit its address."""
    if config.getoption("--kind") != "unit" and SHARED not in os.environ:
        server = Postgres(is_durable=False)
        os.environ[SHARED] = server.address

        def stop() -> None:
            del os.environ[SHARED]
            server.stop()

        config.add_cleanup(stop)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Keep collected objects to the end, so that the garbage collector doesn't walk them again and again.

    In a new clone, the first worker compiles all files, and the others wait to read what it wrote.
    """
    gc.disable()
    try:
        if _COMPILES not in os.environ or not _is_worker(session.config):
            return (yield)
        with run_folder.locked("compiling"):
            if not (compiled := run_folder.folder() / "compiled").exists():
                found = yield
                compiled.touch()
                return found
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
        gc.set_threshold(_OBJECTS)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Select tests before other plugins, which can then ignore the rest, and sort after pytest groups by fixtures."""
    kind = config.getoption("--kind")
    chosen = [item for item in items if is_of(kind, item, config.getoption("--rounds"))]
    if gone := set(items) - set(chosen):
        config.hook.pytest_deselected(items=list(gone))
    left_out = dict(Counter(file_of(item.nodeid) for item in gone))
    if _is_worker(config):
        vars(config)["workeroutput"][_LEFT_OUT] = left_out
    elif report := config.pluginmanager.get_plugin(_REPORT):
        report.left_out = left_out
    items[:] = chosen
    yield
    items.sort(key=_order(config))


def is_of(kind: str, item: pytest.Item, rounds: int = 1) -> bool:
    """Whether a test belongs to a command: unit, test, endurance, ci (test and endurance in one run), or all."""
    if kind in ("unit", "test"):
        return not _is_long(item) and (kind == "test" or not needs.more_than_python(item))
    if kind in ("endurance", "ci") and rounds < RELEASE and _is_for_releases(item):
        return False
    if kind == "endurance":
        return _is_long(item) or item.get_closest_marker("rounds") is not None
    return True


def _is_long(item: pytest.Item) -> bool:
    """Whether only ./dev endurance runs the test."""
    return any(item.get_closest_marker(name) is not None for name in ("endurance", "release")) or _is_repeated(item)


def _is_repeated(item: pytest.Item) -> bool:
    """Whether a test repeats on PostgreSQL one that runs on SQLite, and doesn't depend on the database."""
    given = getattr(getattr(item, "callspec", None), "params", {})
    return item.get_closest_marker("one_store") is not None and "postgresql" in map(str, given.values())


def _is_for_releases(item: pytest.Item) -> bool:
    """Whether a test runs only before a release. Of the files that would repeat on PostgreSQL what they verify on
    SQLite, the same tenth of the tests runs every time, so that a failure comes from a change."""
    if item.get_closest_marker("release") is not None:
        return True
    return _is_repeated(item) and crc32(file_of(item.nodeid).encode()) % 10 != 4


def file_of(test: str) -> str:
    return test.partition("::")[0]


def _order(config: pytest.Config) -> Any:
    """Put new files first, since their duration is unknown, and then the longest ones, so that no worker still runs a
    long file when the others are done. Every worker uses the same order."""
    seconds = json.loads(_DURATIONS.read_text()) if _DURATIONS.exists() else {}
    seed = config.getoption("--shuffle")

    def place(item: pytest.Item) -> float:
        file = file_of(item.nodeid)
        return -seconds.get(file, math.inf) if seed is None else random.Random(f"{seed} {file}").random()

    return place


class _Report:
    """Adds up the times of files and workers, and lists the tests that a unit run left out."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._began = time.monotonic()
        self._first: float | None = None
        self._files: Counter[str] = Counter()
        self._workers: Counter[str] = Counter()
        self._cells = 0
        self._ran: set[str] = set()
        self._skipped: set[str] = set()
        self._lost = 0
        self.left_out: dict[str, int] = {}  # number of tests, by file

    def pytest_testnodedown(self, node: Any) -> None:
        """Read what a worker left out. All workers collect the same tests, and a crashed one reports nothing."""
        self.left_out = getattr(node, "workeroutput", {}).get(_LEFT_OUT) or self.left_out

    def pytest_handlecrashitem(self, crashitem: str) -> None:
        """Name the test immediately, since no worker replaces the crashed one."""
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        terminal.write_line(f"\nA worker crashed while running {crashitem}. The run ends.", red=True)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a run in which a named file ran no tests, a test was skipped, or a worker left one, since all look
        fine."""
        if exitstatus == pytest.ExitCode.OK and self._empty():
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
        is_run = not self._config.getoption("collectonly") and not hasattr(self._config, "workerinput")
        self._lost = (
            session.testscollected - len(self._ran - self._skipped)
            if is_run and exitstatus == pytest.ExitCode.OK
            else 0
        )
        if self._lost:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _empty(self) -> list[str]:
        """The named files with all of their tests left out."""
        named = {file_of(str(path)) for path in self._config.args}
        return [file for file in self.left_out if file in named and file not in self._files]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self._first is None:
            self._first = time.monotonic() - report.duration
        self._last = time.monotonic()
        if report.skipped:
            self._skipped.add(report.nodeid)
        if isinstance(report, SubtestReport):  # already part of the test's time
            self._cells += 1
            return
        self._ran.add(report.nodeid)
        self._files[file_of(report.nodeid)] += report.duration  # type: ignore[assignment]
        self._workers[getattr(report, "worker_id", "this process")] += report.duration  # type: ignore[assignment]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._config.getoption("--kind") == "unit" and (number := sum(self.left_out.values())):
            which = "1 test that starts" if number == 1 else f"{number} tests that start"
            terminalreporter.line(f"left out: {which} programs, use PostgreSQL or take long; ./dev test PATH runs them")
        for file in self._empty():
            terminalreporter.line(f"{file} ran no test: ./dev test {file}")
        if self._lost:
            terminalreporter.line("\n".join([f"{self._lost} tests did not run", *sorted(self._skipped)]))
        if self._cells:
            terminalreporter.line(f"cells of matrices: {self._cells}")
        self._report_times(terminalreporter)

    def _report_times(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._first is None or (sum(self._files.values()) < 60 and not self._config.getoption("--record")):
            return
        terminalreporter.section(f"time: {time.monotonic() - self._began:.0f} s")
        whole = self._last - self._first
        for worker, busy in sorted(self._workers.items()):
            terminalreporter.line(f"{worker}: idle for {max(0.0, 1 - busy / whole):.0%} of {whole:.0f} s")
        for file, seconds in self._files.most_common(_SLOWEST):
            terminalreporter.line(f"{seconds:6.1f} s  {file}")
        if self._config.getoption("--record"):
            self._record()

    def _record(self) -> None:
        """Keep times of tests that this run left out, unless the tests no longer exist. Also keep longer times, since
        the other command can run more of the file."""
        before = json.loads(_DURATIONS.read_text()) if _DURATIONS.exists() else {}
        known = before | {file: max(round(took, 1), before.get(file, 0.0)) for file, took in self._files.items()}
        kept = {file: took for file, took in sorted(known.items()) if (_ROOT / file).exists()}
        _DURATIONS.write_text(json.dumps(kept, indent=0) + "\n")
