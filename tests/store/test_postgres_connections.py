"""PostgreSQL's connections are handed on in order, and one whose state is not known is closed."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from manifest_auth.errors import NotFound
from manifest_auth.store import postgres_connections
from manifest_auth.store.postgres_connections import Connections


class Raw:
    """A connection without a server."""

    def __init__(self) -> None:
        self.is_terminated = self.is_open_in_transaction = False

    def is_closed(self) -> bool:
        return self.is_terminated

    def is_in_transaction(self) -> bool:
        return self.is_open_in_transaction

    def terminate(self) -> None:
        self.is_terminated = True

    async def close(self, timeout: float) -> None:
        self.is_terminated = True


class Server:
    """Makes connections. ``is_down``: refuses them."""

    def __init__(self) -> None:
        self.made: list[Raw] = []
        self.is_down = False

    async def connect(self) -> Raw:
        await asyncio.sleep(0)
        if self.is_down:
            raise ConnectionRefusedError
        self.made.append(Raw())
        return self.made[-1]


@pytest.fixture
def server() -> Server:
    return Server()


async def test_the_one_used_last_comes_first_and_there_are_no_more_than_are_needed(server: Server) -> None:
    connections = Connections(server.connect, 3)
    for _ in range(5):
        async with connections.acquire(1) as raw:
            assert raw is server.made[0]
    async with connections.acquire(1), connections.acquire(1):
        pass
    assert len(server.made) == 2


async def test_who_waits_longest_gets_it_first_and_never_more_than_the_limit(server: Server) -> None:
    connections, order, at_once, most = Connections(server.connect, 2), list[int](), 0, 0

    async def use(number: int) -> None:
        nonlocal at_once, most
        async with connections.acquire(5):
            order.append(number)
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.001)
            at_once -= 1

    await asyncio.gather(*map(use, range(40)))
    assert order == list(range(40))
    assert (most, len(server.made)) == (2, 2)


async def test_waiting_ends_in_time_and_leaves_nothing_behind(server: Server) -> None:
    connections = Connections(server.connect, 1)
    async with connections.acquire(1):
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with connections.acquire(0.01):
                    pass
    async with connections.acquire(0.01) as raw:
        assert raw is server.made[0]


async def test_a_caller_who_gives_up_as_the_turn_comes_hands_it_on(server: Server) -> None:
    connections, got = Connections(server.connect, 1), list[object]()

    async def use() -> None:
        async with connections.acquire(5) as raw:
            got.append(raw)

    async with connections.acquire(1):
        first, second = asyncio.create_task(use()), asyncio.create_task(use())
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first, second}, timeout=5)
    assert first.cancelled()
    assert got == [server.made[0]]


@pytest.mark.parametrize(
    "error",
    [asyncio.CancelledError(), TimeoutError(), ConnectionResetError(), asyncpg.InterfaceError("busy")],
    ids=repr,
)
async def test_one_whose_answer_may_still_come_is_closed(server: Server, error: BaseException) -> None:
    connections = Connections(server.connect, 1)
    with pytest.raises(type(error)):
        async with connections.acquire(1):
            raise error
    assert server.made[0].is_terminated
    async with connections.acquire(1) as raw:
        assert raw is server.made[1]


@pytest.mark.parametrize("error", [NotFound(), asyncpg.UniqueViolationError("twice")], ids=repr)
async def test_a_refusal_leaves_it_in_use(server: Server, error: Exception) -> None:
    connections = Connections(server.connect, 1)
    with pytest.raises(type(error)):
        async with connections.acquire(1):
            raise error
    async with connections.acquire(1) as raw:
        assert raw is server.made[0]


async def test_one_with_an_open_transaction_is_closed(server: Server) -> None:
    connections = Connections(server.connect, 1)
    async with connections.acquire(1) as raw:
        raw.is_open_in_transaction = True
    assert server.made[0].is_terminated


async def test_one_that_was_idle_for_long_is_closed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    connections = Connections(server.connect, 1)
    await connections.open(1)
    monkeypatch.setattr(postgres_connections, "IDLE_S", 0.0)
    async with connections.acquire(1) as raw:
        assert raw is server.made[1]
    assert server.made[0].is_terminated


async def test_a_server_that_comes_back_is_found(server: Server) -> None:
    """And who waited meanwhile is told."""
    connections = Connections(server.connect, 1)
    server.is_down = True
    outcomes = await asyncio.gather(*(_try(connections) for _ in range(5)))
    assert outcomes == ["ConnectionRefusedError"] * 5
    server.is_down = False
    assert await _try(connections) == ""


async def _try(connections: Connections) -> str:
    try:
        async with connections.acquire(1):
            return ""
    except OSError as error:
        return type(error).__name__


async def test_after_the_end_all_are_closed(server: Server) -> None:
    connections = Connections(server.connect, 3)
    await connections.open(2)
    async with connections.acquire(1):
        await connections.close()
    assert [raw.is_terminated for raw in server.made] == [True, True]
