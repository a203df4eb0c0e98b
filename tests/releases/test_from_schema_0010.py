"""Nodes of schema 0010 are replaced one by one by this tree, and back, while clients work: no request fails.

A device's session, whose cap the older programs do not know, opens nothing at theirs.
"""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest

from manifest_auth.store import migrate
from tests.architecture.links import ROOT
from tests.processes.node_client import AUTH, Node
from tests.releases.installation import NEXT, OLD, THIS, Installation, at_work
from tests.releases.test_rolling_upgrade import each_knows_what_the_other_did
from tests.support.postgres import Databases

pytestmark = [pytest.mark.endurance, pytest.mark.timeout(600)]
#: The last commit whose schema is 0010.
BEFORE = "8d43c0dd"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def tree_of(folder: Path, commit: str) -> str:
    """The code of a commit, for ``PYTHONPATH``."""
    packed = subprocess.run(["git", "archive", commit, "src"], cwd=ROOT, capture_output=True, timeout=60, check=False)
    if packed.returncode:
        pytest.skip("the history of this clone does not go back so far")
    subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, timeout=60, check=True)
    return str(folder / "src")


async def test_no_request_fails_and_a_device_opens_nothing_at_the_older_node(
    tmp_path: Path, postgres: Databases
) -> None:
    sources = {OLD: tree_of(tmp_path, BEFORE), NEXT: THIS}
    async with at_work(tmp_path, postgres.empty_database(), sources) as it:
        assert (await it.status(OLD))[1] == "0010"
        await it.replace(0, NEXT)
        assert (await it.status(OLD))[1] == migrate.HEAD
        await each_knows_what_the_other_did(it)
        token = await asyncio.to_thread(paired, it)
        assert await asyncio.to_thread(statuses, it, token) == [200, 401]
        await it.replace(1, NEXT)
        assert await asyncio.to_thread(statuses, it, token) == [200, 200]
        await it.replace(0, OLD)
        assert await asyncio.to_thread(statuses, it, token) == [401, 200]
        await each_knows_what_the_other_did(it)
        await it.until_answered(200)
    for release in (OLD, NEXT):
        await it.verifies(release)


def paired(it: Installation) -> str:
    """The access token of a headset that was let in at the first node."""
    node = Node(it.nodes[0])  # type: ignore[arg-type]  # it has the address, which is all that counts
    person = node.sign_in("operator@acme.example")["token"]
    pairing = node.post(f"{AUTH}/devices/pairings", token=person).json()["data"]
    app = {"client_id": "manifest.acme"}
    asked = form(node, "/oauth2/pairing", {**app, "pairing_code": pairing["qr"]})
    node.post(f"{AUTH}/devices/pairings/{pairing['id']}/approve", {"match": asked["match"]}, person)
    tokens = form(node, "/oauth2/token", {**app, "grant_type": GRANT, "device_code": asked["device_code"]})
    return str(tokens["access_token"])


def form(node: Node, path: str, fields: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.post(node.server.base + path, data=fields, timeout=10).raise_for_status().json()
    return found


def statuses(it: Installation, token: str) -> list[int]:
    """What each node answers to the token."""
    return [Node(node).me(token).status_code for node in it.nodes]  # type: ignore[arg-type]
