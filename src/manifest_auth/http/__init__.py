"""HTTP: the pipeline of every request, who asks, bodies, cookies, header lines, routes, ``/openapi.json``, uvicorn.

Owns the shape of every request and answer. Never knows what a route does, and never says what a caller may do beyond
the permission that the route names.
"""

from manifest_auth.http.answers import (
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
from manifest_auth.http.body import check_media_type, parse, parse_form
from manifest_auth.http.cookies import (
    DEVICE,
    SESSION,
    check_same_site,
    device_cookie,
    flow_cookie,
    host_cookie,
    host_name,
    public_origin,
    session_cookie,
)
from manifest_auth.http.head import Head
from manifest_auth.http.routes import (
    AUTH_LIMIT,
    BODY_LIMIT,
    SAML_LIMIT,
    Access,
    Call,
    Page,
    Paging,
    Route,
    RouteTable,
)
from manifest_auth.http.wire import Items, Time, TokensBeside, Wire, or_none
