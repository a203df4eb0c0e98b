"""GraphQL lists are paged: walking the pages returns every row once, in every order and with every condition."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from graphql import GraphQLInputObjectType

from tests.api.graphql.list_pages import KINDS, NAMES, ListedClient, argument_type, new_listed_client, orders
from tests.support.application import App
from tests.support.graphql_operations import document, operations
from tests.support.matrix import matrix

pytestmark = pytest.mark.one_store


@pytest.fixture(scope="module")
async def listed(app: App) -> ListedClient:
    """A list that nobody changes."""
    return await new_listed_client(app)


@pytest.fixture(scope="module")
async def busy(app: App) -> ListedClient:
    """A list that others change during the test."""
    return await new_listed_client(app)


def test_every_list_order_and_condition_is_walked_through() -> None:
    # The audit trail has a single order; tests/http/audit walks its pages.
    pages = {name for name in operations() if name.endswith("Page")} - {"auditEventsPage"}
    assert {f"{name}Page" for name in KINDS} == pages
    for name, kind in KINDS.items():
        filters = argument_type(name, "filter")
        assert isinstance(filters, GraphQLInputObjectType)
        assert set(kind.wanted) == set(filters.fields)
        assert set(kind.numbers) <= set(orders(name))


WALKS = [(name, order) for name in KINDS for order in orders(name)]


@matrix(("name", "order"), WALKS)
async def test_paging_returns_every_row_once_and_in_order(listed: ListedClient, name: str, order: str) -> None:
    everything = await listed.everything(name)
    size = 4 if len(everything) % 4 else 5  # so that the last page isn't full
    pages = await listed.walk(name, size, sort=order)
    seen = [item for page in pages for item in page]
    assert [len(page) for page in pages[:-1]] == [size] * (len(everything) // size)
    assert sorted(seen, key=lambda item: item["id"]) == everything
    assert [await listed.walk(name, one, sort=order) for one in (len(everything), 100)] == [[seen]] * 2
    way, is_back = order.removesuffix("_DESC"), order.endswith("_DESC")
    if way in KINDS[name].numbers:
        assert seen == sorted(seen, key=KINDS[name].numbers[way], reverse=is_back)
    other = way if is_back else f"{way}_DESC"
    [turned] = await listed.walk(name, 100, sort=other)
    assert turned == seen[::-1]


@matrix(("name", "order"), WALKS)
async def test_each_filter_returns_the_matching_rows(listed: ListedClient, name: str, order: str) -> None:
    everything = await listed.everything(name)
    counts = set()
    for member, (values, is_met) in KINDS[name].wanted.items():
        for value in map(listed.value, values):
            expected = [item for item in everything if is_met(item, value)]
            pages = await listed.walk(name, 3, sort=order, filter={member: value})
            seen = [item for page in pages for item in page]
            assert sorted(seen, key=lambda item: item["id"]) == expected, (member, value)
            total = (await listed.page(name, first=1, sort=order, filter={member: value}))["total"]
            assert total == len(expected)
            counts.add(total)
    assert len(counts) > 2
    assert (await listed.page(name, first=1, sort=order))["total"] == len(everything)


@matrix(("name", "order"), WALKS)
async def test_while_others_add_and_change(busy: ListedClient, name: str, order: str) -> None:
    """After each page, a row is added, and one seen row and one unseen row are renamed. Untouched rows appear once;
    renamed ones can appear in their old and their new place."""
    before = {item["id"] for item in await busy.everything(name)}
    seen: list[int] = []
    touched = {busy.base[0].user_id}
    after, texts = None, iter(NAMES[::4])
    while True:
        page = await busy.page(name, first=5, after=after, sort=order)
        seen += [item["id"] for item in page["items"]]
        after = page["nextCursor"]
        if after is None:
            break
        if (text := next(texts, None)) is not None:
            touched |= await meddle(busy, name, text, before - touched, set(seen))
    assert len(touched) >= 6
    assert before - touched
    assert [number for number in before - touched if seen.count(number) != 1] == []
    assert [number for number in set(seen) - touched if seen.count(number) != 1] == []


async def meddle(busy: ListedClient, name: str, text: str, free: set[int], seen: set[int]) -> set[int]:
    """Add a row, and rename two of the free ones, one seen and one unseen; returns both."""
    kind, clock = KINDS[name], busy.team.app.clock
    clock.advance(1)
    base = (busy.base[0]._replace(at=clock.now_ms()), *busy.base[1:])
    can = [item["id"] for item in await busy.everything(name) if kind.may_change(item) and item["id"] in free]
    changed = {
        *[number for number in can if number in seen][:1],
        *[number for number in can if number not in seen][-1:],
    }

    def act(unit: Any) -> None:
        kind.add(unit, base, text, len(seen))
        for number in changed:
            kind.rename(unit, base, number, f"{text} {number}")

    await busy.team.within(act)
    return changed


@matrix("name", KINDS)
async def test_a_cursor_belongs_to_its_list_and_order(listed: ListedClient, name: str) -> None:
    cursors = {
        (list_, order): (await listed.page(list_, first=1, sort=order))["nextCursor"]
        for list_ in KINDS
        for order in orders(list_)
    }
    for order in orders(name):
        for (list_, other), cursor in cursors.items():
            if (list_, other) == (name, order):
                assert (await listed.page(name, first=1, after=cursor, sort=order))["items"]
            else:
                await refused(listed, name, "after", after=cursor, sort=order)


async def refused(listed: ListedClient, name: str, field: str, **given: Any) -> None:
    """Both the paged and the plain list name the invalid argument."""
    for operation, inner in ((f"{name}Page", "items { id } nextCursor total"), (name, "id")):
        told = await listed.team.refused("Viewer", document(operation, inner), **given)
        assert (told.code, told.fields, told.path) == ("BAD_USER_INPUT", [field], [operation]), given


def encoded(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


#: For lists sorted by name and by number.
GARBAGE: list[Any] = [
    "x", "=", "-1", "1.5", "１２", " 1", "9" * 30, "9" * 5000, "A" * 4097, "\x00", "😀", "W10", "e30",
    encoded(None), encoded([]), encoded({}), encoded("ID"), encoded(b"["), encoded(b"\xff"), encoded(b"[" * 3000),
    encoded(["ORDER", "x", 1]), encoded(["LIST", "ORDER", None, 1]), encoded(["LIST", "ORDER", True, 1]),
    encoded(["LIST", "ORDER", 1.5, 1]), encoded(["LIST", "ORDER", ["x"], 1]), encoded(["LIST", "ORDER", 2**63, 1]),
    encoded(["LIST", "ORDER", "x", "1"]), encoded(["LIST", "ORDER", "x", -1]), encoded(["LIST", "ORDER", "x", 2**63]),
    encoded(["LIST", "ORDER", "x", None]), encoded(["LIST", "ORDER", "x", 1, 1]), encoded(["LIST", "ORDER", "a\0", 1]),
    encoded(b'["LIST","ORDER","\\ud800",1]'), encoded(b'["LIST","ORDER",NaN,1]'), encoded(["LIST", "ORDER", "x", True]),
]  # fmt: skip


@matrix("name", KINDS)
async def test_an_invalid_cursor_is_rejected(listed: ListedClient, name: str) -> None:
    for garbage in GARBAGE:
        for order in ("ID", orders(name)[2]):
            text = garbage
            try:
                plain = base64.urlsafe_b64decode(garbage + "=" * (-len(garbage) % 4))
            except ValueError:
                plain = b""
            if b"ORDER" in plain:
                text = encoded(plain.replace(b"LIST", name.encode()).replace(b"ORDER", order.encode()))
            reply = await listed.team.send(
                "Viewer", document(f"{name}Page", "nextCursor"), first=1, after=text, sort=order
            )
            codes = [error["extensions"]["code"] for error in reply.json["errors"]]
            assert codes == ["BAD_USER_INPUT"], (garbage, order)
            assert not (reply.json.get("data") or {}).get(f"{name}Page")


@matrix("name", KINDS)
async def test_the_size_of_a_page(listed: ListedClient, name: str) -> None:
    for size in (0, 101, -1, 2**31 - 1, -(2**31)):
        await refused(listed, name, "first", first=size)
    everything = await listed.everything(name)
    nothings: list[dict[str, Any]] = [{}, {"after": ""}, {"filter": {}}]
    nothings += [{argument: None} for argument in ("first", "after", "sort", "filter")]
    for nothing in nothings:
        assert await listed.page(name, **nothing) == {
            "items": everything[:50], "nextCursor": None, "total": len(everything)
        }  # fmt: skip
    for wrong in ("1", 1.5, True, [1]):
        reply = await listed.team.send("Viewer", document(name, "id"), first=wrong)
        codes = {error["extensions"]["code"] for error in reply.json["errors"]}
        assert (codes, reply.json.get("data")) == ({"BAD_USER_INPUT"}, None)


@matrix("name", KINDS)
async def test_the_plain_list_goes_on_after_the_id_of_its_last_item(listed: ListedClient, name: str) -> None:
    everything = [item["id"] for item in await listed.everything(name)]
    for order, expected in (("ID", everything), ("ID_DESC", everything[::-1])):
        seen: list[int] = []
        while True:
            after = str(seen[-1]) if seen else None
            page = await listed.team.ask("Viewer", document(name, "id"), first=4, after=after, sort=order)
            if not page:
                break
            seen += [item["id"] for item in page]
        assert seen == expected
    await refused(listed, name, "after", after=str(everything[0]), sort=orders(name)[2])
