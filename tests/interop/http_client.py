"""The plain HTTP client of the tests, for the loopback address, without proxies and redirects."""

from __future__ import annotations

from typing import Any

import httpx2


def client(base_url: str = "") -> httpx2.Client:
    """A client that keeps cookies, but loads no certificates, which would take longer than most requests here."""
    return httpx2.Client(base_url=base_url, verify=False, trust_env=False, timeout=60)


_shared = client()


def send(method: str, url: str, **options: Any) -> httpx2.Response:
    """Send one request without cookies."""
    _shared.cookies.clear()
    return _shared.request(method, url, **options)
