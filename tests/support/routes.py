"""The routes of the application as plain data, and addresses created from their patterns."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from typing import Any, NamedTuple

import msgspec
import orjson

from manifest_auth import app, http
from manifest_auth.api import power_apps_connector
from manifest_auth.audit.acts import NOTHING, Act
from manifest_auth.http import Access, openapi
from manifest_auth.permissions import Permission
from manifest_auth.protocols.microsoft import CLOUDS
from manifest_auth.tenants.step_up import ALWAYS

#: Values that are valid but refer to nothing.
_NOWHERE = {"client": "nowhere", "id": "A" * 22, "provider": "no-such-provider"}


class Route(NamedTuple):
    """``who`` can use the route: "open" for anybody, a "client"'s user, or a system "admin". ``members`` belong to its
    body or form, or to a page's query. ``template`` is that of a page; ``is_form`` means that the body is a form, not
    JSON. ``permission`` is the one that a user needs, and ``audience`` the users that a page is for. ``proof`` is the
    required re-authentication: ``factors``, always; ``factor``, for users with a second factor; ``first``, like
    ``factor``, but users without one can use less; ``management``, only if the client requires it; empty, never.
    ``is_recorded`` means that each change is recorded in the audit trail."""

    method: str
    path: str
    who: str
    limit: int
    streams: bool
    members: tuple[str, ...]
    template: str = ""
    is_form: bool = False
    permission: Permission | None = None
    audience: str = ""
    proof: str = ""
    is_recorded: bool = True

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _members(body: type[msgspec.Struct] | None) -> tuple[str, ...]:
    return tuple(field.encode_name for field in msgspec.structs.fields(body)) if body else ()


def _proof(asks: Act | None) -> str:
    if not asks:
        return ""
    of_own = {Act.PASSWORD: "factor", Act.FACTORS: "first"}
    return of_own.get(asks, "factors" if asks & ALWAYS else "management")


def _plain(one: http.Route) -> Route:
    read = one.form or one.body or getattr(getattr(one.handler, "__self__", None), "fields", None)
    return Route(
        one.method,
        one.path,
        one.access.value,
        one.limit,
        one.streams,
        _members(read),
        one.template,
        one.form is not None,
        one.permission,
        one.audience,
        _proof(one.asks),
        one.is_recorded,
    )


def _listed(*, pages: bool) -> list[Route]:
    return [_plain(one) for one in (*app.ROUTES, *app.page_routes()) if (one.access is Access.PAGE) is pages]


#: Routes that programs call.
ROUTES = _listed(pages=False)
#: Routes that browsers show, with "page" as `who`.
PAGES = _listed(pages=True)


def filled(pattern: str, **values: object) -> str:
    """The address for a pattern. Parameters missing from ``values`` refer to number 1 or to nothing that exists."""
    return re.sub(r"{(\w+)}", lambda found: str(values.get(found[1], _NOWHERE.get(found[1], "1"))), pattern)


@cache
def openapi_document() -> Any:
    """The OpenAPI description of all routes, which all callers share."""
    return orjson.loads(orjson.dumps(openapi.build(app.ROUTES)))


def connector_of_everything() -> Any:
    """The custom connector of an app that calls every route with a successful response."""
    every = [
        dataclasses.replace(route, method="POST", path=f"/api/client/auth/{number}", access=Access.CLIENT, asks=NOTHING)
        for number, route in enumerate(app.ROUTES)
        if route.status < 300
    ]
    return orjson.loads(orjson.dumps(power_apps_connector.build(every, "https://auth.example.com", CLOUDS["global"])))
