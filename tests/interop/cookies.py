"""A browser's cookie jar, which decides where each cookie is sent.

The decision depends on SameSite, Path, Secure, and the ``__Host-`` prefix (RFC 6265bis).

A site is a scheme and host, and a cookie belongs to a host; ports are ignored in both.
"""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass
from urllib.parse import urlsplit


def origin_of(url: str) -> str:
    """Scheme, host, and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def site_of(url: str) -> str:
    """Scheme and host, since no host here is a subdomain of another."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}"


@dataclass(frozen=True)
class Cookie:
    """A stored cookie. ``same_site`` is strict, lax, or none; the default is lax."""

    name: str
    value: str
    path: str
    same_site: str
    secure: bool
    http_only: bool


class Jar:
    """The cookies of every host."""

    def __init__(self) -> None:
        self._stored: dict[tuple[str, str, str], Cookie] = {}

    def store(self, url: str, lines: list[str]) -> None:
        """Parse the Set-Cookie lines of a response as a browser does."""
        for line in lines:
            pair, *attributes = [part.strip() for part in line.split(";")]
            name, _, value = pair.partition("=")
            given = {key.lower(): its.strip() for key, _, its in (each.partition("=") for each in attributes)}
            path = given.get("path", "")
            if not path.startswith("/"):
                path = urlsplit(url).path.rpartition("/")[0] or "/"
            same_site = given.get("samesite", "lax").lower()
            secure = "secure" in given
            if same_site == "none" and not secure:
                continue
            if name.startswith("__Host-") and not (secure and path == "/" and "domain" not in given):
                continue
            key = (_host(url), name, path)
            if _is_over(given):
                self._stored.pop(key, None)
            else:
                self._stored[key] = Cookie(name, value, path, same_site, secure, "httponly" in given)

    def sent(self, method: str, url: str, *, same: bool) -> str:
        """The Cookie header of a navigation. ``same`` means that no other site is involved."""
        asked = urlsplit(url).path or "/"
        trusted = url.startswith("https:") or _host(url) in ("127.0.0.1", "localhost")
        chosen = []
        for (host, _, _), cookie in self._stored.items():
            allowed = same or cookie.same_site == "none" or (cookie.same_site == "lax" and method == "GET")
            inside = asked == cookie.path or asked.startswith(cookie.path.rstrip("/") + "/")
            if host == _host(url) and allowed and inside and (trusted or not cookie.secure):
                chosen.append(cookie)
        chosen.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in chosen)

    def of(self, url: str) -> dict[str, Cookie]:
        """All cookies stored for a URL's host, by name."""
        return {name: cookie for (host, name, _), cookie in self._stored.items() if host == _host(url)}

    def forget(self, url: str) -> None:
        """Delete the cookies of a URL's host."""
        self._stored = {key: cookie for key, cookie in self._stored.items() if key[0] != _host(url)}


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _is_over(given: dict[str, str]) -> bool:
    if "max-age" in given:
        return int(given["max-age"]) <= 0
    if "expires" in given:
        return email.utils.parsedate_to_datetime(given["expires"]).timestamp() <= time.time()
    return False
