"""Many clients that continue through every kill, and record each success in a ledger."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.kills.ledger import MARK, Ledger
from tests.processes.node_client import bearer

_numbers = itertools.count(1)
PAUSE_S = 0.08  # after a missing response
GRAPHQL = "/api/client/graphql"


class Cut(Exception):
    """The request failed: the connection was cut or rejected, or the response was `come back later`."""


@dataclass
class Crowd:
    """``bases`` are the nodes, and each request uses a random one. ``allowed`` are errors that only mean that the
    database is unavailable. ``on_success`` is called at the moment when a response arrives. ``pause`` is the number of
    seconds after each success, if the machine has other work too."""

    bases: list[str]
    ledger: Ledger
    chance: random.Random
    allowed: frozenset[str] = frozenset()
    on_success: Callable[[], None] | None = None
    pause: float = 0.0
    goes_on: bool = True
    successes: int = 0
    cut: Counter[str] = field(default_factory=Counter)
    signed_in: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=3))  # (session, access token)
    signed_out: deque[str] = field(default_factory=lambda: deque(maxlen=2))
    _http: httpx2.AsyncClient = field(init=False)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Proxies in the tests have self-signed certificates.
        self._http = httpx2.AsyncClient(timeout=60, limits=httpx2.Limits(max_connections=32), verify=False)

    def begin(self, *actors: Coroutine[Any, Any, None]) -> None:
        self._tasks += [asyncio.create_task(actor) for actor in actors]

    def trouble(self) -> None:
        """Raise an actor's result that is neither a success nor a cut."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error

    async def end(self) -> None:
        """Let every actor finish its current action. Raises an actor's error."""
        self.goes_on = False
        await asyncio.wait_for(asyncio.gather(*self._tasks), 120)  # a job is a dozen requests
        await self._http.aclose()

    async def leave(self) -> None:
        """End immediately, in any state."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()

    async def ask(
        self, method: str, path: str, body: Any = None, token: str | None = None, event: str = "", **options: Any
    ) -> Any:
        """Return the successful response, or None for a 401 if ``may_refuse``. ``event`` must then be in the audit
        trail; ``allowed`` are additional error codes. Raises Cut."""
        request = f"{MARK}{next(_numbers):06}"
        headers = {**bearer(token), "X-Request-ID": request, **options.get("headers", {})}
        self._http.cookies.clear()
        url = self.chance.choice(self.bases) + path
        content = {"content": options["content"]} if "content" in options else {"json": body}
        try:
            answer = await self._http.request(method, url, headers=headers, **content)
        except httpx2.HTTPError as error:
            await self._cut(type(error).__name__)
        if answer.status_code in (200, 201) and "errors" not in (found := answer.json()):
            if self.on_success is not None:
                self.on_success()
            self.successes += 1
            if event:
                self.ledger.event(request, event)
            await asyncio.sleep(self.pause)
            return found["data"]
        if answer.status_code == 401 and options.get("may_refuse"):
            return None
        if (code := _code(answer)) in {*self.allowed, *options.get("allowed", ())}:
            await self._cut(code)
        raise AssertionError(f"{request}: {method} {path} was answered {answer.status_code} {answer.text}")

    async def surely(self, *request: Any, **options: Any) -> Any:
        """Repeat a request until there is a response. Only for requests that can be repeated."""
        while True:
            try:
                return await self.ask(*request, **options)
            except Cut:
                continue

    async def graphql(self, document: str, token: str, event: str = "", **variables: Any) -> Any:
        """The result of the only root field. Raises Cut."""
        data = await self.ask("POST", GRAPHQL, {"query": document, "variables": variables}, token, event)
        [found] = data.values()
        return found

    async def _cut(self, why: str) -> None:
        self.cut[why] += 1
        await asyncio.sleep(PAUSE_S)
        raise Cut(why)


def _code(answer: httpx2.Response) -> str:
    found = answer.json()
    if "errors" in found:
        [code] = {error["extensions"]["code"] for error in found["errors"]}
        return str(code)
    assert found["success"] is False
    return str(found["error"]["code"])
