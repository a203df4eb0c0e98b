"""A failed response of our server, as a page or as JSON, with its message and request."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from httpx2 import Headers
from lxml import etree, html

from tests.interop.browser import Shown, Step

#: The error code for programs, by the heading of the error page.
HEADINGS = {
    "SSO_FAILED": r"Sign-in (through \S+ )?failed",
    "PROVIDER_UNAVAILABLE": "Your organization's sign-in service isn't responding",
    "ACCOUNT_DISABLED": "This (account is deactivated|organization is suspended)",
}


class Failure(NamedTuple):
    """``said`` is the page's heading or the JSON's message; ``text`` is the page's visible text or the JSON."""

    code: str
    said: str
    text: str
    request_id: str


def failure(headers: Headers, text: str) -> Failure:
    """Parse the response according to its media type."""
    request_id = headers["x-request-id"]
    if headers["content-type"].startswith("application/json"):
        error = json.loads(text)["error"]
        assert error["requestId"] == request_id
        return Failure(error["code"], error["message"], text, request_id)
    assert headers["content-type"] == "text/html; charset=utf-8", text
    [main] = html.fromstring(text).iter("main")
    [heading] = [_words(each) for each in main.iter("h1")]
    [code] = [code for code, pattern in HEADINGS.items() if re.fullmatch(pattern, heading)] or [f"none: {heading}"]
    [shown] = [_words(each) for each in main.iter("code")]
    assert shown == request_id
    return Failure(code, heading, _words(main), request_id)


def refused(came_to: Shown | Step, code: str = "SSO_FAILED", status: int = 401) -> Failure:
    """The error page that the browser shows."""
    assert isinstance(came_to, Shown), f"went on to {came_to.url}"
    assert came_to.headers["content-type"] == "text/html; charset=utf-8", came_to.text
    found = failure(came_to.headers, came_to.text)
    assert (came_to.status, found.code) == (status, code), came_to.text
    assert not [line for line in came_to.headers.get_list("set-cookie") if line.startswith("session=")]
    return found


def _words(element: etree._Element) -> str:
    return " ".join("".join(map(str, element.itertext())).split())
