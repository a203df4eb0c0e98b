"""HTTP as the tests speak it: plain, to the loopback address, past any proxy of the machine, without redirects."""

from __future__ import annotations

import httpx2

#: Loading the machine's certificates takes longer than most requests here, and nothing here speaks TLS.
_OPTIONS = {"verify": False, "trust_env": False}
_shared = httpx2.Client(verify=False, trust_env=False, timeout=30)


def client(base_url: str = "") -> httpx2.Client:
    """A client that keeps cookies."""
    return httpx2.Client(base_url=base_url, verify=False, trust_env=False, timeout=30)


def send(method: str, url: str, **options: object) -> httpx2.Response:
    """One request of nobody in particular: no cookies come or go."""
    _shared.cookies.clear()
    return _shared.request(method, url, **options)  # type: ignore[arg-type]
