"""While there is no system admin, a start prints a setup code once, only on a terminal."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.support.commands import done, on_a_terminal, run
from tests.support.processes import free_port
from tests.support.secret_keys import SECRET_KEY
from tests.support.server import launch, stop, wait_for

_CODE = re.compile(r"^    ((?:[BCDFGHJKLMNPQRSTVWXZ]{4}-){3}[BCDFGHJKLMNPQRSTVWXZ]{4})$", re.MULTILINE)
PASSWORD = "kestrel-harbor-21-violet"
KEY = {"MANIFEST_SECRET_KEY": SECRET_KEY}


def _served(folder: Path, **given: str) -> str:
    """The output of a server from its start to its end."""
    server = launch(folder, demo=False, port=free_port(), **given)
    try:
        wait_for(server)
    finally:
        stop(server)
    return server.output.read_text()


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.endurance)])
def test_it_is_printed_once_on_a_terminal_and_not_logged(tmp_path: Path, workers: str) -> None:
    port = str(free_port())
    process, ours = on_a_terminal(tmp_path, ("serve", "--port", port), MANIFEST_WORKERS=workers, **KEY)
    printed = ""
    try:
        while printed.count('"started"') < int(workers):
            printed += os.read(ours, 1024).decode().replace("\r\n", "\n")
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours)
    [code] = _CODE.findall(printed)
    assert printed.count(code) == 1
    assert f"http://127.0.0.1:{port}/installation/setup" in printed
    assert not [line for line in printed.splitlines() if line.startswith("{") and code in line]


def test_an_invalid_terminal_gets_the_name_of_the_command(tmp_path: Path) -> None:
    """Instead of a terminal, there is a journal or a container log, which others can read and keep."""
    printed = _served(tmp_path)
    assert _CODE.findall(printed) == []
    assert "To get a code for http://127.0.0.1:" in printed
    trail = [json.loads(line)["event"] for line in done(tmp_path, "audit", "export", **KEY).splitlines()]
    assert trail == ["keys_made"]


def test_a_container_without_settings_prints_it_for_its_log(tmp_path: Path) -> None:
    container = {"MANIFEST_INSECURE_PUBLIC_URL": "loopback", "MANIFEST_HOST": "0.0.0.0"}
    assert len(_CODE.findall(_served(tmp_path, **container))) == 1
    real = {**container, "MANIFEST_PUBLIC_URL": "https://auth.example.com"}
    assert _CODE.findall(_served(tmp_path, MANIFEST_DATA_DIR=str(tmp_path / "real"), **real)) == []


def test_none_is_printed_once_there_is_an_admin(tmp_path: Path) -> None:
    done(tmp_path, "admin", "create", "root", "--password-stdin", given=PASSWORD, **KEY)
    assert "setup" not in _served(tmp_path)
    refused = run(tmp_path, "setup-code", **KEY)
    assert (refused.status, refused.out) == (1, "")
    assert "A system admin already exists" in refused.line


def test_none_is_printed_where_no_browser_could_use_it(tmp_path: Path) -> None:
    plain = {"MANIFEST_PUBLIC_URL": "http://auth.internal:8080", "MANIFEST_INSECURE_PUBLIC_URL": "allowed"}
    assert "setup" not in _served(tmp_path, **plain)
    refused = run(tmp_path, "setup-code", **plain, **KEY)
    assert (refused.status, "https" in refused.line) == (1, True)


def test_the_command_prints_a_new_one_each_time(tmp_path: Path) -> None:
    first, second = (_CODE.findall(done(tmp_path, "setup-code")) for _ in range(2))
    assert len(first) == len(second) == 1
    assert first != second
