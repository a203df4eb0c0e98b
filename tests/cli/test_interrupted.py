"""A command ends without a stack trace if it's interrupted while loading, or if nobody reads its output anymore."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import environment

pytestmark = pytest.mark.processes

#: Interrupts itself as soon as it tries to load a module of the command.
INTERRUPT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell's background job ignores it
sys.argv = ["manifest-auth", "claims", "list"]
from manifest_auth.__main__ import main
main()
"""


def test_an_interrupt_while_a_command_loads(tmp_path: Path) -> None:
    for module in ("manifest_auth.cli.main", "manifest_auth.cli.claims", "manifest_auth.maintenance.startup"):
        code = INTERRUPT.format(module=module)
        ended = subprocess.run(
            [sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stderr) == (-signal.SIGINT, ""), module


def test_an_output_that_nobody_reads(tmp_path: Path) -> None:
    for command in ("settings", "doctor"):
        ours, theirs = os.pipe()
        os.close(ours)
        with contextlib.closing(os.fdopen(theirs, "wb", 0)) as unread:
            ended = subprocess.run(
                [sys.executable, "-m", "manifest_auth", command],
                env=environment(tmp_path), stdout=unread, stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, "")
