"""Texts that would make an element or a script where they are not escaped, and addresses that lead away."""

from __future__ import annotations

import itertools
from urllib.parse import urljoin, urlsplit

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
#: Not one of them is on the list of a client, or a page of ours that a sign-in may end at.
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
#: Where the application of a test believes to be.
ORIGIN = "http://127.0.0.1:8080"
_ELEMENTS = {"base", "iframe", "style", "object", "embed", "math", "b", "i", "frame", "xss"}


def faults(page: Page) -> list[str]:
    """What a page has in it that is not from a template of ours: elements, handlers, scripts, addresses elsewhere."""
    found = []
    for each in page.tree.iter():
        if not isinstance(each.tag, str):
            continue
        if each.tag in _ELEMENTS or (each.tag == "script" and (each.text or not _is_asset(each.get("src", "")))):
            found.append(each.tag)
        if each.tag == "img" and not _is_asset(each.get("src", "")):
            found.append("img")
        if each.tag == "meta" and each.get("http-equiv"):
            found.append("meta")
        found += [name for name in each.attrib if name.startswith("on") or name in ("style", "srcdoc")]
        for name in ("href", "src", "action", "formaction"):
            if each.get(name) and not is_here(each.get(name), ORIGIN):
                found.append(f"{name}={each.get(name)}")
    return found


def _is_asset(address: str) -> bool:
    return address.startswith("/assets/")


def is_here(address: str, base: str) -> bool:
    """Whether a browser stays at this server when it goes there."""
    whole = urlsplit(urljoin(base, address))
    return "\\" not in address and (whole.scheme, whole.netloc) == urlsplit(base)[:2]
