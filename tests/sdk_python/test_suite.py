"""The library, installed from its wheel: one suite against the stand-in, and against the server on both databases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sdk_python.conftest import HAS_MACHINES
from tests.sdk_python.environment import run_suite
from tests.support.rounds import repeated
from tests.support.server import served

#: Tests that need only the stand-in, or no server at all.
_ALONE = ("test_fake.py", "test_origins.py", "test_machines.py", "test_verifier.py", "test_frameworks.py")
_LEFT_OUT = _ALONE if HAS_MACHINES else (*_ALONE, "test_machine_contract.py")


@pytest.mark.endurance
@pytest.mark.timeout(300)
def test_the_suite_passes_with_the_stand_in() -> None:
    run_suite(seconds=280)


@pytest.mark.endurance
@pytest.mark.one_store
@pytest.mark.timeout(300)
def test_the_suite_passes_with_the_server(server: dict[str, str]) -> None:
    run_suite(*(f"--ignore={name}" for name in _LEFT_OUT), seconds=280, **server)


@pytest.mark.endurance
def test_tokens_are_verified_by_the_keys_of_a_server_that_has_some(tmp_path: Path) -> None:
    with served(tmp_path) as running:
        given = {"base_url": running.base, "expired": []}
        run_suite("server_keys.py", SDK_SERVER=json.dumps(given))


@pytest.mark.endurance
@pytest.mark.one_store
@pytest.mark.timeout(600)
def test_hundreds_of_rotations_by_five_processes_and_many_kills(server: dict[str, str]) -> None:
    given = {"SDK_ROTATIONS": repeated("1000", "200"), "SDK_KILLS": repeated("50", "10"), **server}
    run_suite("test_stores.py", "-o", "timeout=500", seconds=550, **given)
