"""Second factors on pages: a browser that types a password, and what the page after it asks for."""

from __future__ import annotations

from tests.support.application import PASSWORD
from tests.support.second_factors import Person
from tests.support.visitor import Page, Visitor

FACTOR, ENROL, CODES, DONE = "/sign-in/second-factor", "/sign-in/enrol", "/sign-in/codes", "/sign-in/done"


async def password_typed(of: Person, query: str = "", visitor: Visitor | None = None) -> tuple[Visitor, Page]:
    """The page to which a right password leads. ``query``: more of the sign-in's address."""
    visitor = visitor or Visitor(of.app)
    page = await visitor.get(f"/sign-in?client={of.client}{query}")
    page = await visitor.submit(page, "/sign-in/password", email=of.email, password=PASSWORD)
    return visitor, await visitor.follow(page)


async def person_enrolled(of: Person) -> Person:
    """The same, with an authenticator app; the clock goes on, so that the next code is a new one."""
    await of.enrol_at_sign_in()
    of.app.clock.advance(30)
    return of


def code(of: Person, steps: int = 0) -> str:
    assert of.phone is not None
    return of.phone.code(steps)
