"""Every program on the library's page and in docstrings runs, with the stand-in and with the server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.architecture import docs_pages
from tests.architecture.links import ROOT
from tests.sdk_python.environment import clean, python, run_suite

EXAMPLES = [block for page, block in docs_pages.blocks("python") if page == "sdk-python.md"]
_OF_MACHINES = ("API_KEY", "CLIENT_ID")


def run(folder: Path, *programs: str, said: str = "", **given: str) -> list[str]:
    """Run programs from the page; returns the output of each."""
    names = [f"example{number}.py" for number in range(len(programs))]
    for name, program in zip(names, programs, strict=True):
        (folder / name).write_text(program, "utf-8")
    done = subprocess.run(
        [str(python()), "-m", "tests.sdk_python.suite.example", *(str(folder / name) for name in names)],
        cwd=ROOT, env=clean(HOME=str(folder), **given), input=said, timeout=100, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split("---\n")[:-1]


@pytest.mark.endurance
def test_every_program_of_the_page_runs_at_the_stand_in(tmp_path: Path) -> None:
    assert len(EXAMPLES) == 12
    printed = run(tmp_path, *EXAMPLES)
    assert printed[:2] == ["1 author@acme.example\n2 guarded@acme.example\n", "Welcome, Arthur\n"]
    assert "Invalid email or password\n" in printed


@pytest.mark.endurance
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="module")
def test_those_for_users_run_at_the_server(server: dict[str, str], tmp_path: Path) -> None:
    users = [program for program in EXAMPLES if not any(name in program for name in _OF_MACHINES)]
    assert len(run(tmp_path, *users, **server)) == len(users) == 8


def test_the_second_factor_of_the_page_is_asked_for(tmp_path: Path) -> None:
    [printed] = run(tmp_path, EXAMPLES[1].replace("author@", "guarded@"), said="123456\n")
    assert printed == "['A code from your authenticator app']\nCode: Welcome, \n"


def test_every_example_in_a_docstring_is_as_it_says() -> None:
    run_suite("docstrings.py")


def test_the_program_of_the_readme_runs(tmp_path: Path) -> None:
    text = (ROOT / "sdk/python/README.md").read_text("utf-8")
    program = text.partition("```python\n")[2].partition("```")[0]
    [printed] = run(tmp_path, program.replace('"your password"', '__import__("os").environ["PASSWORD"]'))
    assert "author@acme.example" in printed
