"""Requests leave nothing for the garbage collector, which would stop the server for all callers."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support import programs
from tests.support.processes import free_port
from tests.support.server import DEMO_PASSWORD, Server, environment, stop, wait_for

AUTH, GRAPHQL = "/api/client/auth", "/api/client/graphql"
READS = 300


def _tell(file: Path) -> None:
    """Write to a file how many objects the garbage collector has found so far."""
    found, fd = 0, os.open(file, os.O_WRONLY | os.O_CREAT)

    def collected(phase: str, told: dict[str, Any]) -> None:
        nonlocal found
        found += told.get("collected", 0)
        os.pwrite(fd, b"%12d" % found, 0)  # at once, since the test reads it at any time

    gc.callbacks.append(collected)
    gc.set_threshold(50, 2, 2)  # so that it runs for each few requests


@pytest.mark.endurance
def test_reads_refreshes_and_queries_leave_no_garbage(tmp_path: Path) -> None:
    port, told = free_port(), tmp_path / "told"
    env = environment(tmp_path, "", MANIFEST_PUBLIC_URL=f"http://127.0.0.1:{port}", MANIFEST_RATE_LIMITS="off")
    process = programs.start(("demo", "--port", str(port)), env, tmp_path / "log", first=partial(_tell, told))
    server = wait_for(Server(process, port, tmp_path / "log"))
    try:
        with httpx2.Client(base_url=server.base, headers={"X-Client-ID": "acme"}) as http:
            given = {"email": "admin@acme.example", "password": DEMO_PASSWORD}
            got = http.post(f"{AUTH}/sign-in", json=given).json()["data"]
            bearer = {"Authorization": f"Bearer {got['token']}"}
            ways: dict[str, Callable[[], httpx2.Response]] = {
                "me": lambda: http.get(f"{AUTH}/me", headers=bearer),
                "list": lambda: http.get("/api/client/auth/sessions?first=5", headers=bearer),
                "GraphQL": lambda: http.post(GRAPHQL, json={"query": "{ me { id } }"}, headers=bearer),
                "refresh": lambda: http.post(f"{AUTH}/refresh", json={"refreshToken": got["refreshToken"]}),
            }
            left = {}
            for name, ask in ways.items():
                for number in range(READS):
                    if number == READS // 10:  # caches are full
                        before = int(told.read_text())
                    answer = ask()
                    assert answer.status_code == 200, answer.text
                    if name == "refresh":
                        got = answer.json()["data"]
                left[name] = (int(told.read_text()) - before) / READS
            # A background job leaves some hundred objects in all, and a request that holds itself eight or more each.
            assert {name: each for name, each in left.items() if each > 4} == {}, json.dumps(left)
    finally:
        stop(server)
