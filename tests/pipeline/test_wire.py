"""Response structs, and how a route derives its parameters from its handler's signature."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from manifest_auth.http import Access, Answer, Call, Items, Route, Time, Wire, ok
from manifest_auth.services import RequestContext


class Row(NamedTuple):
    """A row as stored: flags are numbers, and times are milliseconds."""

    id: int
    is_on: int
    made_at: int
    gone_at: int | None
    secret: str = "not on the wire"
    note: str = "of the row"


class Shown(Wire, frozen=True):
    id: int
    name: str
    is_on: bool
    made_at: Time
    gone_at: Time | None
    note: str | UnsetType = UNSET


class Body(msgspec.Struct, frozen=True):
    name: str


class AllShown(Items[Shown], frozen=True): ...


def test_a_row_is_shown_in_the_form_of_the_wire() -> None:
    shown = Shown.of(Row(7, 1, 0, None), name="seven")
    assert (
        ok(AllShown((shown,), None)).body == b'{"success":true,"data":{"items":[{"id":7,"name":"seven","isOn":true,'
        b'"madeAt":"1970-01-01T00:00:00.000Z","goneAt":null}],"nextCursor":null}}'
    )


def test_what_is_given_goes_before_what_the_row_has() -> None:
    shown = Shown.of(Row(7, 0, 0, 1), name="seven", gone_at=None, note="given")
    assert (shown.is_on, shown.gone_at, shown.note) == (False, None, "given")


def test_a_member_that_no_one_gives_is_an_error() -> None:
    with pytest.raises(AttributeError, match="name"):
        Shown.of(Row(7, 1, 0, None))


async def _plain(ctx: RequestContext, call: Call[None]) -> Shown:
    raise NotImplementedError


async def _with_headers(ctx: RequestContext, call: Call[Body]) -> Answer[AllShown]:
    raise NotImplementedError


async def _no_data(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    raise NotImplementedError


def test_a_route_describes_what_its_handler_takes_and_returns() -> None:
    routes = [Route("POST", "/", handler, Access.OPEN, "") for handler in (_plain, _with_headers, _no_data)]
    assert [(route.body, route.data) for route in routes] == [(None, Shown), (Body, AllShown), (None, None)]


def test_members_beside_the_data_follow_it() -> None:
    assert ok(Body("a"), top_level=Body("b")).body == b'{"success":true,"data":{"name":"a"},"name":"b"}'
