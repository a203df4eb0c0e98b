"""A headless browser for tests, with cookies, redirects, and forms.

It takes one step at a time, so that a test can stop before any step.

It sends what a browser sends: cookies only where SameSite and Path allow, ``Origin`` of the page that posts (null if
that page's Referrer-Policy hides it), and ``Sec-Fetch-Site`` for the whole chain of redirects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx2

from tests.interop import http_client
from tests.interop.cookies import Jar, origin_of, site_of
from tests.interop.html_page import Form, Page

_REDIRECTS = (301, 302, 303, 307, 308)
_STEPS = 30
PAGES = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
JSON = "application/json"


@dataclass(frozen=True)
class Step:
    """A request that a browser is about to send. ``initiator`` is the origin of the page that caused it, or empty."""

    method: str
    url: str
    form: tuple[tuple[str, str], ...] = ()
    initiator: str = ""
    origin: str = ""
    crossed: bool = False

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the address."""
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    @property
    def fields(self) -> dict[str, str]:
        """The fields of the form that is posted."""
        return dict(self.form)

    def with_query(self, **changed: str) -> Self:
        """The same step with other parameters; an empty one is removed."""
        kept = {name: value for name, value in {**self.query, **changed}.items() if value}
        return replace(self, url=f"{self.url.partition('?')[0]}?{urlencode(kept)}")

    def with_fields(self, **changed: str) -> Self:
        """The same step with other fields; an empty one is removed."""
        return replace(self, form=tuple((name, value) for name, value in {**self.fields, **changed}.items() if value))


@dataclass(frozen=True)
class Shown:
    """A response, as shown in the browser."""

    step: Step
    status: int
    headers: httpx2.Headers
    text: str

    @property
    def url(self) -> str:
        return self.step.url

    @property
    def page(self) -> Page:
        """The forms and links of the page."""
        return Page.of(self.text)

    def to(self, address: str) -> Step:
        """Follow a link on the page."""
        return Step("GET", urljoin(self.url, address), initiator=origin_of(self.url))

    def send(self, form: Form, **filled: str) -> Step:
        """Submit a form on the page, with some fields filled in."""
        target, fields = urljoin(self.url, form.action or self.url), {**form.fields, **filled}
        mine = origin_of(self.url)
        if form.method != "post":
            return Step("GET", f"{target.partition('?')[0]}?{urlencode(fields)}", initiator=mine)
        policy = self.headers.get("referrer-policy", "")
        hidden = policy == "no-referrer" or (policy == "same-origin" and origin_of(target) != mine)
        return Step("POST", target, tuple(fields.items()), initiator=mine, origin="null" if hidden else mine)


class Stuck(AssertionError):
    """The page doesn't lead anywhere."""


class Browser:
    """One person's browser.

    ``proxies`` are origins that a proxy serves, with the address of the server behind it. The proxy terminates TLS.
    """

    def __init__(self, proxies: Mapping[str, str] | None = None) -> None:
        self.jar = Jar()
        self._proxies = proxies or {}
        self.trail: list[str] = []
        self._http = http_client.client()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def take(self, step: Step, *, accept: str = PAGES) -> Shown:
        """Send one request, without following anything."""
        self._http.cookies.clear()
        headers = {
            "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "Accept": accept,
            "Sec-Fetch-Dest": "document",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Site": self._fetch_site(step),
        }
        if cookies := self.jar.sent(step.method, step.url, same=self._fetch_site(step) != "cross-site"):
            headers["Cookie"] = cookies
        if step.method == "POST":
            headers["Origin"] = step.origin or "null"
        data = dict(step.form) if step.method == "POST" else None
        origin = origin_of(step.url)
        url = self._proxies.get(origin, origin) + step.url[len(origin) :]
        answer = self._http.request(step.method, url, data=data, headers={**headers, "Host": urlsplit(origin).netloc})
        self.jar.store(step.url, answer.headers.get_list("set-cookie"))
        self.trail.append(f"{step.method} {step.url.partition('?')[0]} {answer.status_code}")
        return Shown(step, answer.status_code, answer.headers, answer.text)

    def walk(self, step: Step, *until: str) -> Shown | Step:
        """Follow redirects, and forms that submit themselves, to a page or to the first step that ``until`` matches.

        ``until`` are URL prefixes. The matching step isn't taken.
        """
        for _ in range(_STEPS):
            if any(step.url.startswith(address) for address in until):
                return step
            shown = self.take(step)
            following = self.onward(shown)
            if following is None:
                return shown
            step = following
        raise Stuck(f"no end after {_STEPS} steps: {self.trail}")

    def onward_from(self, step: Step) -> Step:
        """Take a step that must lead elsewhere automatically; returns the next step."""
        shown = self.take(step)
        following = self.onward(shown)
        if following is None:
            raise Stuck(f"{shown.url}: {shown.status} {shown.text[:1000]}")
        return following

    def onward(self, shown: Shown) -> Step | None:
        """The step that the browser takes automatically: a redirect, or a form that submits itself."""
        if shown.status in _REDIRECTS:
            return self._redirected(shown)
        forms = shown.page.forms if shown.status == 200 else []
        if len(forms) == 1 and {"SAMLRequest", "SAMLResponse"} & set(forms[0].fields) and forms[0].needs_no_one:
            return shown.send(forms[0])
        return None

    def _redirected(self, shown: Shown) -> Step:
        before, target = shown.step, urljoin(shown.url, shown.headers["location"])
        crossed = before.crossed or self._fetch_site(before) == "cross-site"
        if shown.status in (307, 308):
            # A redirect to another origin hides the form's origin (Fetch, HTTP-redirect fetch).
            origin = before.origin if origin_of(target) == origin_of(shown.url) else "null"
            return replace(before, url=target, crossed=crossed, origin=origin)
        return Step("GET", target, initiator=before.initiator or origin_of(shown.url), crossed=crossed)

    def _fetch_site(self, step: Step) -> str:
        if not step.initiator:
            return "none"
        if step.crossed or site_of(step.initiator) != site_of(step.url):
            return "cross-site"
        return "same-origin" if step.initiator == origin_of(step.url) else "same-site"
