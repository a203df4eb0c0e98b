"""Texts that would create an element or a script if unescaped, and URLs that lead to other sites."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin, urlsplit

from lxml import etree

from tests.support.visitor import Page

_OPEN = [
    "",
    '"',
    "'",
    ">",
    '">',
    "'>",
    "</title>",
    "</textarea>",
    "</script>",
    "-->",
    "</style>",
    "]]>",
    '\\"',
    "`",
    "&quot;",
]
_INSIDE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>",
    " onfocus=alert(1) autofocus ", " style=color:red ", "<b>", "<!--", "<a href=javascript:alert(1)>",
    "{{ 7 * 7 }}", "{% raw %}", "%(x)s %s %d", "%",
    "<meta http-equiv=refresh content=0>", "<base href=//evil.example>", "<form action=//evil.example>", "&lt;b&gt;",
    "<input name=form value=x>", "javascript:alert(1)", "<ſcript>", "＜script＞",
]  # fmt: skip
STRINGS = [before + inside for before, inside in itertools.product(_OPEN, _INSIDE)]
#: URLs that aren't on a client's list, and aren't pages where a sign-in can end.
EVIL = [
    "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\\/evil.example",
    "https:evil.example", "https:/evil.example", "https:///evil.example", "http://evil.example",
    "https://evil.example", "javascript:alert(1)", "data:text/html,x", "//evil.example/account",
    "/account//evil.example", "/account/..//evil.example", "/account/../x", "/account/%2e%2e/x",
    "/%2F/evil.example", "/account%2F..", "/account\\..", "/account\t", "/account\n", "\t/account", " /account",
    "/account ", "/account#x", "/account?x=/../", "/account?x=//evil.example", "/accountant", "/accounts",
    "/consoles", "/api/client/auth/me", "/sign-in", "/sign-out", "/", "account", "./account", "../account",
    "/ACCOUNT", "/Account", "/account;x", "/account,x", "/account@evil.example", "/account:80", "@evil.example",
    "?x", "#x", "/.account", "/account/é", "/account/\x00", "/account/\u2028", "https://app.acme.example",
    "https://app.acme.example/", "https://app.acme.example/in/", "https://app.acme.example/In",
    "https://APP.acme.example/in", "https://app.acme.example:443/in", "https://app.acme.example/in#x",
    "https://app.acme.example/in?", "http://app.acme.example/in", "https://app.acme.example/in%20",
    "https://app.acme.example.evil.example/in", "https://app.acme.example@evil.example/in", "com.acme.app:/other",
    "com.acme.app://in", "/account" + "/a" * 3500,
]  # fmt: skip
#: The configured address of a test's application.
ORIGIN = "http://127.0.0.1:8080"
_ELEMENTS = {"base", "iframe", "style", "object", "embed", "math", "b", "i", "frame", "xss"}
_ADDRESSES = ("href", "src", "action", "formaction")


def faults(page: Page) -> list[str]:
    """The parts of a page that don't come from a template: elements, handlers, scripts, and external addresses."""
    return list(_faults(page.reply.text))


@lru_cache(256)
def _faults(text: str) -> tuple[str, ...]:
    """Faults of a page's text; an identical text isn't parsed again."""
    judge: Any = _Judge()
    found: Any = etree.fromstring(text, etree.HTMLParser(target=judge))
    return tuple(found)


class _Judge:
    """Events of :class:`lxml.etree.HTMLParser` while it parses a page, which takes a quarter of the time of walking a
    tree."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._inside = ""

    def start(self, tag: Any, attributes: Mapping[Any, Any]) -> None:
        self._inside = tag
        if tag in _ELEMENTS or (tag in ("script", "img") and not _is_asset(attributes.get("src", ""))):
            self._found.append(tag)
        if tag == "meta" and "http-equiv" in attributes:
            self._found.append(tag)
        for name, value in attributes.items():
            if name.startswith("on") or name in ("style", "srcdoc"):
                self._found.append(name)
            elif name in _ADDRESSES and value and not is_here(value, ORIGIN):
                self._found.append(f"{name}={value}")

    def end(self, tag: Any) -> None:
        self._inside = ""

    def data(self, data: Any) -> None:
        if self._inside == "script":
            self._found.append(f"script {data}")

    def close(self) -> list[str]:
        return self._found


def _is_asset(address: str) -> bool:
    return address.startswith("/assets/")


@lru_cache(1024)
def is_here(address: str, base: str) -> bool:
    """Whether a browser that opens the address stays at this server."""
    whole = urlsplit(urljoin(base, address))
    return "\\" not in address and (whole.scheme, whole.netloc) == urlsplit(base)[:2]
