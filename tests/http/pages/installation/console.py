"""Actions of a system admin on the pages of the installation."""

from __future__ import annotations

from tests.support.application import PASSWORD
from tests.support.visitor import Page, Visitor

TEN_MINUTES = 600


async def act(visitor: Visitor, path: str, at: str = "", **typed: str) -> Page:
    """Submit the form on a page that has these fields. ``at`` is the page that shows the form, if it's a different
    one."""
    page = await visitor.get(at or path)
    [form, *_] = [one for one in page.tree.xpath("//form[@method='post']") if one.get("action") == path]
    token = form.xpath(".//input[@name='form']")[0].get("value")
    return await visitor.shown(await visitor.post(path, {"form": token} | typed))


PROOF = "/installation/reauthenticate"


async def asked(visitor: Visitor, page: Page) -> Page:
    """The page that asks for the password again after a form was submitted."""
    assert (page.status, page.location.partition("?")[0]) == (303, PROOF), page.reply.text
    return await visitor.get(page.location)


async def prove(visitor: Visitor, page: Page, password: str = PASSWORD, otp: str = "") -> Page:
    """Complete that page; returns the response to the held form."""
    shown = await asked(visitor, page)
    assert shown.heading == "Confirm that it's you"
    done = await visitor.submit(shown, PROOF, proofPassword=password, proofOtp=otp)
    assert done.status == 303, done.reply.text
    return await visitor.shown(await visitor.get(done.location, Sec_Fetch_Site="same-origin"))
