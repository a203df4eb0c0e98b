"""The description of a body matches what the server accepts, as far as JSON Schema can express it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.http.requests.described_bodies import fitting
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.matrix import few_and_many, matrix
from tests.support.people import member
from tests.support.rounds import repeated
from tests.support.routes import ROUTES, Route, filled, openapi_document

pytestmark = [pytest.mark.one_store, pytest.mark.settings(MANIFEST_RATE_LIMITS="off")]

DOCUMENT = openapi_document()
COMPONENTS = DOCUMENT["components"]["schemas"]
JSON = "application/json"


def body_of(route: Route) -> dict[str, Any] | None:
    """The schema of the route's JSON body, if its errors use the standard envelope."""
    content = DOCUMENT["paths"][route.path][route.method.lower()].get("requestBody", {}).get("content", {})
    schema: dict[str, Any] | None = content.get(JSON, {}).get("schema")
    return schema if schema is not None and "$ref" in schema else None


WITH_BODY = [route for route in ROUTES if body_of(route) is not None]
#: Properties that a schema can express: members, types, lengths, numbers, patterns, and choices. Only the server knows
#: the rest, such as a password's strength, a certificate's validity, or whether an address is taken.
SAID = re.compile(
    "Unknown member|Must be (text|a whole number|true or false|a list|an object|one of)|Must match|"
    "Must be [0-9.]+ or (more|less)|Control characters|Text can't contain a NUL|Must be a GUID in|Must be #rrggbb|"
    "Must be 0 or at least|Must be scheme:|Devices can't get the|can't be an Admin|Exactly one of|1 to 63 lowercase|"
    "Must be 2 to 63 lowercase|Enter either a password or a hash|Must be a date"
)
HERE = {"client": "acme", "directory": "aaaabbbb-0000-cccc-1111-dddd2222eeee", "domain": "acme.example"}


@matrix("examples", few_and_many(4, repeated(40, 12)))
@matrix("route", WITH_BODY)
async def test_what_the_description_allows_is_not_rejected_for_what_it_could_say(
    app: App, route: Route, examples: int
) -> None:
    loop, schema = asyncio.get_running_loop(), body_of(route)
    assert schema is not None
    token = None
    if route.who == "client":
        token = (await member(app, await new_client(app), "Admin")).token  # a separate client; its settings change
    elif route.who == "admin":
        token = await app.admin_token(fresh=True)
    address = filled(route.path, user=app.ids["viewer@acme.example"], **HERE)

    @settings(max_examples=examples, database=None, derandomize=True, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(body=fitting(schema, COMPONENTS))
    def throw(body: Any) -> None:
        sending = app.send(route.method, address, body, token=token)
        reply = asyncio.run_coroutine_threadsafe(sending, loop).result(30)
        if reply.status == 400:
            error = reply.json["error"]
            told = [error["message"], *(detail["message"] for detail in error.get("details", ()))]
            assert not [sentence for sentence in told if SAID.search(sentence)], (body, error)

    await asyncio.to_thread(throw)
