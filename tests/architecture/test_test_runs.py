"""How the tests are run: which run alone, and which programs a file needs, found by its imports."""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.architecture.links import ROOT
from tests.support import processes, required_programs, run_order
from tests.support.matrix import matrix
from tests.support.scheduling import Scheduling


def told(scheduling: Scheduling) -> dict[str, str | None]:
    """What each worker that has nothing to do is told to run, None: to end."""
    return dict(scheduling.next())


def test_what_runs_alone_runs_when_the_other_workers_have_ended() -> None:
    scheduling = Scheduling(["a", "b", "y", "z"], ["y", "z"])
    for worker in ("first", "second", "third"):
        scheduling.begins(worker)
    assert told(scheduling) == {"first": "a", "second": "b", "third": None}
    scheduling.has_run("first")
    assert told(scheduling) == {"first": None}
    scheduling.has_run("second")
    assert told(scheduling) == {}  # it waits for the other ones
    scheduling.ended("first")
    assert told(scheduling) == {}
    scheduling.ended("third")
    assert told(scheduling) == {"second": "y"}
    scheduling.has_run("second")
    assert told(scheduling) == {"second": "z"}
    scheduling.has_run("second")
    assert told(scheduling) == {"second": None}


def test_what_a_worker_left_as_it_crashed_is_run_by_another() -> None:
    scheduling = Scheduling(["a", "b"], [])
    scheduling.begins("first")
    assert told(scheduling) == {"first": "a"}
    scheduling.ended("first", again=scheduling.file_of("first"))
    scheduling.begins("second")
    assert told(scheduling) == {"second": "a"}


_CRASHING = """
import os
import time
import pytest

@pytest.fixture(scope="session")
def of_the_session():
    yield os.getpid()
    raise RuntimeError("at its end")

async def forgotten():
    pass

@pytest.mark.parametrize("number", range(5))
def test_it(number):
    if number == 1:
        os._exit(7)
    if number == 3:
        pytest.exit("all is over")
    forgotten()
    assert number != 2

@pytest.mark.timeout(0.2)
def test_that_hangs():
    time.sleep(10)
"""


