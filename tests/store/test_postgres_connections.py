"""The pool hands out PostgreSQL connections in order, and closes those in an unknown state."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from manifest_auth.errors import NotFound
from manifest_auth.store import StoreUnavailable, postgres_connections
from manifest_auth.store.postgres_connections import SPARED, Connections, NoLogin
from tests.support.matrix import matrix


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
    """Creates connections. ``is_down`` makes it reject them, with ``error`` as the reason; ``asked`` counts the
    calls."""

    def __init__(self) -> None:
        self.made: list[Raw] = []
        self.is_down = False
        self.error: Exception = ConnectionRefusedError()
        self.asked = 0

    async def connect(self) -> Raw:
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise NoLogin(self.error)
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
    await asyncio.wait({first, second}, timeout=60)
    assert first.cancelled()
    assert got == [server.made[0]]


@matrix("error", [asyncio.CancelledError(), TimeoutError(), ConnectionResetError(), asyncpg.InterfaceError("busy")])
async def test_one_whose_answer_can_still_come_is_closed(server: Server, error: BaseException) -> None:
    connections = Connections(server.connect, 1)
    with pytest.raises(type(error)):
        async with connections.acquire(1):
            raise error
    assert server.made[0].is_terminated
    async with connections.acquire(1) as raw:
        assert raw is server.made[1]


@matrix("error", [NotFound(), asyncpg.UniqueViolationError("twice")])
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


async def _try(connections: Connections) -> str:
    try:
        async with connections.acquire(1):
            return ""
    except StoreUnavailable as error:
        return str(error)


async def test_after_a_failed_login_all_are_closed_and_nobody_tries_until_the_server_is_found(server: Server) -> None:
    connections = Connections(server.connect, 3)
    connections.is_knocked_at = True
    async with connections.acquire(1), connections.acquire(1):
        pass
    async with connections.acquire(1) as used:
        server.made[1].terminate()  # the idle one
        server.is_down = True
        assert (await _try(connections)).startswith("PostgreSQL: ")
        assert used.is_terminated
    assert connections.is_gone
    server.is_down, asked = False, server.asked
    assert [await _try(connections) for _ in range(5)] == ["PostgreSQL can't be reached"] * 5
    assert server.asked == asked
    connections.found()
    assert await _try(connections) == ""
    assert server.asked == asked + 1


async def test_where_nothing_else_knocks_the_next_caller_tries(server: Server) -> None:
    connections = Connections(server.connect, 2)
    server.is_down = True
    assert [(await _try(connections)).startswith("PostgreSQL: ") for _ in range(2)] == [True, True]
    server.is_down = False
    assert await _try(connections) == ""


async def test_who_waits_is_told_when_the_server_is_gone(server: Server) -> None:
    connections = Connections(server.connect, 1)
    connections.is_knocked_at = True
    async with connections.acquire(1):
        waiting = [asyncio.create_task(_try(connections)) for _ in range(3)]
        await asyncio.sleep(0)
        connections.lost()
        async with asyncio.timeout(5):
            assert await asyncio.gather(*waiting) == ["PostgreSQL can't be reached"] * 3
    connections.found()
    assert await _try(connections) == ""
    assert len(server.made) == 2


async def test_a_login_that_was_under_way_when_the_server_went_is_not_used(server: Server) -> None:
    connections = Connections(server.connect, 2)
    connections.is_knocked_at = True
    login = asyncio.create_task(_try(connections))
    await asyncio.sleep(0)
    connections.lost()
    assert await login == "PostgreSQL can't be reached"
    assert server.made[0].is_terminated


async def test_a_server_that_has_too_many_connections_is_not_gone(server: Server) -> None:
    connections = Connections(server.connect, 2)
    async with connections.acquire(1) as used:
        server.is_down, server.error = True, asyncpg.TooManyConnectionsError("too many clients already")
        assert "too many clients" in await _try(connections)
        assert not used.is_terminated
    assert await _try(connections) == ""


async def test_those_that_write_leave_some_to_others(server: Server) -> None:
    connections = Connections(server.connect, 4)
    async with connections.acquire(1, to_write=True), connections.acquire(1, to_write=True):
        with pytest.raises(TimeoutError):
            async with connections.acquire(0.01, to_write=True):
                pass
        async with connections.acquire(1), connections.acquire(1):
            pass
    async with connections.acquire(0.01, to_write=True):
        assert SPARED == 2


async def test_the_time_of_a_unit_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_connections, "UNIT_S", 0.01)
    connections = Connections(server.connect, 1)
    async with connections.acquire(1) as raw:
        async with asyncio.timeout(5):
            while not raw.is_terminated:
                await asyncio.sleep(0.001)
    async with connections.acquire(1) as another:
        pass
    await asyncio.sleep(0.05)
    assert not another.is_terminated


async def test_after_the_end_all_are_closed(server: Server) -> None:
    connections = Connections(server.connect, 3)
    await connections.open(2)
    async with connections.acquire(1):
        await connections.close()
    assert [raw.is_terminated for raw in server.made] == [True, True]


@matrix("answers", [True, False])
async def test_a_login_that_takes_too_long_ends_no_connection_while_beats_are_answered(
    server: Server, answers: bool
) -> None:
    connections = Connections(server.connect, 3)
    connections.is_knocked_at = True
    await connections.open(1)
    server.is_down, server.error = True, TimeoutError()
    async with connections.acquire(1):
        login = asyncio.ensure_future(connections._take(1))
        await asyncio.sleep(0)
        if answers:
            connections.found()
        with pytest.raises(NoLogin):
            await login
    assert connections.is_gone is not answers
    assert server.made[0].is_terminated is not answers
