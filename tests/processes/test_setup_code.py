"""While there is no system admin, a start prints a setup code to the terminal: once, and in no line of the log."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.commands import done, run
from tests.support.processes import free_port
from tests.support.secret_keys import SECRET_KEY
from tests.support.server import launch, stop, wait_for

_CODE = re.compile(r"^    ((?:[BCDFGHJKLMNPQRSTVWXZ]{4}-){3}[BCDFGHJKLMNPQRSTVWXZ]{4})$", re.MULTILINE)
PASSWORD = "kestrel-harbor-21-violet"
KEY = {"MANIFEST_SECRET_KEY": SECRET_KEY}


def _served(folder: Path, **given: str) -> str:
    """What a server prints from its start to its end."""
    server = launch(folder, demo=False, port=free_port(), **given)
    try:
        wait_for(server)
    finally:
        stop(server)
    return server.output.read_text()


@pytest.mark.endurance
def test_it_is_printed_once_by_several_web_processes_and_not_logged(tmp_path: Path) -> None:
    printed = _served(tmp_path, MANIFEST_WORKERS="2")
    [code] = _CODE.findall(printed)
    assert printed.count(code) == 1
    assert "/installation/setup" in printed
    assert not [line for line in printed.splitlines() if line.startswith("{") and code in line]
    again = _served(tmp_path)
    assert _CODE.findall(again) == []
    assert "setup-code prints a new one" in again


def test_none_is_printed_once_there_is_an_admin(tmp_path: Path) -> None:
    done(tmp_path, "admin", "create", "root", "--password-stdin", given=PASSWORD, **KEY)
    assert "setup" not in _served(tmp_path)
    refused = run(tmp_path, "setup-code", **KEY)
    assert (refused.status, refused.out) == (1, "")
    assert "A system admin exists" in refused.line


def test_none_is_printed_where_no_browser_could_use_it(tmp_path: Path) -> None:
    plain = {"MANIFEST_PUBLIC_URL": "http://auth.internal:8080", "MANIFEST_INSECURE_PUBLIC_URL": "allowed"}
    assert "setup" not in _served(tmp_path, **plain)
    refused = run(tmp_path, "setup-code", **plain, **KEY)
    assert (refused.status, "https" in refused.line) == (1, True)


def test_the_command_prints_a_new_one_each_time(tmp_path: Path) -> None:
    first, second = (_CODE.findall(done(tmp_path, "setup-code")) for _ in range(2))
    assert len(first) == len(second) == 1
    assert first != second
