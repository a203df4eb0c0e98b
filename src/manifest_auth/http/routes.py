"""Definition of a route, with everything that the pipeline and ``/openapi.json`` need, and the table that finds it."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from manifest_auth.audit.acts import Act
from manifest_auth.errors import MethodNotAllowed, NotFound, Refusal, ValidationError
from manifest_auth.http.answers import Answer, refuse
from manifest_auth.http.request import Head
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.text.models import CURSOR, MOST, Items, from_texts, items_of

B = TypeVar("B")

KIB = 1024
AUTH_LIMIT = 64 * KIB
SAML_LIMIT = 512 * KIB
BODY_LIMIT = 1024 * KIB
_MAX_ID = 2**63 - 1


class Access(enum.Enum):
    """The callers of a route. A permission (:data:`Who`) stands for the users who have it."""

    OPEN = "open"  # anonymous callers; the pipeline reads no credential
    CLIENT = "client"  # a signed-in user of a tenant
    ADMIN = "admin"  # a system admin
    PAGE = "page"  # a browser, identified only by cookies; the page's own rules decide who can see it


#: A permission stands for the users of a tenant who have it.
Who = Access | Permission
#: The callers of routes below an address. The first matching prefix counts.
_CALLERS: tuple[tuple[str, frozenset[Access]], ...] = (
    ("/api/admin/auth/", frozenset({Access.OPEN, Access.ADMIN})),
    ("/api/admin/", frozenset({Access.ADMIN})),
    ("/api/client/auth/", frozenset({Access.OPEN, Access.CLIENT})),
    ("/api/client/", frozenset({Access.CLIENT})),
    ("/", frozenset({Access.OPEN, Access.PAGE})),
)
#: Addresses where users need no permission: their own account, and GraphQL, whose operations have permissions.
_GRAPHQL = "/api/client/graphql"
_ANY_ROLE = ("/api/client/auth/", _GRAPHQL)


class Paging(msgspec.Struct, frozen=True):
    """Query parameters of every list."""

    first: Annotated[int, Meta(ge=1, le=100, description="Maximum number of items in a page.")] = 50
    after: Annotated[
        str, Meta(max_length=4096, description="`nextCursor` of the previous page.", extra_json_schema=CURSOR)
    ] = ""


_PAGING = frozenset(Paging.__struct_encode_fields__)


class Page(Paging, frozen=True):
    """Query parameters of a list that can be searched."""

    q: Annotated[str, Meta(max_length=200, description="Only items that contain this text.")] = ""


@dataclass(slots=True)
class Call(Generic[B]):
    """A request, in the form that handlers get."""

    head: Head
    body: B
    path: dict[str, str]
    query: bytes
    parameters: Any = None  # query parameters, parsed into the route's model

    def id(self, name: str = "id") -> int:
        """Returns a numeric ID from the path. Raises NotFound for an invalid one."""
        text = self.path[name]
        if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= 19 and int(text) <= _MAX_ID:
            return int(text)
        raise NotFound()


Handler = Callable[[RequestContext, Call[Any]], Awaitable[Answer[Any] | msgspec.Struct]]
Refused = Callable[[RequestContext, Refusal, Head], Awaitable[Answer[None]]]

#: Paths of pages that work without a license, so that admins can see that it is missing, and install one.
_UNGATED = ("/assets/", "/docs/", "/installation", "/favicon.ico", "/robots.txt")


#: Prefixes that no page's address has.
_NO_PAGES = ("/api/", "/oauth2/", "/scim/")


def is_cross_origin(path: str) -> bool:
    """Whether pages of a client's listed origins can read the responses of this path (:mod:`.cors`)."""
    if path.startswith(("/api/client/", "/.well-known/")) or path == "/openapi.json":
        return True
    return path.startswith("/o/") and path.endswith(_OF_BROWSER_APPS)


#: Paths at the issuer of their client that apps in browsers call.
_OF_BROWSER_APPS = ("/.well-known/openid-configuration", "/jwks", "/token", "/userinfo", "/revoke")
_ISSUERS = ("/o/", *(f"/.well-known/oauth-{what}/o/" for what in ("authorization-server", "protected-resource")))


def client_of_issuer(path: str) -> str | None:
    """Returns the client of the issuer at this path. None for any other path."""
    start = next((start for start in _ISSUERS if path.startswith(start)), None)
    return None if start is None else path.removeprefix(start).partition("/")[0]


#: Machines and apps can't call paths below these, regardless of their roles, because a stolen key must not create a
#: second key or another sign-in method.
_NOT_FOR_MACHINES = tuple(
    f"/api/client/{name}"
    for name in ("auth/", "service-accounts", "providers", "domains", "directories", "apps", "devices", "scim")
)


