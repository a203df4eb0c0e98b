"""``python -m bench.bare_server PORT``: the smallest possible HTTP server, under the same uvicorn settings as ours.

``/me`` is a bare Starlette route that returns as many bytes as our ``me``; ``/hello`` does the same without Starlette.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

ME = {
    "success": True,
    "data": {
        "user": {"id": 17, "email": "user17@bench.example.com", "firstName": "User", "lastName": "17",
                 "roles": ["Operator"], "clientId": "bench", "title": ""},
        "client": {"id": 1, "identifier": "bench", "name": "Bench"},
        "roles": ["Operator"],
        "permissions": ["users:read", "templates:read", "jobs:read", "jobs:execute"],
        "session": {"id": "x" * 22, "method": "password", "signedInAt": "2026-11-25T02:00:00.000Z", "by": "token"},
    },
}  # fmt: skip
_BODY = JSONResponse(ME).body
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_BODY))],
}
_END = {"type": "http.response.body", "body": _BODY}


async def _me(_request: Request) -> JSONResponse:
    return JSONResponse(ME)


_starlette = Starlette(routes=[Route("/me", _me)])


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http" and scope["path"] == "/hello":
        await send(_START)
        await send(_END)
    else:
        await _starlette(scope, receive, send)


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        backlog=2048,
    )
