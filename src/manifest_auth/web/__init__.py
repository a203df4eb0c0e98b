"""What every route of every room is written with: the envelope, the header lines, the body parser, the route table.

Hands over :class:`Route`, :class:`Call`, :func:`ok`. Never: who the caller is or what may be done.
"""

from manifest_auth.web.answers import JSON, NO_STORE, Answer, Header, ok, refusal_headers, refuse
from manifest_auth.web.cookies import DEVICE, SESSION, check_same_site, device_cookie, session_cookie
from manifest_auth.web.head import Head
from manifest_auth.web.routes import AUTH_LIMIT, BODY_LIMIT, Call, Door, Page, Route, RouteTable

__all__ = [
    "AUTH_LIMIT",
    "BODY_LIMIT",
    "DEVICE",
    "JSON",
    "NO_STORE",
    "SESSION",
    "Answer",
    "Call",
    "Door",
    "Head",
    "Header",
    "Page",
    "Route",
    "RouteTable",
    "check_same_site",
    "device_cookie",
    "ok",
    "refusal_headers",
    "refuse",
    "session_cookie",
]
