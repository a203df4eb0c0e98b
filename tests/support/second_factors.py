"""Users who enroll second factors, sign in with them through the API or pages, and respond to challenges."""

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
    """A user with a password, and with an authenticator app once it's enrolled."""

    app: App
    client: str
    id: int
    email: str
    phone: Phone | None = None
    recovery_codes: tuple[str, ...] = ()

    async def sign_in(self, *, cookies: str = "", **members: Any) -> Reply:
        """Sign in. ``cookies`` is a whole ``Cookie`` header."""
        body = {"email": self.email, "password": PASSWORD, **members}
        headers = {"x-client-id": self.client, **({"cookie": cookies} if cookies else {})}
        return await self.app.post(SIGN_IN, body, headers=headers)

    async def token(self) -> str:
        """An access token from a sign-in without a second factor."""
        return str(check_success(await self.sign_in())["token"])

    def code(self) -> str:
        """An unused code; moves the clock for it."""
        assert self.phone is not None
        self.app.clock.advance(30)
        return self.phone.code()

    def wrong(self) -> str:
        assert self.phone is not None
        return self.phone.wrong()

    async def fields(self) -> list[str]:
        """The members that can continue the sign-in; none if the password is enough."""
        reply = await self.sign_in()
        return [] if reply.status == 200 else [detail["field"] for detail in reply.json["error"]["details"]]

    async def reset_link(self) -> str:
        """The token of an open reset link."""
        path = f"/api/admin/clients/{self.client}/users/{self.id}/password-reset"
        made = check_success(await self.app.post(path, {}, token=await self.app.admin_token()), 201)
        return str(made["link"]).partition("#")[2]

    async def events(self, name: str) -> list[dict[str, Any]]:
        """Details of the person's events with this name, oldest first."""
        found = await trail(self.app, self.client)
        return [one.members for one in found if (one.event, one.subject) == (name, f"user:{self.id}")]

    async def challenge(self) -> dict[str, Any]:
        """The error of a sign-in that waits for the second factor."""
        return check_refusal(await self.sign_in(), 401, "MFA_REQUIRED")

    async def go_on(self, challenge: str, *, cookies: str = "", at: str = "", **answer: Any) -> Reply:
        """Respond to a challenge. ``at`` is the address that the proxy in front of the application sends."""
        headers = {"cookie": cookies} if cookies else {}
        headers |= {"x-forwarded-for": at} if at else {}
        return await self.app.post(f"{SIGN_IN}/continue", {"challenge": challenge, **answer}, headers=headers)

    async def sign_in_with(self, **answer: Any) -> Reply:
        """Sign in with the password and a response to the second-factor challenge."""
        return await self.go_on((await self.challenge())["challenge"], **answer)

    async def answered(self, **members: Any) -> Reply:
        """Sign in with the app's next code."""
        return await self.sign_in_with(otp=self.code(), **members)

    async def trusted(self) -> str:
        """Sign in and trust the browser; returns its cookie."""
        return (await self.answered(trust=True)).cookie("trust")

    async def enrol(self, token: str) -> list[str]:
        """Set up or replace an authenticator app in a session, and move the clock to a new code; returns recovery
        codes."""
        begun = check_success(await self.app.post(f"{OWN}/totp", token=token), 201)
        self.phone = Phone(self.app, begun["secret"])
        confirmed = await self.app.post(f"{OWN}/totp/confirm", {"otp": self.phone.code()}, token=token)
        codes: list[str] = check_success(confirmed)["recoveryCodes"]
        self.app.clock.advance(30)
        return codes

    async def enrol_at_sign_in(self) -> dict[str, Any]:
        """Set up an authenticator app where the policy requires it; returns the response to the sign-in."""
        challenge = (await self.challenge())["challenge"]
        begun = check_success(await self.app.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"}))
        self.phone = Phone(self.app, begun["secret"])
        data: dict[str, Any] = check_success(await self.go_on(challenge, otp=self.phone.code()))
        self.recovery_codes = tuple(data["recoveryCodes"])
        return data


async def person(app: App, client: str = "", *roles: str, email: str = "", **settings: Any) -> Person:
    """A new user. Unless a client is named, it's new and has these settings."""
    client = client or (await new_client(app, **settings))
    user_id, email = await new_user(app, client, email, roles=list(roles or ("Viewer",)), password=PASSWORD)
    return Person(app, client, user_id, email)


async def enrolled(app: App, *roles: str, **settings: Any) -> Person:
    """A new user with an authenticator app, in a new client that gets these settings afterward."""
    who = await person(app, "", *roles, **REQUIRED)
    await who.enrol_at_sign_in()
    await settle(app, who.client, **{"secondFactor": {"policy": "optional"}, **settings})
    return who


@contextlib.contextmanager
def mails_queued(app: App) -> Iterator[list[tuple[str, str]]]:
    """Collect recipient and purpose of every email queued inside the block, whether or not it has arrived."""
    made: list[tuple[str, str]] = []
    add = app.services.mail_queue.add

    def noted(unit: Any, acting: Any, email: Any, purpose: str, *rest: Any, **more: Any) -> Any:
        made.append((email.to, purpose))
        return add(unit, acting, email, purpose, *rest, **more)

    with mock.patch.object(app.services.mail_queue, "add", noted):
        yield made


FACTOR, ENROL, CODES, DONE = "/sign-in/second-factor", "/sign-in/enrol", "/sign-in/codes", "/sign-in/done"


async def password_typed(of: Person, query: str = "", visitor: Visitor | None = None) -> tuple[Visitor, Page]:
    """The page after a correct password. ``query`` is appended to the sign-in's address."""
    visitor = visitor or Visitor(of.app)
    page = await visitor.get(f"/sign-in?client={of.client}{query}")
    page = await visitor.submit(page, "/sign-in/password", email=of.email, password=PASSWORD)
    return visitor, await visitor.follow(page)


async def person_enrolled(of: Person) -> Person:
    """A new user with an authenticator app; moves the clock, so that the next code is a new one."""
    await of.enrol_at_sign_in()
    of.app.clock.advance(30)
    return of


def code(of: Person, steps: int = 0) -> str:
    assert of.phone is not None
    return of.phone.code(steps)
