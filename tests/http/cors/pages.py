"""Requests from pages of four origins, and what a browser lets them read (Fetch standard, section 3.3)."""

from __future__ import annotations

from tests.support.application import App, Reply

LISTED = "https://app.acme.example"
THEIRS = "https://app.globex.example"  # listed by the other client
FOREIGN = "https://evil.example"
SIGN_IN, ME, REFRESH = (f"/api/client/auth/{name}" for name in ("sign-in", "me", "refresh"))
GRAPHQL = "/api/client/graphql"
EXPOSED = "X-Request-ID, Retry-After, WWW-Authenticate, X-License-Warning"


def page(origin: str, **headers: str) -> dict[str, str]:
    """Headers of a request by a page of that origin; ``client`` becomes X-Client-ID."""
    client = headers.pop("client", "")
    return {"Origin": origin, **headers, **({"X-Client-ID": client} if client else {})}


async def asked(app: App, path: str, method: str, origin: str, **headers: str) -> Reply:
    """Send a preflight."""
    wanted = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return await app.send("OPTIONS", path, headers={**wanted, **headers})


def cors_headers(reply: Reply) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name.startswith("access-control-")}


def is_readable(reply: Reply, origin: str) -> bool:
    """Whether a page of that origin can read the response; checks that it can read all or nothing."""
    found = cors_headers(reply)
    assert "Origin" in reply.headers["vary"]
    if not found:
        return False
    assert found == {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": EXPOSED,
    }
    return True