def is_for_machines(method: str, path: str) -> bool:
    """Whether service accounts can call a route. ``GET …/auth/me`` tells them who they are."""
    return (method, path) == ("GET", "/api/client/auth/me") or not path.startswith(_NOT_FOR_MACHINES)


async def refuse_in_envelope(ctx: RequestContext, refusal: Refusal, _head: Head) -> Answer[None]:
    """Returns the default response to an error."""
    return refuse(refusal, ctx.request_id)


@dataclass(slots=True, frozen=True)
class Route:
    """A route. ``path`` can contain ``{name}`` segments. ``access`` is who can call it; a permission is moved to
    ``permission``, with the access of users. ``body`` and ``data`` are wire models from the handler's signature:
    ``Call[Body]``, and ``Data`` or ``Answer[Data]``. They are None if there are none."""

    method: str
    path: str
    handler: Handler
    access: Who
    summary: str
    body: type[msgspec.Struct] | None = None
    data: type[msgspec.Struct] | None = None
    permission: Permission | None = None
    limit: int = BODY_LIMIT
    status: int = 200
    redirects: tuple[int, ...] = ()  # other statuses with which it redirects a browser
    also: tuple[int, ...] = ()  # other statuses of a response without an error
    refusals: tuple[type[Refusal], ...] = ()
    raw: bool = False  # the handler parses the body itself (GraphQL, SAML's form post)
    streams: bool = False  # the handler reads the body in parts, and checks its own limit
    takes: tuple[str, ...] = ()  # media types of a body that isn't JSON, if the route ``streams``
    also_form: type[msgspec.Struct] | None = None  # fields of a form that the handler accepts instead of JSON
    sends: tuple[str, ...] = ()  # media types of a response that isn't in the envelope
    query: type[msgspec.Struct] | None = None  # wire model of the query parameters
    refused: Refused = refuse_in_envelope
    enveloped: bool = True  # responds in the usual envelope, like all routes except GraphQL
    form: type[msgspec.Struct] | None = None  # fields of a form, which the handler reads
    plain: type[msgspec.Struct] | None = None  # the response is this object, without an envelope
    failure: type[msgspec.Struct] | None = None  # and each error is this one
    operation: str = ""  # its name in the description, if the method and path don't provide it
    template: str = ""  # for a page
    audience: str = ""  # for a page: who can see it
    asks: Act | None = (
        None  # the action that requires re-authentication, even if only in some cases; None if it only reads
    )
    is_recorded: bool = True  # each change records an event in the audit trail
    gated: bool = field(default=False, init=False)  # needs a license
    for_machines: bool = field(default=True, init=False)  # service accounts with the right roles can call it
    forwards: bool = field(default=False, init=False)  # it uses the address that a service account forwards
    for_apps: bool = field(default=True, init=False)  # apps can call it for users who granted them access
    ignore_unknown: bool = False  # ignores unknown members of the body, because existing programs send extra ones
    is_cross_origin: bool = field(default=False, init=False)  # pages of listed origins can read its responses
    parameters: frozenset[str] = field(default=frozenset(), init=False)  # known query parameters

    def __post_init__(self) -> None:
        if isinstance(self.access, Permission):
            object.__setattr__(self, "permission", self.access)
            object.__setattr__(self, "access", Access.CLIENT)
        self._check_access()
        is_page = self.access is Access.PAGE
        if not is_page:
            _, call, *_, answer = get_type_hints(self.handler).values()
            object.__setattr__(self, "body", self.body or _model(call))
            object.__setattr__(self, "data", self.data or _model(answer))
        is_page_of_use = is_page and not self.path.startswith(_UNGATED)
        is_gated = is_page_of_use or self.path.startswith(("/api/client/", "/oauth2/", "/scim/", *_ISSUERS))
        object.__setattr__(self, "gated", is_gated)
        object.__setattr__(self, "for_machines", is_for_machines(self.method, self.path))
        is_open = self.method == "POST" and self.access is Access.OPEN
        object.__setattr__(self, "forwards", is_open and self.path.startswith("/api/client/auth/"))
        by_permission = self.permission is not None or self.path == _GRAPHQL
        object.__setattr__(self, "for_apps", self.for_machines and by_permission)
        object.__setattr__(self, "is_cross_origin", is_cross_origin(self.path))
        names = frozenset(self.query.__struct_encode_fields__ if self.query else ())
        object.__setattr__(self, "parameters", names)
        if self.is_list and not (names >= _PAGING and "next_cursor" in self.data.__struct_fields__):  # type: ignore[union-attr]
            raise TypeError(f"{self.path}: a list takes the parameters of Paging, and returns nextCursor")

    def _check_access(self) -> None:
        """Raises TypeError if the address doesn't match the allowed callers, so that a typo can't open a route, or if a
        change doesn't name its action for re-authentication."""
        allowed = next(allowed for start, allowed in _CALLERS if self.path.startswith(start))
        if self.access not in allowed:
            raise TypeError(f"{self.path}: below this address, routes are for {sorted(one.value for one in allowed)}")
        if self.access is Access.CLIENT and self.permission is None and not self.path.startswith(_ANY_ROLE):
            raise TypeError(f"{self.path}: needs a permission")
        if self.asks is None and self.method != "GET" and self.access in (Access.CLIENT, Access.ADMIN):
            raise TypeError(f"{self.path}: name the action that requires re-authentication, or NOTHING")

    @property
    def is_list(self) -> bool:
        """Whether the response is a page of a list."""
        return self.method == "GET" and self.data is not None and "items" in self.data.__struct_fields__

    def read_query(self, query: bytes) -> Any:
        """Returns the query parameters. Raises ValidationError, also for an unknown parameter, because a caller might
        rely on it as a filter or an order. Routes for anonymous callers ignore unknown parameters, because browsers,
        links, and providers add some."""
        if self.query is None:
            return None
        values = query_values(query)
        if self.access is not Access.OPEN and (unknown := values.keys() - self.parameters):
            named = [(name[:64] or "query", "Unknown parameter") for name in sorted(unknown)[:MOST]]
            raise ValidationError(details=named)
        return from_texts(values, self.query)


