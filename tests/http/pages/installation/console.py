"""Acts of a system admin on the pages of the installation."""

from __future__ import annotations

from tests.support.application import PASSWORD
from tests.support.visitor import Page, Visitor

TEN_MINUTES = 600


async def act(visitor: Visitor, path: str, at: str = "", **typed: str) -> Page:
    """Posts one of the forms of a page with that in its fields, where the page has several. ``at``: the page that shows
    it, if that is another one."""
    page = await visitor.get(at or path)
    [form, *_] = [one for one in page.tree.xpath("//form[@method='post']") if one.get("action") == path]
    token = form.xpath(".//input[@name='form']")[0].get("value")
    return await visitor.post(path, {"form": token} | typed)


async def prove(visitor: Visitor, page: Page, password: str = PASSWORD, otp: str = "") -> Page:
    """Answers a page that asks for the password again."""
    assert (page.status, page.heading) == (403, "Confirm that it is you")
    [form] = page.tree.xpath("//main//form")
    action = str(form.get("action"))
    return await visitor.post(action, page.form(action).fields | {"proofPassword": password, "proofOtp": otp})
