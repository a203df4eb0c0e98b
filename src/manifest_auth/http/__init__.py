"""HTTP: the pipeline of requests, identification of callers, bodies, cookies, headers, routes, OpenAPI, uvicorn.

Owns the format of every request and response. Doesn't know what a route does, and checks only the permission that the
route names.
"""

from manifest_auth.http.answers import NO_STORE, Answer, Header, ok, page, redirect, refusal_headers, refuse, stream
from manifest_auth.http.cookies import (
    SESSION,
    check_same_site,
    flow_cookie,
    host_cookie,
    host_name,
    public_origin,
    session_cookie,
)
from manifest_auth.http.request import Head, check_media_type, parse, parse_form
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
    Who,
)
from manifest_auth.text.models import Items, Time, TopLevelTokens, Wire, items_of, or_none
