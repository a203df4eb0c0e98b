"""Test runs: reports of workers, crashes, and the programs that a file needs."""

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
from tests.support import needs, processes, run_folder, run_order
from tests.support.matrix import matrix

_PLUGINS = [f"-ptests.support.{name}" for name in ("needs", "run_order", "matrix")]


def said_by_a_run(folder: Path, text: str, *options: str) -> tuple[int, str]:
    """The status and output of a run of one file with this text."""
    (folder / "test_it.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), f"--rootdir={folder}", *_PLUGINS]
    given = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "TESTS_POSTGRES": "not asked for"}
    done = subprocess.run(
        [*command, *options, str(folder / "test_it.py")],
        cwd=folder,
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


_FAILING = """
import os
import time
import pytest
from tests.support.matrix import matrix

@pytest.fixture(scope="session")
def of_the_session():
    yield
    raise RuntimeError("at its end")

async def forgotten():
    pass

@pytest.mark.parametrize("number", range(3))
def test_it(number):
    if number == 1:
        with open("crashes", "a") as crashes:
            crashes.write("one ")
        os._exit(7)
    forgotten()
    assert number != 2

@pytest.mark.timeout(0.2)
def test_that_hangs():
    time.sleep(10)

@matrix("number", [31, 32, 33])
def test_cells(number):
    assert number != 32

def test_the_last(of_the_session):
    pass
"""


@pytest.mark.processes
def test_a_crashed_worker_ends_the_run_and_names_its_test(tmp_path: Path) -> None:
    status, said = said_by_a_run(tmp_path, _FAILING, "-n", "1")
    assert status == pytest.ExitCode.TESTS_FAILED
    before, _, _ = said.partition("FAILURES")
    assert "A worker crashed while running test_it.py::test_it[1]. The run ends." in before
    assert "coroutine 'forgotten' was never awaited" in said
    assert (tmp_path / "crashes").read_text() == "one "


@pytest.mark.processes
def test_workers_report_failures(tmp_path: Path) -> None:
    status, said = said_by_a_run(tmp_path, _FAILING.replace("number == 1", "number == 9"), "-n", "1")
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "assert 2 != 2" in said
    assert "Timeout (>0.2s) from pytest-timeout" in said
    assert "test_cells [32]" in said
    assert "cells of matrices: 3" in said
    assert "at its end" in said
    assert "4 failed, 3 passed" in said


_SKIPPING = """
import pytest
from tests.support.matrix import matrix

@pytest.mark.skip
def test_it():
    pass

@matrix("number", [1, 2])
def test_cells(number):
    if number == 2:
        pytest.skip()

def test_that_passes():
    pass
"""


@pytest.mark.processes
@matrix("workers", [(), ("-n", "1")])
def test_a_skipped_test_fails_the_run(workers: tuple[str, ...], tmp_path: Path) -> None:
    status, said = said_by_a_run(tmp_path, _SKIPPING, *workers)
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "2 tests did not run\ntest_it.py::test_cells\ntest_it.py::test_it\n" in said


_NEEDY = """
import pytest

@pytest.fixture(params=["sqlite", "postgresql"])
def store(request):
    assert request.param == "sqlite"

def test_on_each(store):
    pass

@pytest.mark.processes
def test_that_starts_some():
    assert False

@pytest.mark.needs("zbarimg")
def test_that_runs_a_program():
    assert False
"""


@pytest.mark.processes
def test_a_unit_test_needs_python_alone_and_a_missing_program_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    status, said = said_by_a_run(tmp_path, _NEEDY, "--kind=unit")
    assert "1 passed, 3 deselected" in said
    assert "left out: 3 tests that start programs, use PostgreSQL or take long" in said
    status, said = said_by_a_run(tmp_path, _NEEDY, "-k", "runs_a_program")
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "it needs zbarimg (Debian, Ubuntu: apt-get install zbar-tools)" in said


@pytest.mark.processes
def test_programs_are_those_of_the_tests_at_a_path() -> None:
    def asked(*paths: str) -> dict[str, str]:
        command = [sys.executable, "-m", "tests.support.needs", *paths]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return dict(line.split(" ", 1) for line in done.stdout.splitlines())

    assert asked("tests/browser/test_welcome.py::test_it_fits_a_phone") == {"chromium": "chromium"}
    assert asked("tests/interop/test_saml.py").keys() == {"node", "npm"}
    assert asked("tests/text") == {}
    assert asked() == {program: needs.packages(program) for program in needs._PACKAGES}


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
def test_every_test_belongs_to_a_command(marks: tuple[str, ...], store: str, kinds: set[str]) -> None:
    item = marked("tests/text/test_invisible.py", marks, store)
    found = {kind for kind in ("test", "endurance", "ci") if run_order.is_of(kind, item, 5)}
    if run_order.is_of("endurance", item, 50):
        found.add("release")
    assert found == kinds


def test_a_tenth_of_what_does_not_depend_on_the_store_runs_on_postgresql() -> None:
    items = [marked(f"tests/some/test_{number}.py", ("one_store",), "postgresql") for number in range(1000)]
    assert 60 < sum(run_order.is_of("ci", item) for item in items) < 140


def marked(file: str, marks: tuple[str, ...], store: str) -> Any:
    return SimpleNamespace(
        nodeid=f"{file}::test_it",
        get_closest_marker=lambda name: name if name in marks else None,
        callspec=SimpleNamespace(params={"at": store}),
    )


def collected(*arguments: str) -> list[str]:
    """The tests that a run would execute, in order."""
    command = [sys.executable, "-m", "pytest", "--collect-only"]
    given = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([*command, *arguments], cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if line.startswith("tests/")]


@pytest.mark.processes
def test_slow_files_start_first() -> None:
    short, long = "tests/text/test_invisible.py", "tests/processes/test_shutdown.py"
    files = dict.fromkeys(line.partition(":")[0] for line in collected("--kind", "all", short, long))
    assert list(files) == [long, short]


@matrix("is_worker", [False, True])
def test_a_worker_and_not_the_process_above_compiles_a_new_clone(
    is_worker: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process above collects nothing, so the other workers would wait for nobody and compile all files again."""
    monkeypatch.setenv(run_order._COMPILES, "1")
    monkeypatch.setattr(run_folder, "folder", lambda: tmp_path)
    config = SimpleNamespace(**({"workerinput": {}} if is_worker else {}))
    collecting: Any = run_order.pytest_collection(SimpleNamespace(config=config))  # type: ignore[arg-type]
    next(collecting)
    with pytest.raises(StopIteration):
        collecting.send(True)
    assert (tmp_path / "compiled").exists() is is_worker


@pytest.mark.processes
@pytest.mark.endurance
@pytest.mark.timeout(600)
def test_the_quick_run_has_one_provider_of_each_kind() -> None:
    def methods(kind: str) -> str:
        return "\n".join(collected("--kind", kind, "tests/interop/test_sign_in.py"))

    quick, long = methods("test"), methods("endurance")
    assert "oidc-provider" in quick
    assert "saml-idp" in quick
    for other in ("lemonldap", "djangosaml2idp", "glewlwyd"):
        assert other in long
        assert other not in quick


@pytest.mark.processes
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
    random.seed(1)  # workers might choose the same seed
    asked.send([processes.free_port() for _ in range(10)])


@pytest.mark.processes
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

    if not workers:  # one control is enough
        assert run()[0] == 0
    code, said = run("tests/processes/test_two_nodes.py")
    assert code == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "passed" in said
    assert "tests/processes/test_two_nodes.py ran no test: ./dev test tests/processes/test_two_nodes.py" in said
    assert "tests that start programs, use PostgreSQL or take long; ./dev test PATH runs them" in said
