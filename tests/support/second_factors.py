"""Users with second factors: who enrols one, signs in with it, and goes on with a challenge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.accounts import new_client, new_user
from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.system_admins import Phone

SIGN_IN = "/api/client/auth/sign-in"
OWN = "/api/client/auth/second-factors"


@dataclass
class Person:
    """A user with a password, and the app with the secret once one is enrolled."""

    app: App
    client: str
    id: int
    email: str
    phone: Phone | None = None

    async def sign_in(self, *, cookie: str = "", **members: Any) -> Reply:
        """With the password. ``cookie``: of a trusted browser."""
        body = {"email": self.email, "password": PASSWORD, **members}
        cookies = {"cookie": f"trust={cookie}"} if cookie else {}
        return await self.app.post(SIGN_IN, body, headers={"x-client-id": self.client, **cookies})

    async def token(self) -> str:
        """An access token of a sign-in that asks for no second factor."""
        return str(check_success(await self.sign_in())["token"])

    async def challenge(self) -> dict[str, Any]:
        """The error of a sign-in that waits for the second factor."""
        return check_refusal(await self.sign_in(), 401, "MFA_REQUIRED")

    async def go_on(self, challenge: str, **answer: Any) -> Reply:
        return await self.app.post(f"{SIGN_IN}/continue", {"challenge": challenge, **answer})

    async def sign_in_with(self, **answer: Any) -> Reply:
        """With the password and an answer to the question for the second factor."""
        return await self.go_on((await self.challenge())["challenge"], **answer)

    async def answered(self, **members: Any) -> Reply:
        """A sign-in with the next code of the app."""
        assert self.phone is not None
        self.app.clock.advance(30)
        return await self.sign_in_with(otp=self.phone.code(), **members)

    async def trusted(self) -> str:
        """The cookie of a browser that is trusted from now on."""
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
        return data


async def person(app: App, client: str = "", *roles: str, email: str = "", **settings: Any) -> Person:
    """A new user, of a new client with these settings where none is named."""
    client = client or (await new_client(app, **settings))
    user_id, email = await new_user(app, client, email, roles=list(roles or ("Viewer",)), password=PASSWORD)
    return Person(app, client, user_id, email)
