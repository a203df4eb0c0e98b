"""SCIM clients that others made work unchanged: recorded requests of Okta and Microsoft Entra ID, and scim2-tester.

The server is a separate process. The client and the connection are created at another node.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import CheckResult, Status, check_server

from tests.interop.scim.recordings import RECORDINGS, recording, replay
from tests.support.accounts import new_client
from tests.support.application import App, running
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.server import Server, served

#: What scim2-tester calls a deviation, and what it can't check, by type and check, with the reason.
DEVIATIONS: dict[tuple[str | None, str | None], str] = {}
SKIPPED: dict[tuple[str | None, str | None], str] = {
    (kind, "search_with_attributes"): "POST /.search at the root is not supported" for kind in ("User", "Group")
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("scim"), database_url, MANIFEST_RATE_LIMITS="off") as running_server:
        yield running_server


@pytest.fixture(scope="module")
async def node(server: Server, database_url: str) -> AsyncIterator[App]:
    """Another node of the same installation, in this process."""
    async with running(database_url, MANIFEST_PUBLIC_URL=server.base) as app:
        app.clock.ms, app.root = int(time.time() * 1000), "admin"
        yield app


async def connected(node: App) -> tuple[str, str]:
    """The address and the token of the only connection of a new client."""
    path = f"/api/admin/clients/{await new_client(node)}/scim"
    made = check_success(await node.post(path, {"name": "directory"}, token=await node.admin_token()), 201)
    return made["baseUrl"], made["token"]


@pytest.mark.one_store
@matrix("name", RECORDINGS)
async def test_recorded_requests_get_the_responses_that_the_rfcs_demand(server: Server, node: App, name: str) -> None:
    published = [step for step in recording(name)["steps"] if not step.get("added")]
    assert len(published) == RECORDINGS[name]
    wrong = await asyncio.to_thread(replay, name, *await connected(node))
    assert not wrong, "\n".join([f"{len(wrong)} of {name} are wrong:", *wrong])


async def test_scim2_tester_finds_no_error(server: Server, node: App) -> None:
    results = await asyncio.to_thread(_checked, *await connected(node))
    by_status = {status: [one for one in results if one.status is status] for status in Status}
    wrong = [_told(one) for status in (Status.CRITICAL, Status.ERROR) for one in by_status[status]]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(results)} are wrong:", *wrong])
    assert {_key(one) for one in by_status[Status.DEVIATION]} == set(DEVIATIONS), by_status[Status.DEVIATION]
    assert {_key(one) for one in by_status[Status.SKIPPED]} == set(SKIPPED), by_status[Status.SKIPPED]
    assert len(results) - len(by_status[Status.SKIPPED]) >= 120


def _checked(base: str, token: str) -> list[CheckResult]:
    with httpx2.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        return check_server(SyncSCIMClient(client))


def _key(one: CheckResult) -> tuple[str | None, str | None]:
    return one.resource_type, one.title


def _told(one: CheckResult) -> str:
    return f"{one.status.name} {one.resource_type} {one.title}: {one.reason}"
