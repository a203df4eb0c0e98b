"""Failures of services that a node calls: identity providers, the mail server, and file storage hang or are slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import boto3
import httpx2
import pytest
from moto.server import ThreadedMotoServer

from tests.faults import machines, name_server
from tests.faults.link import Link
from tests.faults.name_server import NameServer
from tests.faults.rig import NONE_S, Rig, at_work
from tests.faults.sign_on import Team
from tests.kills import actors
from tests.kills.rounds import GIVEN, filled
from tests.kills.victim import Victim
from tests.processes.node_client import bearer
from tests.processes.quiet_time import quiet_time
from tests.support import user_management as m
from tests.support.mail_server import MailServer
from tests.support.oidc_op import Op, provider
from tests.support.oidc_socket import Answer
from tests.support.processes import free_port

pytestmark = [pytest.mark.needs_root, pytest.mark.needs("strace"), pytest.mark.endurance, pytest.mark.timeout(600)]
PROVIDER_S, MAIL_S, UPLOAD_S = 3.0, 3.5, 10.0
#: More than a client can have in progress.
AT_ONCE = 12
AGAINST = 0.95
LEAST_S = 2.0


@dataclass
class Calling:
    """A node, and the services it calls."""

    rig: Rig
    op: Op
    team: Team
    names: NameServer
    mail: Link
    files: Link

    async def tried(self, name: str, ask: Callable[[], httpx2.Response], seconds: float) -> list[httpx2.Response]:
        """Send many requests at the same time; each gets a response in that time, and no one else is affected."""
        answers: list[tuple[float, httpx2.Response]] = []

        def one() -> None:
            began = quiet_time()
            answer = ask()
            answers.append((quiet_time() - began, answer))

        await self.rig.measure_quiet()
        began, (asked, good) = quiet_time(), self.rig.schedule.counted()
        await asyncio.gather(asyncio.sleep(LEAST_S), *(asyncio.to_thread(one) for _ in range(AT_ONCE)))
        asked_now, good_now = self.rig.schedule.counted()
        rate = (good_now - good) / (asked_now - asked)
        longest = max(seconds for seconds, _ in answers)
        off = self.rig.off(f"{name}, answered within {longest:.1f} s, {rate:.0%} of the others well", began)
        assert longest <= seconds + max(self.rig.usual.values())
        assert rate >= AGAINST
        self.rig.held(off, NONE_S)
        await self.rig.is_well()
        return [answer for _, answer in answers]

    async def hangs(self, name: str, ask: Callable[[], httpx2.Response]) -> None:
        """Check that all sign-ins there are rejected in time."""
        for answer in await self.tried(name, ask, PROVIDER_S):
            assert (answer.status_code, answer.json()["error"]["code"]) == (502, "PROVIDER_UNAVAILABLE"), answer.text


@pytest.fixture(scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Calling]:
    """A system with everything running, shared by all tests."""
    folder: Path = tmp_path_factory.mktemp("node")
    url = f"sqlite:///{folder / 'm.db'}"
    await filled(url)
    with ExitStack() as stack:
        names = stack.enter_context(name_server.running())
        (folder / "resolv.conf").write_text(f"nameserver {name_server.ADDRESS}\n")
        op = stack.enter_context(provider(alg="ES256"))
        post = stack.enter_context(MailServer())
        moto = ThreadedMotoServer(port=0)
        moto.start()
        stack.callback(moto.stop)
        host, port = moto.get_host_and_port()
        client = boto3.client(
            "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", aws_access_key_id="a",
            aws_secret_access_key="b",
        )  # fmt: skip
        client.create_bucket(Bucket="evidence")
        mail, files = (stack.enter_context(Link(each)) for each in (post.port, int(port)))
        given = {
            **GIVEN,
            "MANIFEST_SMTP_URL": f"smtp://127.0.0.1:{mail.port}",
            "MANIFEST_MAIL_FROM": post.settings["MANIFEST_MAIL_FROM"],
            "MANIFEST_FILES": "s3://evidence",
            "MANIFEST_FILES_ENDPOINT": f"http://127.0.0.1:{files.port}",
            "MANIFEST_FILES_REGION": "us-east-1",
            "MANIFEST_FILES_ACCESS_KEY": "a",
            "MANIFEST_FILES_SECRET_KEY": "b",
        }
        first = partial(machines.with_name_server, str(folder / "resolv.conf"))
        node = Victim(folder, url, free_port(), given, first=first)
        async with at_work(folder, url, [node]) as rig:
            team = await asyncio.to_thread(Team, node.base, op)
            yield Calling(rig, op, team, names, mail, files)


async def test_a_provider_hangs(here: Calling) -> None:
    begun = [await asyncio.to_thread(here.team.begun) for _ in range(AT_ONCE)]
    with here.op.gates.shut("token"):
        await here.hangs("provider hangs", lambda: here.team.ended(*begun.pop()))


async def test_a_provider_sends_a_byte_a_second(here: Calling) -> None:
    begun = [await asyncio.to_thread(here.team.begun) for _ in range(AT_ONCE)]
    here.op.answers["token"] = Answer(chunks=(b"x", 60, 1.0))
    try:
        await here.hangs("provider sends a byte a second", lambda: here.team.ended(*begun.pop()))
    finally:
        del here.op.answers["token"]


@pytest.mark.parametrize("silent", [False, True], ids=["no such name", "no answer"])
async def test_the_name_of_a_provider_is_not_found(here: Calling, silent: bool) -> None:
    here.names.is_silent = silent
    name = f"silent-{silent}".lower()
    await asyncio.to_thread(here.team.add, name, f"https://{name}.corp.example")
    asked = here.names.asked
    what = "name servers are silent" if silent else "provider has no name"
    await here.hangs(what, partial(here.team.start, name))
    assert here.names.asked > asked
    here.names.is_silent = False


async def test_the_mail_server_hangs(here: Calling) -> None:
    token = await actors.surely_in(here.rig.crowd, "user-admin@acme.example")
    numbers = iter(range(AT_ONCE))

    def invite() -> httpx2.Response:
        given = {"input": {"email": f"invited-{next(numbers)}@acme.example", "roles": ["Viewer"]}}
        url = f"{here.rig.nodes[0].base}/api/client/graphql"
        return httpx2.post(url, json={"query": m.INVITE, "variables": given}, headers=bearer(token), timeout=30)

    here.mail.cut()
    try:
        for answer in await here.tried("mail server hangs", invite, MAIL_S):
            assert answer.status_code == 200, answer.text
            assert "errors" not in answer.json()
    finally:
        here.mail.heal()


async def test_the_file_storage_hangs(here: Calling) -> None:
    token = await actors.surely_in(here.rig.crowd, "admin@acme.example")

    def upload() -> httpx2.Response:
        url = f"{here.rig.nodes[0].base}/api/client/files?name=x.png"
        sent = {"Content-Type": "image/png", **bearer(token)}
        return httpx2.post(url, content=actors._PNG, headers=sent, timeout=30)

    assert (await asyncio.to_thread(upload)).status_code == 201
    here.files.cut()
    try:
        answers = await here.tried("service for files hangs", upload, UPLOAD_S)
        refused = {(answer.status_code, answer.json()["error"]["code"]) for answer in answers}
        assert refused == {(503, "OVERLOADED"), (429, "RATE_LIMITED")}  # the second: the user's share is exceeded
    finally:
        here.files.heal()
    assert (await asyncio.to_thread(upload)).status_code == 201
