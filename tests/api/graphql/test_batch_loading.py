"""In GraphQL batch loading, many fields share one read, and canceling a field doesn't cancel it for others."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from manifest_auth.api.graphql.batch_loading import Loader
from tests.support.application import App
from tests.support.team import Team, new_team
from tests.support.templates import add_template


class Reading:
    """A store that responds when the test lets it, and records the requested keys."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.may_answer = asyncio.Event()
        self.context: Any = SimpleNamespace(loaded={}, store=self)

    async def read(self, work: Callable[[Any], Any]) -> Any:
        await self.may_answer.wait()
        return work(None)

    def numbers(self, _unit: Any, keys: Sequence[int]) -> dict[int, str]:
        self.asked.append(list(keys))
        return {key: f"number {key}" for key in keys if key < 10}


async def settled(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_keys_requested_in_one_turn_are_read_once() -> None:
    store = Reading()
    loader: Loader[int, str] = Loader(store.numbers, missing="nothing")
    store.may_answer.set()
    wanted = [loader.load(store.context, key) for key in (1, 2, 1, 11)]
    assert await asyncio.gather(*wanted) == ["number 1", "number 2", "number 1", "nothing"]
    assert await loader.load(store.context, 2) == "number 2"
    assert store.asked == [[1, 2, 11]]


async def test_a_canceled_field_does_not_affect_others() -> None:
    """The executor cancels the fields next to a failed one, but another field can request the same person."""
    store = Reading()
    loader: Loader[int, str] = Loader(store.numbers)

    async def field() -> str:
        return str(await loader.load(store.context, 1))

    gone, stays = asyncio.create_task(field()), asyncio.create_task(field())
    await settled()
    gone.cancel()
    await settled()
    store.may_answer.set()
    assert await stays == "number 1"
    assert await field() == "number 1"
    assert gone.cancelled()
    assert store.asked == [[1]]


async def test_a_failure_reaches_all_waiting_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Reading()

    def broken(_unit: Any, _keys: Sequence[int]) -> dict[int, str]:
        raise ValueError("broken")

    loader: Loader[int, str] = Loader(broken)
    store.may_answer.set()
    wanted = [loader.load(store.context, key) for key in (1, 2, 1)]
    found = await asyncio.gather(*wanted, return_exceptions=True)
    assert [str(one) for one in found] == ["broken"] * 3


@pytest.fixture
async def team(app: App) -> Team:
    return await new_team(app)


async def test_a_failed_field_does_not_affect_its_siblings(team: Team) -> None:
    template = await add_template(team)
    email = (await team.member("Author")).email
    query = """query($id: Int!) {
        broken: template(id: $id) { ...Author history(first: 0) { number } } whole: template(id: $id) { ...Author } }
        fragment Author on Template { createdBy { email } latestVersion { createdBy { email } } }"""
    for _ in range(5):
        reply = await team.send("Viewer", query, id=template["id"])
        assert {tuple(error["path"]) for error in reply.json["errors"]} == {("broken", "history")}
        author = {"createdBy": {"email": email}}
        assert reply.json["data"] == {"broken": None, "whole": {**author, "latestVersion": author}}


async def test_an_unread_error_causes_no_warning() -> None:
    store = Reading()

    def broken(_unit: Any, _keys: Sequence[int]) -> dict[int, str]:
        raise ValueError("gone")

    loader: Loader[int, str] = Loader(broken)
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: complaints.append(told))
    loader.load(store.context, 1)
    store.may_answer.set()
    await settled()
    store.context = None
    gc.collect()
    await settled()
    assert complaints == []
