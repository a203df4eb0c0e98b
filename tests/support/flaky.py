"""Runs a test with the mark ``flaky`` a second time when it fails, and names it at the end of the run."""

from __future__ import annotations

import pytest
from _pytest.runner import call_and_report

_TRIED = "flaky"
_told: dict[str, object] = {}  # by test, why it is marked and what came of it


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "flaky(why): is run again when it fails; why, and since when. Ten at most.")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Function, nextitem: pytest.Item | None) -> bool | None:
    """As pytest's own. The first failure is told at the end alone; what fails again fails the run."""
    if (mark := item.get_closest_marker("flaky")) is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    outcome = "passed"
    reports = _run(item)
    if not reports[-1].passed:
        call_and_report(item, "teardown", log=False, nextitem=item.parent)
        reports = _run(item)
        outcome = "passed when it was run again" if reports[-1].passed else "failed twice"
    reports.append(call_and_report(item, "teardown", log=False, nextitem=nextitem))
    for report in reports:
        report.user_properties.append((_TRIED, f"{outcome} ({', '.join(mark.args)})"))
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _run(item: pytest.Function) -> list[pytest.TestReport]:
    """Its fixtures, and the test if they can be made."""
    item._initrequest()
    reports = [call_and_report(item, "setup", log=False)]
    return [*reports, call_and_report(item, "call", log=False)] if reports[0].passed else reports


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _told.update((report.nodeid, told) for name, told in report.user_properties if name == _TRIED)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for test, told in sorted(_told.items()):
        terminalreporter.line(f"flaky: {test} {told}")
