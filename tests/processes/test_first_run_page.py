"""With a new server, a browser, and the code from the terminal, the first system admin is created on a page, once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pyotp
import pytest

from tests.support.application import PASSWORD, Reply
from tests.support.server import Server, launch, setup_code, stop, wait_for
from tests.support.visitor import Page, Visitor

SETUP = "/installation/setup"
ACCOUNT = "/installation/account"
OTHER = "ABCD-EFGH-IJKL-MNOP"


@dataclass
class Wire:
    """A real server, for requests by :class:`Visitor`."""

    server: Server
    client: httpx2.AsyncClient

    @property
    def public_url(self) -> str:
        return self.server.base

    async def send(self, method: str, path: str, *, headers: Any = None, content: bytes | None = None) -> Reply:
        answer = await self.client.request(method, self.server.base + path, headers=headers, content=content)
        self.client.cookies.clear()
        return Reply(answer.status_code, answer.headers, None, answer.text)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = launch(tmp_path_factory.mktemp("fresh"), demo=False)
    try:
        yield wait_for(running)
    finally:
        stop(running)


async def set_up(visitor: Visitor, **typed: str) -> Page:
    return await visitor.post(SETUP, (await visitor.get(SETUP)).form(SETUP).fields | typed)


async def confirms(visitor: Visitor, offer: Page) -> None:
    """Confirm the displayed secret with the form below it."""
    form = offer.form(ACCOUNT, act="confirm").fields
    uri = str(offer.tree.xpath("//a[starts-with(@href, 'otpauth:')]/@href")[0])
    assert offer.tree.xpath("count(//*[local-name()='svg'][@role='img'])") == 1
    assert f"secret={form['secret']}" in uri
    wrong = await visitor.post(ACCOUNT, form | {"factorOtp": "12345"})
    assert (wrong.status, wrong.form(ACCOUNT, act="confirm").fields["secret"]) == (400, form["secret"])
    code = pyotp.TOTP(form["secret"]).now()
    done = await visitor.follow(await visitor.post(ACCOUNT, form | {"factorOtp": code}))
    assert done.status == 200
    assert "Your recovery codes" in done.text


async def test_who_reads_the_terminal_makes_the_first_admin_and_no_one_else(server: Server) -> None:
    code = setup_code(server)
    assert f"{server.base}{SETUP}" in server.output.read_text()
    async with httpx2.AsyncClient(timeout=60) as client:
        visitor = Visitor(Wire(server, client))  # type: ignore[arg-type]
        assert (await visitor.get("/")).location == SETUP
        page = await visitor.follow(await visitor.get("/installation"))
        assert page.heading == "Set up this server"

        wrong = await set_up(visitor, code=OTHER, username="ada", password=PASSWORD)
        assert (wrong.status, wrong.problems) == (
            401,
            ["The setup code is incorrect or expired. Run `manifest-auth setup-code` to get a new one"],
        )
        fields = wrong.form(SETUP).fields
        assert (fields["code"], fields["username"], fields["password"]) == ("", "ada", "")
        short = await set_up(visitor, code=code, username="ada", password="short")
        assert (short.status, short.problems) == (400, ["Must have at least 15 characters"])
        nameless = await set_up(visitor, code=code, username=" ", password=PASSWORD)
        assert (nameless.status, len(nameless.problems)) == (400, 1)
        named = await set_up(visitor, code=code, username="ada-kestrel-harbor", password="ada-kestrel-harbor")
        assert named.status == 400

        forms = [(await visitor.get(SETUP)).form(SETUP).fields for _ in range(5)]
        typed = {"code": code.replace("-", " ").lower(), "password": PASSWORD}
        at_once = await asyncio.gather(
            *(visitor.post(SETUP, form | typed | {"username": f"ada{number}"}) for number, form in enumerate(forms))
        )
        [made] = [page for page in at_once if page.status == 303]
        assert {page.status for page in at_once if page is not made} <= {404, 429}
        assert made.location == "/installation"
        checklist = await visitor.follow(made)
        assert "You're the first system admin" in checklist.text
        assert checklist.links()["Add a second factor to your account"] == ACCOUNT
        add = (await visitor.get(ACCOUNT)).form(ACCOUNT, act="add").fields
        await confirms(visitor, await visitor.follow(await visitor.post(ACCOUNT, add)))

        assert (await Visitor(Wire(server, client)).get(SETUP)).status == 404  # type: ignore[arg-type]
        later = await visitor.post(SETUP, forms[0] | typed | {"username": "eve"})
        assert (await visitor.follow(later)).status in (403, 404)
        assert (await Visitor(Wire(server, client)).get("/")).location == "/sign-in"  # type: ignore[arg-type]
        assert (await visitor.get("/installation/sign-in")).location == "/installation"
    assert not [line for line in server.output.read_text().splitlines() if line.startswith("{") and code in line]
