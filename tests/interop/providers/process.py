"""A provider's server process, which starts on a free loopback port, is awaited, and is stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2

from tests.interop import http_client
from tests.support.processes import ending_with_us, free_port

_SECONDS = 110  # ends a hanging server before the test's timeout


class Process:
    """One server process at a time, always on the same port. It writes its output to a file in ``folder``."""

    #: A short name for messages, folders, and files.
    name: str
    #: A path that returns 200 once the server is ready.
    ready_path: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{self.name}-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """The command line of the server."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Variables added to the machine's own."""
        return {}

    def start(self) -> None:
        """Start the server, and wait until it responds."""
        assert self._process is None, f"{self.name} runs already"
        with self.log.open("ab") as log:
            command = ending_with_us(self.command(), "KILL")
            environment = {**os.environ, **self.environment()}
            self._process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + _SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"{self.name} did not start:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server, if it's running; its port rejects connections afterward."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """Kill it with ``kill -9``, so that it can't close connections gracefully."""
        process, self._process = self._process, None
        assert process is not None
        process.kill()
        process.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside the block, connections are accepted, but get no response."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            return http_client.send("GET", f"{self.base}{self.ready_path}", timeout=2).status_code == 200
        except httpx2.TransportError:
            return False