@pytest.mark.endurance
def test_workers_report_what_fails_and_what_ends_them(tmp_path: Path) -> None:
    (tmp_path / "test_crashing.py").write_text(_CRASHING)
    (tmp_path / "test_ending.py").write_text(
        _CRASHING.replace("number)", "of_the_session, number)").replace("number ==", "number + 9 ==")
    )

    def run(file: str) -> str:
        command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-n", "2", str(tmp_path / file)]
        given = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        plugin = ["-p", "tests.support.run_order"]
        done = subprocess.run([*command, *plugin], cwd=tmp_path, env=given, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    said = run("test_crashing.py")
    assert "w0 ended as it ran this test: 7" in said
    assert "assert 2 != 2" in said
    assert "coroutine 'forgotten' was never awaited" in said
    assert "Exit: all is over" in said
    assert "ended as it ran this test: 1" in said
    assert "Timeout (>0.2s) from pytest-timeout" in said
    assert "4 failed, 2 passed" in said
    assert "at its end" in run("test_ending.py")


def test_programs_are_those_of_all_that_a_test_uses() -> None:
    assert required_programs.programs(["tests/browser/test_welcome.py::test_it_fits_a_phone"]) == {"chromium"}
    assert {"podman", "runc"} <= required_programs.programs(["tests/deploy"])
    assert {"node", "npm"} <= required_programs.programs(["tests/interop/test_saml.py"])  # by the fixtures beside it
    assert required_programs.programs(["tests/work", "tests/text"]) == set()


def test_what_starts_programs_or_needs_a_server_is_no_unit_test() -> None:
    def more_than_python(file: str, name: str, **params: str) -> bool:
        item: Any = SimpleNamespace(
            nodeid=f"{file}::{name}", originalname=name, callspec=SimpleNamespace(params=params)
        )
        return required_programs.more_than_python(item)

    assert more_than_python("tests/processes/test_two_nodes.py", "test_a_sign_out", database_url="sqlite")
    assert more_than_python("tests/store/test_units_of_work.py", "test_whatever", database_url="postgresql")
    assert more_than_python(
        "tests/store/test_schema.py", "test_addresses_that_only_the_driver_understands_are_upgraded_too"
    )
    assert not more_than_python("tests/store/test_schema.py", "test_an_id_is_never_given_twice", database_url="sqlite")
    # It names tests of other files, some of which start programs, and runs none of them.
    assert not more_than_python(
        "tests/audit/test_every_event.py", "test_every_event_is_recorded", database_url="sqlite"
    )


@matrix(
    ("marks", "store", "kinds"),
    [
        ((), "sqlite", {"test", "ci"}),
        ((), "postgresql", {"test", "ci"}),
        (("one_store",), "sqlite", {"test", "ci"}),
        (("one_store",), "postgresql", {"release"}),
        (("endurance",), "sqlite", {"endurance", "ci", "release"}),
        (("endurance", "one_store"), "sqlite", {"endurance", "ci", "release"}),
        (("endurance", "one_store"), "postgresql", {"release"}),
        (("release",), "sqlite", {"release"}),
        (("rounds",), "sqlite", {"test", "endurance", "ci", "release"}),
    ],
)
def test_no_test_is_left_out_of_all_commands(marks: tuple[str, ...], store: str, kinds: set[str]) -> None:
    item = marked("tests/text/test_invisible.py", marks, store)
    found = {kind for kind in ("test", "endurance", "ci") if run_order.is_of(kind, item, 5)}
    if run_order.is_of("endurance", item, 50):
        found.add("release")
    assert found == kinds


def test_a_fifth_of_what_does_not_depend_on_the_store_runs_on_postgresql() -> None:
    items = [marked(f"tests/some/test_{number}.py", ("one_store",), "postgresql") for number in range(1000)]
    assert 150 < sum(run_order.is_of("ci", item) for item in items) < 250


def marked(file: str, marks: tuple[str, ...], store: str) -> Any:
    return SimpleNamespace(
        nodeid=f"{file}::test_it",
        get_closest_marker=lambda name: name if name in marks else None,
        callspec=SimpleNamespace(params={"at": store}),
    )


def collected(*arguments: str) -> list[str]:
    """The tests that a run would run, in their order."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--override-ini", "addopts=-p no:xdist"]
    given = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([*command, *arguments], cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if line.startswith("tests/")]


def test_files_that_take_longer_are_begun_first() -> None:
    short, long = "tests/text/test_invisible.py", "tests/processes/test_shutdown.py"
    files = dict.fromkeys(line.partition(":")[0] for line in collected("--kind", "all", short, long))
    assert list(files) == [long, short]


@pytest.mark.endurance
def test_of_the_providers_only_one_of_each_kind_is_in_the_quick_run() -> None:
    def methods(kind: str) -> str:
        return "\n".join(collected("--kind", kind, "tests/interop/test_sign_in.py"))

    assert "oidc-provider" in methods("test")
    assert "saml-idp" in methods("test")
    for other in ("lemonldap", "djangosaml2idp", "glewlwyd"):
        assert other in methods("endurance")
        assert other not in methods("test")


def test_no_two_processes_of_a_run_get_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PORTS", range(31_900, 32_000))
    context, ports = multiprocessing.get_context("fork"), list[int]()
    pipes = [context.Pipe() for _ in range(4)]
    workers = [context.Process(target=_ten_ports, args=(theirs,)) for _, theirs in pipes]
    for worker in workers:
        worker.start()
    for ours, _ in pipes:
        ports += ours.recv()
    for worker in workers:
        worker.join()
    assert len(set(ports)) == 40


def _ten_ports(asked: Connection) -> None:
    random.seed(1)  # workers may well choose alike
    asked.send([processes.free_port() for _ in range(10)])


@pytest.mark.endurance
@matrix("workers", [(), ("-n", "1")])
def test_a_named_file_that_runs_nothing_fails_the_run(workers: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "pytest", "--kind", "unit", *workers, "tests/text/test_invisible.py"]

    def run(*more: str) -> tuple[int, str]:
        done = subprocess.run(
            [*command, *more], cwd=ROOT, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
        return done.returncode, done.stdout

    assert run()[0] == 0
    code, said = run("tests/processes/test_two_nodes.py")
    assert code == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "passed" in said
    assert "tests/processes/test_two_nodes.py ran no test: ./dev test tests/processes/test_two_nodes.py" in said
    assert "tests that start programs, use PostgreSQL or take long; ./dev test PATH runs them" in said


@matrix(("failed", "named"), [(0, False), (1, True), (25, True), (26, False)])
def test_what_failed_is_named_for_a_second_run_unless_it_is_much(tmp_path: Path, failed: int, named: bool) -> None:
    file = tmp_path / "failed"
    config: Any = SimpleNamespace(getoption=lambda _: file, args=[])
    report = run_order._Report(config)
    for number in range(30):
        for is_failed in (False, number < failed, number < failed):  # a test may fail in its fixtures as well
            told: Any = SimpleNamespace(failed=is_failed, duration=0.1, nodeid=f"test_a.py::test_{number}")
            report.pytest_runtest_logreport(told)
    session: Any = SimpleNamespace(exitstatus=pytest.ExitCode.TESTS_FAILED)
    report.pytest_sessionfinish(session, pytest.ExitCode.TESTS_FAILED)
    expected = [f"test_a.py::test_{number}" for number in range(failed)] if named else []
    assert (file.read_text().split() if file.exists() else []) == expected


_RUN = """
set -euo pipefail
say() { echo "$*"; }
run_tests() {
  echo "run $*"
  case $* in
    *@*) return "$SECOND" ;;
    *) [ "$FIRST" = 0 ] || echo test_a.py::test_1 >"$WORK/failed"; return "$FIRST" ;;
  esac
}
"""


@matrix(
    ("first", "second", "status", "says"),
    [
        (0, 0, 0, ""),
        (1, 0, 0, "is to be mended"),
        (1, 1, 1, "once more"),
        (2, 0, 2, ""),  # interrupted, or a file that cannot be read
    ],
)
def test_what_fails_beside_others_is_run_once_more_by_itself(
    tmp_path: Path, first: int, second: int, status: int, says: str
) -> None:
    text = (ROOT / "dev").read_text()
    function = text[text.index("all_tests() {") :].partition("\n}\n")[0] + "\n}\n"
    done = subprocess.run(
        ["bash", "-c", f"{_RUN}\n{function}\nall_tests --kind test -n 3"], capture_output=True, text=True, check=False,
        env={**os.environ, "WORK": str(tmp_path), "FIRST": str(first), "SECOND": str(second)},
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    runs = [f"run --failed {tmp_path}/failed --kind test -n 3"]
    if first == 1:
        runs.append(f"run --kind test -n 3 --kind all -n 0 @{tmp_path}/failed")
    assert [line for line in done.stdout.splitlines() if line.startswith("run")] == runs
    assert says in done.stdout
    assert (done.stderr.splitlines() == ["test_a.py::test_1"] * (2 if status == 0 else 1)) == (first == 1)
