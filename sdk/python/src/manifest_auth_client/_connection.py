"""The connection to the server: its address, the client to call, timeouts, and certificates."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2

_context = cache(httpx2.create_ssl_context)  # loading all certificates takes a while


@dataclass(frozen=True)
class Connection:
    """The server's address and connection, for the classes of this library.

    ``base_url`` is the server's public address, and ``client`` is the identifier of the client for sign-ins.
    ``timeout`` is in seconds. Pass a context to ``verify`` to use your own certificates. In tests, ``transport``
    replaces the network.

    Calls never follow redirects, because their bodies contain passwords and refresh tokens. They don't keep cookies
    either, because the session cookie of one sign-in would end that session at the next one.

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
        """Returns the URL of a path on the server."""
        return f"{self.base_url}{path}"

    def open(self) -> httpx2.Client:
        """Creates an HTTP client for the server. The caller closes it."""
        return httpx2.Client(**self._options())

    def open_async(self) -> httpx2.AsyncClient:
        """Creates an async HTTP client for the server. The caller closes it."""
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
