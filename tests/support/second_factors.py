"""Users with second factors: who enrolls one, signs in with it, by the API or on pages, and answers a challenge."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

from tests.support.accounts import new_client, new_user, settle, trail
from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.system_admins import Phone
from tests.support.visitor import Page, Visitor

SIGN_IN = "/api/client/auth/sign-in"
REQUIRED: dict[str, Any] = {"secondFactor": {"policy": "required", "graceDays": 0}}
OWN = "/api/client/auth/second-factors"


@dataclass
class Person:
    """A user with a password, and the app with the secret once one is enrolled."""

    app: App
    client: str
    id: int
    email: str
    phone: Phone | None = None
    recovery_codes: tuple[str, ...] = ()

    async def sign_in(self, *, cookies: str = "", **members: Any) -> Reply:
        """``cookies``: a whole ``Cookie`` line."""
        body = {"email": self.email, "password": PASSWORD, **members}
        headers = {"x-client-id": self.client, **({"cookie": cookies} if cookies else {})}
        return await self.app.post(SIGN_IN, body, headers=headers)

    async def token(self) -> str:
        """An access token of a sign-in that asks for no second factor."""
        return str(check_success(await self.sign_in())["token"])

    def code(self) -> str:
        """A code that was not used before: the clock goes on for it."""
        assert self.phone is not None
        self.app.clock.advance(30)
        return self.phone.code()

    def wrong(self) -> str:
        assert self.phone is not None
        return self.phone.wrong()

    async def fields(self) -> list[str]:
        """The members that can continue the sign-in; none: the password alone is enough."""
        reply = await self.sign_in()
        return [] if reply.status == 200 else [detail["field"] for detail in reply.json["error"]["details"]]

    async def reset_link(self) -> str:
        """Token of an open reset link."""
        path = f"/api/admin/clients/{self.client}/users/{self.id}/password-reset"
        made = check_success(await self.app.post(path, {}, token=await self.app.admin_token()), 201)
        return str(made["link"]).partition("#")[2]

    async def events(self, name: str) -> list[dict[str, Any]]:
        """Details of the person's events of that name, oldest first."""
        found = await trail(self.app, self.client)
        return [one.members for one in found if (one.event, one.subject) == (name, f"user:{self.id}")]

    async def challenge(self) -> dict[str, Any]:
        """The error of a sign-in that waits for the second factor."""
        return check_refusal(await self.sign_in(), 401, "MFA_REQUIRED")

    async def go_on(self, challenge: str, *, cookies: str = "", at: str = "", **answer: Any) -> Reply:
        """An answer to a challenge. ``at``: the address that the proxy before the application names."""
        headers = {"cookie": cookies} if cookies else {}
        headers |= {"x-forwarded-for": at} if at else {}
        return await self.app.post(f"{SIGN_IN}/continue", {"challenge": challenge, **answer}, headers=headers)

    async def sign_in_with(self, **answer: Any) -> Reply:
        """With the password and an answer to the question for the second factor."""
        return await self.go_on((await self.challenge())["challenge"], **answer)

    async def answered(self, **members: Any) -> Reply:
        """A sign-in with the next code of the app."""
        return await self.sign_in_with(otp=self.code(), **members)

    async def trusted(self) -> str:
        """The cookie of a browser that is trusted after this."""
        return (await self.answered(trust=True)).cookie("trust")

    async def enrol(self, token: str) -> list[str]:
        """Sets an authenticator app up, or another one, in a session; the recovery codes. The clock goes on, so that
        the next code is a new one."""
        begun = check_success(await self.app.post(f"{OWN}/totp", token=token), 201)
        self.phone = Phone(self.app, begun["secret"])
        confirmed = await self.app.post(f"{OWN}/totp/confirm", {"otp": self.phone.code()}, token=token)
        codes: list[str] = check_success(confirmed)["recoveryCodes"]
        self.app.clock.advance(30)
        return codes

    async def enrol_at_sign_in(self) -> dict[str, Any]:
        """Sets an authenticator app up where the policy asks for it; the answer of the sign-in."""
        challenge = (await self.challenge())["challenge"]
        begun = check_success(await self.app.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"}))
        self.phone = Phone(self.app, begun["secret"])
        data: dict[str, Any] = check_success(await self.go_on(challenge, otp=self.phone.code()))
        self.recovery_codes = tuple(data["recoveryCodes"])
        return data


async def person(app: App, client: str = "", *roles: str, email: str = "", **settings: Any) -> Person:
    """A new user, of a new client with these settings where none is named."""
    client = client or (await new_client(app, **settings))
    user_id, email = await new_user(app, client, email, roles=list(roles or ("Viewer",)), password=PASSWORD)
    return Person(app, client, user_id, email)


async def enrolled(app: App, *roles: str, **settings: Any) -> Person:
    """A new user with an authenticator app, of a new client that has these settings after that."""
    who = await person(app, "", *roles, **REQUIRED)
    await who.enrol_at_sign_in()
    await settle(app, who.client, **{"secondFactor": {"policy": "optional"}, **settings})
    return who


@contextlib.contextmanager
def mails_queued(app: App) -> Iterator[list[tuple[str, str]]]:
    """Recipient and purpose of every email that is queued in the meantime, whether or not it has arrived."""
    made: list[tuple[str, str]] = []
    add = app.services.mail_queue.add

    def noted(unit: Any, acting: Any, email: Any, purpose: str, *rest: Any, **more: Any) -> Any:
        made.append((email.to, purpose))
        return add(unit, acting, email, purpose, *rest, **more)

    with mock.patch.object(app.services.mail_queue, "add", noted):
        yield made


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
