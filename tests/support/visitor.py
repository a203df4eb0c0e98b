"""A browser without scripts, over the application in this process.

It keeps cookies, reads pages, and posts their forms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode

from lxml import html

from tests.support.application import PASSWORD, App, Reply


class Form(NamedTuple):
    """A form on a page. ``fields`` are names and values from the page; ``buttons`` are the texts of its buttons."""

    action: str
    fields: dict[str, str]
    buttons: tuple[str, ...]


@dataclass
class Page:
    """A response, parsed as a page."""

    reply: Reply

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def location(self) -> str:
        return str(self.reply.headers["location"])

    @property
    def tree(self) -> Any:
        return html.fromstring(self.reply.text)

    @property
    def title(self) -> str:
        return str(self.tree.findtext(".//title"))

    @property
    def heading(self) -> str:
        [heading] = self.tree.xpath("//h1")
        return str(heading.text_content()).strip()

    @property
    def text(self) -> str:
        return " ".join(self.tree.find("body").text_content().split())

    @property
    def problems(self) -> list[str]:
        """The messages of the error summary, in order, without the labels of the fields."""
        items = (item.xpath(".//text()[not(parent::strong)]") for item in self.tree.xpath("//*[@role='alert']//li"))
        return [" ".join("".join(texts).split()).removeprefix("– ") for texts in items]

    def links(self) -> dict[str, str]:
        """Addresses, by link text."""
        return {" ".join(a.text_content().split()): a.get("href") for a in self.tree.xpath("//main//a")}

    def form(self, action: str, **holds: str) -> Form:
        """The form on the page that posts to ``action``; if there are several, the one with these field values."""
        posting = [self._form(form) for form in self.tree.xpath("//form[@method='post']")]
        [found] = [form for form in posting if form.action == action and holds.items() <= form.fields.items()]
        return found

    def forms(self) -> list[Form]:
        """All forms of the page."""
        return [self._form(form) for form in self.tree.xpath("//form")]

    def _form(self, found: Any) -> Form:
        action = found.get("action")
        fields = {
            each.get("name"): (each.text if each.tag == "textarea" else each.value) or ""
            for each in found.xpath(".//input|.//textarea|.//select")
            if each.get("type") not in ("checkbox", "radio", "file") or each.get("checked") is not None
        }
        for each in found.xpath(".//select"):
            fields[each.get("name")] = each.xpath("string(option[@selected]/@value)") or each.xpath(
                "string(option/@value)"
            )
        return Form(action, fields, tuple(" ".join(b.text_content().split()) for b in found.xpath(".//button")))


@dataclass
class Visitor:
    """``accept`` applies to all requests, and ``headers`` are sent with each of them."""

    app: App
    cookies: dict[str, str] = field(default_factory=dict)
    language: str = "en"
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, method: str, path: str, *, content: bytes = b"", **headers: str) -> Page:
        """Send any request; use underscores instead of hyphens in a header's name."""
        return await self._send(method, path, content, headers)

    async def _send(self, method: str, path: str, content: bytes, headers: dict[str, str]) -> Page:
        lines = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"), ("Accept-Language", self.language)]
        lines += list(self.headers.items())
        lines += [(name.replace("_", "-"), value) for name, value in headers.items() if value]
        if self.cookies:
            lines.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items())))
        reply = await self.app.send(method, path, headers=lines, content=content or None)
        for line in reply.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if "; Path=/;" not in line:  # a cookie for the API only
                continue
            if "; Max-Age=0;" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return Page(reply)

    async def get(self, path: str, **headers: str) -> Page:
        return await self._send("GET", path, b"", headers)

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> Page:
        """Post a form, as a browser does from our own page; a header of ``""`` is omitted."""
        ours = {
            "Content_Type": "application/x-www-form-urlencoded",
            "Origin": self.app.public_url.rstrip("/"),
            "Sec_Fetch_Site": "same-origin",
        }
        return await self._send("POST", path, urlencode(fields).encode(), ours | headers)

    async def upload(self, path: str, fields: dict[str, str], name: str, file: bytes) -> Page:
        """Post a form that contains a file, as a browser does (RFC 7578)."""
        of = [f'--=file\r\nContent-Disposition: form-data; name="{each}"\r\n\r\n{fields[each]}\r\n' for each in fields]
        head = (
            f'--=file\r\nContent-Disposition: form-data; name="{name}"; filename="a.txt"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = "".join(of).encode() + head.encode() + file + b"\r\n--=file--\r\n"
        ours = {"Origin": self.app.public_url.rstrip("/"), "Sec_Fetch_Site": "same-origin"}
        return await self.send("POST", path, content=body, Content_Type="multipart/form-data; boundary==file", **ours)

    async def submit(self, page: Page, action: str, holds: dict[str, str] | None = None, **typed: str) -> Page:
        """Submit the form on a page that posts to ``action`` and has these values, with the typed text; returns the
        page that follows. Confirms the action if asked."""
        return await self.shown(await self.post(action, page.form(action, **(holds or {})).fields | typed))

    async def shown(self, page: Page) -> Page:
        """The page that a response leads to, if it shows a secret; confirms major actions first."""
        if page.status == 200 and (asked := [one for one in page.forms() if one.fields.get("confirmed") == "yes"]):
            return await self.shown(await self.post(asked[0].action, asked[0].fields))
        return await self.get(page.location) if page.status == 303 and "shown=" in page.location else page

    async def follow(self, page: Page) -> Page:
        """Follow a redirect to a local URL."""
        while page.status in (302, 303) and page.location.startswith(("/", self.app.public_url)):
            there = page.location.removeprefix(self.app.public_url.rstrip("/"))
            page = await self.get(there, Sec_Fetch_Site="same-origin")
        return page

    async def signed_in(self, email: str = "author@acme.example") -> Visitor:
        """Sign in through the API, as an application does."""
        reply = await self.app.sign_in(email, PASSWORD)
        self.cookies["session"] = reply.cookie("session")
        return self

    async def system_admin(self, username: str = "root", password: str = PASSWORD) -> Visitor:
        """Sign in at the pages of the installation, as a person does."""
        page = await self.get("/installation/sign-in")
        page = await self.submit(page, "/installation/sign-in", username=username, password=password)
        assert (page.status, page.location) == (303, "/installation"), page.reply.text
        return self
