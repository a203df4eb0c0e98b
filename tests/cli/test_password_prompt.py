"""If a command can't read the password at its prompt, it prints one line on standard error, without a stack trace."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from pathlib import Path

import pytest

from manifest_auth.cli import commands
from tests.support.commands import CommandRefused, on_a_terminal, run
from tests.support.secret_keys import SECRET_KEY

CREATE = ("admin", "create", "root")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompt")
    assert run(folder, "db", "upgrade", MANIFEST_SECRET_KEY=SECRET_KEY).status == 0
    return folder


def test_no_terminal(folder: Path) -> None:
    result = run(folder, *CREATE, MANIFEST_SECRET_KEY=SECRET_KEY)
    assert result.status == 1
    assert result.err == (
        "manifest-auth: no password was entered; use --password-stdin to read it from standard input\n"
    )


def test_bytes_that_are_not_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe zebra\n")))
    with pytest.raises(CommandRefused, match="the password must be in UTF-8"):
        commands._read_password(argparse.Namespace(password_stdin=True))


def test_an_interrupt_at_the_prompt_ends_it_immediately(folder: Path) -> None:
    process, ours = on_a_terminal(folder, CREATE, MANIFEST_SECRET_KEY=SECRET_KEY)
    shown = b""
    while not shown.endswith(b"Password: "):
        shown += os.read(ours, 1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    os.close(ours)
