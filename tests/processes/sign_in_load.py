"""Many concurrent clients that sign in, refresh, and sign out, and keep every response."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.processes.node_client import AUTH, Node, bearer
from tests.support.server import DEMO_PASSWORD

EMAILS = ("author", "viewer", "operator", "approver", "publisher")


@dataclass
class Client:
    """The responses that one client received."""

    number: int
    tokens: list[str] = field(default_factory=list)
    refresh_tokens: list[str] = field(default_factory=list)  # each one replaced the one before
    cookie: str = ""
    signed_out: bool = False
    in_doubt: bool = False  # its last request got no response


@dataclass
class Storm:
    """``clients`` that take four steps each; ``answers`` counts the successful responses."""

    base: str
    clients: list[Client]
    answers: int = 0
    statuses: set[int] = field(default_factory=set)
    half: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def steps(self) -> int:
        return 4 * len(self.clients)

    async def run(self, at_once: int = 16) -> None:
        limit = asyncio.Semaphore(at_once)
        async with httpx2.AsyncClient(base_url=self.base, timeout=60) as http:
            await asyncio.gather(*(self._client(client, http, limit) for client in self.clients))

    async def _client(self, client: Client, http: httpx2.AsyncClient, limit: asyncio.Semaphore) -> None:
        async with limit:
            try:
                email = f"{EMAILS[client.number % len(EMAILS)]}@acme.example"
                body = {"email": email, "password": DEMO_PASSWORD}
                answer = await self._post(http, "sign-in", body)
                if answer is None:
                    return
                client.cookie = answer.cookies["session"]
                self._keep(client, answer.json()["data"])
                for _ in range(2):  # the second one commits the first one's replacement
                    answer = await self._post(http, "refresh", {"refreshToken": client.refresh_tokens[-1]})
                    if answer is None:
                        return
                    self._keep(client, answer.json()["data"])
                if client.number % 3 == 0:
                    answer = await self._post(http, "sign-out", None, client.tokens[-1])
                    client.signed_out = answer is not None
            except httpx2.HTTPError:
                client.in_doubt = True

    async def _post(
        self, http: httpx2.AsyncClient, path: str, body: Any, token: str | None = None
    ) -> httpx2.Response | None:
        http.cookies.clear()
        answer = await http.post(f"{AUTH}/{path}", json=body, headers=bearer(token))
        self.statuses.add(answer.status_code)
        if answer.status_code != 200:
            return None
        self.answers += 1
        if self.answers >= self.steps // 3:
            self.half.set()
        return answer

    def _keep(self, client: Client, data: dict[str, Any]) -> None:
        client.tokens.append(data["token"])
        client.refresh_tokens.append(data["refreshToken"])


def storm(node: Node, clients: int = 80) -> Storm:
    return Storm(node.server.base, [Client(number) for number in range(clients)])


def honoured(told: Storm, node: Node) -> None:
    """Check that every response is still valid at ``node``. Requires ``MANIFEST_REFRESH_GRACE=0``."""
    checked = 0
    for client in told.clients:
        if not client.tokens or (client.in_doubt and client.number % 3 == 0 and len(client.tokens) == 3):
            continue  # no response, or it's unknown whether a sign-out happened
        checked += 1
        if client.signed_out:
            assert node.me(client.tokens[0]).status_code == 401
            assert node.post(f"{AUTH}/refresh", {"refreshToken": client.refresh_tokens[-1]}).status_code == 401
            continue
        for token in client.tokens:
            assert node.me(token).status_code == 200
        assert node.http.get(f"{AUTH}/me", headers={"Cookie": f"session={client.cookie}"}).status_code == 200
        latest = client.refresh_tokens[-1]
        node.refresh(latest)
        if len(client.refresh_tokens) == 3:
            # The second refresh got a response, so it's committed, and the very first token is a replay.
            answer = node.post(f"{AUTH}/refresh", {"refreshToken": client.refresh_tokens[0]})
            assert answer.status_code == 401
            assert node.me(client.tokens[-1]).status_code == 401
    assert checked > len(told.clients) // 5
