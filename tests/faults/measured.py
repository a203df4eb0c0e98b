"""Reads and sign-ins on a fixed schedule at each node, which measure how long a fault prevents successful responses."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx2

from tests.processes.node_client import AUTH, bearer
from tests.processes.quiet_time import quiet_time
from tests.support.rounds import repeated
from tests.support.server import DEMO_PASSWORD

READS_S, SIGN_INS_S = repeated(1 / 25, 1 / 10), 1 / 2.5  # between two of them at one node
READER = "admin@globex.example"
#: No request can take this long.
_LONG_S = 20.0
#: This long after the response to a sign-out, its session can't be used anymore.
FELT_S = 1.0
_AGAIN = 50
_LATE_S = repeated(0.05, 0.15)  # how often one of them is tried


class GotIn(AssertionError):
    """A signed-out session was accepted."""


@dataclass
class Measured:
    """One node's reads or sign-ins, with the times of successful responses."""

    what: str
    allowed: frozenset[str] = frozenset()
    asked: int = 0
    good: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def off(self, since: float) -> float:
        """The longest time without a successful response since then, in seconds."""
        times = [since, *sorted(at for at in self.good if at >= since), quiet_time()]
        return max(after - before for before, after in itertools.pairwise(times))

    def answered(self, answer: httpx2.Response) -> None:
        if answer.status_code == 200:
            self.good.append(quiet_time())
            return
        code = _code(answer)
        self.refused[code] += 1
        may_be = {(503, "OVERLOADED"), *[(502, "OVERLOADED")] * ("502" in self.allowed)}
        if (answer.status_code, code) not in may_be or "retry-after" not in answer.headers:
            self.wrong.append(f"{self.what}: {answer.status_code} {answer.text[:200]}")

    def cut(self, error: httpx2.HTTPError) -> None:
        """Record that no response arrived."""
        self.refused["cut"] += 1
        if "cut" not in self.allowed:
            self.wrong.append(f"{self.what}: {error!r}")


def _code(answer: httpx2.Response) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(answer.json()["error"]["code"])
    return str(answer.status_code)


class SignedOut(list[str]):
    """Access tokens of signed-out sessions, and the times of the responses."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[float] = []

    def append(self, token: str) -> None:
        super().append(token)
        self.at.append(quiet_time())


class Schedule:
    """Reads, sign-ins, and attempts with signed-out sessions at every node, until the end."""

    def __init__(self, bases: list[str], signed_out: SignedOut, allowed: frozenset[str] = frozenset()) -> None:
        """``allowed`` are outcomes besides 503: ``502`` from a proxy, in our envelope, or ``cut``."""
        # Proxies in the tests have self-signed certificates.
        self._http = httpx2.AsyncClient(timeout=_LONG_S, limits=httpx2.Limits(max_connections=None), verify=False)
        self._signed_out = signed_out
        self._nodes = bases
        self.all = [Measured(f"{what} at {base}", allowed) for base in bases for what in ("reads", "sign-ins")]
        self.got_in: list[str] = []
        self.tried = self._seen = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        token = (await self._sign_in(self._nodes[0])).json()["data"]["token"]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._try_those_who_are_out())]
            for number, base in enumerate(self._nodes):
                reads, sign_ins = self.all[2 * number : 2 * number + 2]
                tasks.append(group.create_task(self._every(READS_S, reads, partial(self._read, base, token))))
                tasks.append(group.create_task(self._every(SIGN_INS_S, sign_ins, partial(self._sign_in, base))))
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
        await self._http.aclose()

    def counted(self) -> tuple[int, int]:
        """The number of requests so far, and of successful responses."""
        return sum(each.asked for each in self.all), sum(len(each.good) for each in self.all)

    async def _every(self, seconds: float, to: Measured, ask: Callable[[], Awaitable[httpx2.Response]]) -> None:
        """Send requests on schedule, regardless of the outcome of earlier ones."""
        async with asyncio.TaskGroup() as asked:
            due = time.monotonic()
            while True:
                asked.create_task(self._once(to, ask))
                due = max(due + seconds, time.monotonic())
                await asyncio.sleep(due - time.monotonic())

    async def _once(self, to: Measured, ask: Callable[[], Awaitable[httpx2.Response]]) -> None:
        to.asked += 1
        try:
            to.answered(await ask())
        except httpx2.HTTPError as error:
            to.cut(error)

    async def _read(self, base: str, token: str) -> httpx2.Response:
        return await self._http.get(f"{base}{AUTH}/me", headers=bearer(token))

    async def _sign_in(self, base: str) -> httpx2.Response:
        given: dict[str, Any] = {"json": {"email": READER, "password": DEMO_PASSWORD}}
        answer = await self._http.post(f"{base}{AUTH}/sign-in", **given)
        self._http.cookies.clear()
        return answer

    async def _try_those_who_are_out(self) -> None:
        """Try the newest signed-out tokens, at each node in turn."""
        for number in itertools.count():
            await asyncio.sleep(_LATE_S)
            ripe = [token for token, at in zip(self._signed_out, self._signed_out.at, strict=True)
                    if at < quiet_time() - FELT_S]  # fmt: skip
            if ripe:
                await self._is_out(ripe[-1 - number // 2 % min(20, len(ripe))], self._nodes[number % len(self._nodes)])

    async def _is_out(self, token: str, base: str) -> None:
        with contextlib.suppress(httpx2.HTTPError):
            status = (await self._http.get(f"{base}{AUTH}/me", headers=bearer(token))).status_code
            self.tried += 1
            if status == 200:
                self.got_in.append(f"at {base} {quiet_time():.2f}")

    async def all_are_out(self) -> None:
        """Check that every node rejects every session signed out since the last check, and some earlier ones. Raises
        GotIn."""
        before, self._seen = self._seen, len(self._signed_out)
        for token in self._signed_out[max(0, before - _AGAIN) : self._seen]:
            for base in self._nodes:
                status = (await self._http.get(f"{base}{AUTH}/me", headers=bearer(token))).status_code
                if status != 401:
                    raise GotIn(f"{base} answered {status} to a session that was signed out")

    async def until_good(self, seconds: float, after: float) -> None:
        """Wait until each has had successful responses after that moment. Raises AssertionError."""
        deadline = quiet_time() + seconds
        while not all(len([at for at in each.good[-5:] if at > after]) >= 2 for each in self.all):
            assert quiet_time() < deadline, [f"{each.what}: {each.refused}" for each in self.all]
            await asyncio.sleep(0.02)

    def check(self) -> None:
        """Check that responses were successful, or 503 in the envelope, and that no signed-out session was accepted."""
        assert not self.got_in, f"sessions that were signed out: {self.got_in[:10]}"
        wrong = [what for each in self.all for what in each.wrong]
        assert not wrong, f"{len(wrong)} answers: {wrong[:10]}"