def _model(hint: Any) -> type[msgspec.Struct] | None:
    if get_origin(hint) is Items:
        return items_of(*get_args(hint))
    kind = next(iter(get_args(hint)), hint)
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


class RouteTable:
    """Finds a route by method and path. Fixed paths use a dictionary lookup, and other paths a comparison of segments.

    ``more`` creates the routes of pages, when the first request arrives that could be for a page.
    """

    def __init__(self, routes: Iterable[Route], more: Callable[[], Iterable[Route]] = tuple) -> None:
        self.routes = tuple(routes)
        self._more: Callable[[], Iterable[Route]] | None = more
        self._loading: asyncio.Future[Iterable[Route]] | None = None
        self._fixed: dict[str, dict[str, Route]] = {}
        self._patterns: dict[int, list[tuple[tuple[str, ...], dict[str, Route]]]] = {}
        self._add(self.routes)

    def _add(self, routes: Iterable[Route]) -> None:
        for route in routes:
            self._methods(route.path)[route.method] = route

    async def load_more(self, path: str) -> bool:
        """Loads the remaining routes in a thread, unless none of them can have this path. Returns False if there is
        nothing to load."""
        if self._more is None or path.startswith(_NO_PAGES):
            return False
        if self._loading is None:
            self._loading = asyncio.ensure_future(asyncio.to_thread(self._more))
        routes = await asyncio.shield(self._loading)
        if self._more is not None:
            self._more = None
            self._add(routes)
        return True

    def _methods(self, path: str) -> dict[str, Route]:
        if "{" not in path:
            return self._fixed.setdefault(path, {})
        segments = tuple(path.split("/"))
        known = self._patterns.setdefault(len(segments), [])
        for pattern, methods in known:
            if pattern == segments:
                return methods
        known.append((segments, {}))
        return known[-1][1]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Returns the route and the values of its path segments. Raises NotFound or MethodNotAllowed."""
        values: dict[str, str] = {}
        methods = self._fixed.get(path)
        if methods is None:
            methods, values = self._match(path)
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            allow = sorted(methods) + (["HEAD"] if "GET" in methods else [])
            raise MethodNotAllowed(", ".join(sorted(allow)))
        return route, values

    def _match(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        if path.startswith("/scim/"):
            path = path.removesuffix("/")  # which some identity providers append
        segments = path.split("/")
        for pattern, methods in self._patterns.get(len(segments), ()):
            values: dict[str, str] = {}
            for want, have in zip(pattern, segments, strict=True):
                if want[:1] == "{":
                    if not have:
                        break
                    values[want[1:-1]] = have
                elif want != have:
                    break
            else:
                return methods, values
        raise NotFound()


def query_values(query: bytes) -> dict[str, str]:
    """Returns query parameters as text. Raises ValidationError for a repeated parameter, invalid UTF-8, or NUL."""
    from urllib.parse import parse_qsl

    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise ValidationError("The query string is invalid") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise ValidationError(details=[(name[:64], "The parameter was sent more than once")])
        if "\0" in value:
            raise ValidationError(details=[(name[:64], "Text can't contain a NUL character")])
        found[name] = value
    return found
