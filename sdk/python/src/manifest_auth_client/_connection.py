"""Connection to the server: its address, the client that calls are for, time limits, and certificates."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2

_context = cache(httpx2.create_ssl_context)  # reading all certificates takes a while


@dataclass(frozen=True)
class Connection:
    """The server's address and connection, for the classes of this library.

    ``base_url``: its public address. ``client``: identifier of the client that sign-ins are for. ``timeout``: seconds.
    ``verify``: a context with certificates of one's own. ``transport`` takes the place of the network, in tests.

    No call follows a redirect, since passwords and refresh tokens are in their bodies, and no cookie is kept: the
    session cookie of one sign-in would end that session at the next.

    >>> Connection("https://auth.example.com/").url("/healthz")
    'https://auth.example.com/healthz'
    """

    base_url: str
    client: str | None = None
    timeout: float = 30.0
    verify: ssl.SSLContext | None = None
    transport: httpx2.MockTransport | None = None

    def __post_init__(self) -> None:
        url = httpx2.URL(self.base_url)
        if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment or url.userinfo:
            raise ValueError("base_url is the public address of the server, like https://auth.example.com")
        object.__setattr__(self, "base_url", str(url).rstrip("/"))

    def url(self, path: str) -> str:
        """The address of a path of the server."""
        return f"{self.base_url}{path}"

    def open(self) -> httpx2.Client:
        """A client for calls of the server; the caller closes it."""
        return httpx2.Client(**self._options())

    def open_async(self) -> httpx2.AsyncClient:
        """The same, for tasks."""
        return httpx2.AsyncClient(**self._options())

    def _options(self) -> dict[str, Any]:
        return {
            "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            "follow_redirects": False,
            "headers": {"User-Agent": "manifest-auth-client", **({"X-Client-ID": self.client} if self.client else {})},
            "timeout": self.timeout,
            "transport": self.transport,
            "verify": (self.verify or _context()) if self.base_url.startswith("https:") else False,
        }
