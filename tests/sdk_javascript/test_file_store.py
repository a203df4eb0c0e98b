"""Node.js processes share one session through a file: they rotate in turn, and a killed one doesn't block others."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.processes.node_client import Node
from tests.sdk_javascript.installed import Programs, case
from tests.support.rounds import repeated

pytestmark = pytest.mark.one_store
PROCESSES = 5
#: The program of each process.
ROTATIONS = repeated(200, 40)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "tokens.json")


def begun(programs: Programs, node: Node, file: str, **options: Any) -> Any:
    return case(programs, "file", node.server)("begin", file=file, **options)


def work(programs: Programs, node: Node, file: str, **options: Any) -> list[Any]:
    """Results of each process that worked at the same time."""
    given = {"case": "work", "base": node.server.base, "password": "", "file": file, **options}
    running = [programs.start("file", **given) for _ in range(PROCESSES)]
    return [programs.result(each, 280) for each in running]


def test_the_file_is_its_owners_alone_and_goes_with_the_session(programs: Programs, node: Node, file: str) -> None:
    said = begun(programs, node, file)
    assert said["mode"] == "600"
    assert "may be read by others" in said["refused"]
    assert said["tokens"] == ["expiresAt", "refreshToken", "renewAt", "token"]
    assert case(programs, "file", node.server)("end", file=file) == {"left": [], "gone": "ENOENT"}


@pytest.mark.endurance
def test_processes_that_share_a_file_refresh_once_for_all(
    programs: Programs, node: Node, brief: str, file: str
) -> None:
    begun(programs, node, file, at=brief)
    time.sleep(2.1)
    said = work(programs, node, file, rounds=10)
    assert [one["statuses"] for one in said] == [{"200": 10}] * PROCESSES
    assert sum(one["refreshes"] for one in said) == 1


def test_a_process_that_is_killed_with_the_lock_blocks_no_other(programs: Programs, node: Node, file: str) -> None:
    begun(programs, node, file)
    holder = programs.start("file", case="hold", base=node.server.base, password="", file=file)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == '"held"'
    holder.kill()
    holder.wait()
    assert Path(f"{file}.lock").exists()
    assert [list(one["statuses"]) for one in work(programs, node, file, rotations=1)] == [["200"]] * PROCESSES
    assert [path.name for path in Path(file).parent.iterdir()] == ["tokens.json"]


@pytest.mark.endurance
@pytest.mark.timeout(300)
def test_hundreds_of_rotations_by_five_processes(programs: Programs, node: Node, file: str) -> None:
    begun(programs, node, file)
    said = work(programs, node, file, rotations=ROTATIONS)
    assert [list(one["statuses"]) for one in said] == [["200"]] * PROCESSES
    assert sum(one["refreshes"] for one in said) >= PROCESSES * ROTATIONS
    assert case(programs, "file", node.server)("end", file=file)["left"] == []
