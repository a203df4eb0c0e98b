"""Runs tests in several processes: forks of the one that has collected them, which therefore need not do so again."""

from __future__ import annotations

import atexit
import ctypes
import multiprocessing.util
import random
import signal
import sys
import warnings
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from _pytest.config import create_terminal_writer

from tests.support.scheduling import Scheduling

_FORK = multiprocessing.get_context("fork")
_PR_SET_PDEATHSIG = 1
#: The plugin that reports what came of all tests; workers report to it.
REPORT = "manifest-auth-report"
#: Seconds in which a worker ends what it started, when the run is interrupted.
_LAST = 20


class Ran(NamedTuple):
    """A test that ended: its place in the list of all, and what is reported of it."""

    place: int
    reports: list[dict[str, Any]]


class Warned(NamedTuple):
    """What a test warned of."""

    arguments: dict[str, Any]


class Done(NamedTuple):
    """The worker has run its file."""


class Ended(NamedTuple):
    """The worker has nothing left; ``trouble``: what failed as it ended what lived as long as itself."""

    trouble: str


def file_of(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


class Workers:
    """``number`` of them run the tests of a session, and say here what came of them."""

    def __init__(self, session: pytest.Session, number: int) -> None:
        self._session, self._items = session, session.items
        self._places: dict[str, list[int]] = {}  # by file, of the tests that are left
        for place, item in enumerate(self._items):
            self._places.setdefault(file_of(item), []).append(place)
        alone = {file_of(item) for item in self._items if item.get_closest_marker("alone") is not None}
        self._scheduling = Scheduling(self._places, alone)
        self._workers: dict[str, tuple[BaseProcess, Connection]] = {}
        self._number = min(number, len(self._places))
        self._begun = 0

    def run(self) -> None:
        """All tests, unless some are enough to stop."""
        factory: Any = self._session.config._tmp_path_factory  # type: ignore[attr-defined]
        self._folder: Path = factory.getbasetemp()  # workers have theirs in it
        try:
            for _ in range(self._number):
                self._begin()
            while self._workers:
                self._feed()
                ready = {connection: name for name, (_, connection) in self._workers.items()}
                for connection in wait(list(ready)):
                    self._hear(ready[connection], connection)  # type: ignore[index, arg-type]
                if self._session.shouldfail:
                    raise self._session.Failed(self._session.shouldfail)
                if self._session.shouldstop:
                    raise self._session.Interrupted(self._session.shouldstop)
            assert not any(self._places.values()), self._places  # no test is lost
        finally:
            for process, connection in self._workers.values():
                connection.close()
                process.terminate()
            for process, _ in self._workers.values():
                process.join(_LAST)
                process.kill()

    def _begin(self) -> None:
        name = f"w{self._begun}"
        self._begun += 1
        ours, theirs = _FORK.Pipe()
        process = _FORK.Process(target=_work, args=(self._session, name, self._folder / name, theirs), name=name)
        process.start()
        theirs.close()
        self._workers[name] = process, ours
        self._scheduling.begins(name)

    def _feed(self) -> None:
        for name, file in self._scheduling.next():
            self._workers[name][1].send(None if file is None else self._places[file])

    def _hear(self, name: str, connection: Connection) -> None:
        try:
            told = connection.recv()
        except (EOFError, ConnectionError):
            self._crashed(name)
            return
        match told:
            case Ran(place, reports):
                item = self._items[place]
                self._places[file_of(item)].remove(place)
                self._report(item, name, reports)
            case Warned(arguments):
                self._session.config.hook.pytest_warning_recorded.call_historic(kwargs=arguments)
            case Done():
                self._scheduling.has_run(name)
            case Ended(trouble):
                assert not trouble, f"{name}: {trouble}"
                self._gone(name)

    def _gone(self, name: str, again: str | None = None) -> None:
        process, connection = self._workers.pop(name)
        process.join()
        connection.close()
        self._scheduling.ended(name, again)

    def _report(self, item: pytest.Item, name: str, reports: list[dict[str, Any]]) -> None:
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for told in reports:
            report = self._session.config.hook.pytest_report_from_serializable(config=item.config, data=told)
            report.worker_id = name
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def _crashed(self, name: str) -> None:
        """The test that it ran has failed; another worker runs what is left of the file."""
        process, _ = self._workers[name]
        process.join(_LAST)
        file = self._scheduling.file_of(name)
        left = self._places.get(file or "", [])
        if left:
            item = self._items[left.pop(0)]
            why = f"{name} ended as it ran this test: {process.exitcode}"
            report = pytest.TestReport(item.nodeid, item.location, {}, "failed", why, "call")
            self._report(item, name, [_told(report, item.config)])
        self._gone(name, file if left else None)
        if self._scheduling.is_work_left:
            self._begin()


def _told(report: pytest.TestReport, config: pytest.Config) -> dict[str, Any]:
    """A report, or that of a subtest, as JSON."""
    told: dict[str, Any] = config.hook.pytest_report_to_serializable(config=config, report=report)
    return told


class _Telling:
    """The plugin of a worker that says what came of a test."""

    def __init__(self, connection: Connection, config: pytest.Config) -> None:
        self._connection, self._config = connection, config
        self.reports: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reports.append(_told(report, self._config))

    def pytest_warning_recorded(self, warning_message: Any, when: str, nodeid: str, location: Any) -> None:
        """Without what it is about, which may be anything."""
        category = warning_message.category if warning_message.category.__module__ == "builtins" else UserWarning
        text = str(warning_message.message)
        told = warnings.WarningMessage(text, category, warning_message.filename, warning_message.lineno)
        given = {"warning_message": told, "when": when, "nodeid": nodeid, "location": location}
        self._connection.send(Warned(given))


def _work(session: pytest.Session, name: str, folder: Path, connection: Connection) -> None:
    """A worker, in its own process."""
    atexit._clear()  # what began before is not ours to end
    atexit.register(multiprocessing.util._exit_function)  # type: ignore[attr-defined]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    random.seed()
    config: Any = session.config
    folder.mkdir(mode=0o700)
    config._tmp_path_factory._basetemp = folder
    manager = config.pluginmanager
    for plugin in ("terminalreporter", REPORT):
        if manager.has_plugin(plugin):
            manager.unregister(name=plugin)
    capturing = manager.getplugin("capturemanager")
    capturing.stop_global_capturing()  # into files that all would share
    capturing.start_global_capturing()
    # A test that takes too long shows its stacks to the plugin of this name.
    manager.register(SimpleNamespace(_tw=create_terminal_writer(config, sys.stderr)), "terminalreporter")
    telling = _Telling(connection, config)
    manager.register(telling)
    try:
        while (places := connection.recv()) is not None:
            _run_file(session, places, telling, connection)
            connection.send(Done())
    except BaseException:
        _ends(session)
        capturing.stop_global_capturing()  # what comes now is read
        raise
    connection.send(Ended(_ends(session)))


def _ends(session: pytest.Session) -> str:
    """Ends what lives as long as the worker; says what failed."""
    trouble = ""
    try:
        session._setupstate.teardown_exact(None)
    except Exception as failed:  # noqa: BLE001 - it fails the run
        trouble = repr(failed)
    for program in multiprocessing.active_children():  # which a test left as it was interrupted
        program.terminate()
    atexit._run_exitfuncs()
    return trouble


def _run_file(session: pytest.Session, places: list[int], telling: _Telling, connection: Connection) -> None:
    for place, following in zip(places, [*places[1:], None], strict=True):
        item = session.items[place]
        after: Any = session if following is None else session.items[following]  # the session's own fixtures stay
        telling.reports = []
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        connection.send(Ran(place, telling.reports))
