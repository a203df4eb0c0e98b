"""What every route of every room is written with: the envelope, the header lines, the body parser, the route table.

Hands over :class:`Route`, :class:`Call`, :func:`ok`. Never: who the caller is or what may be done.
"""

from manifest_auth.http.answers import (
    HTML,
    JSON,
    NO_STORE,
    Answer,
    Header,
    ok,
    page,
    redirect,
    refusal_headers,
    refuse,
    stream,
)
from manifest_auth.http.body import check_media_type, convert, parse, parse_form
from manifest_auth.http.cookies import (
    DEVICE,
    SESSION,
    check_same_site,
    device_cookie,
    flow_cookie,
    session_cookie,
)
from manifest_auth.http.head import Head
from manifest_auth.http.routes import (
    AUTH_LIMIT,
    BODY_LIMIT,
    SAML_LIMIT,
    Call,
    Door,
    Page,
    Paging,
    Route,
    RouteTable,
)
from manifest_auth.http.wire import Items, Time, TokensBeside, Wire, given

__all__ = [
    "AUTH_LIMIT",
    "BODY_LIMIT",
    "DEVICE",
    "HTML",
    "JSON",
    "NO_STORE",
    "SAML_LIMIT",
    "SESSION",
    "Answer",
    "Call",
    "Door",
    "Head",
    "Header",
    "Items",
    "Page",
    "Paging",
    "Route",
    "RouteTable",
    "Time",
    "TokensBeside",
    "Wire",
    "check_media_type",
    "check_same_site",
    "convert",
    "device_cookie",
    "flow_cookie",
    "given",
    "ok",
    "page",
    "parse",
    "parse_form",
    "redirect",
    "refusal_headers",
    "refuse",
    "session_cookie",
    "stream",
]
