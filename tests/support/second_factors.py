"""Users with second factors: who enrols one, signs in with it, and goes on with a challenge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.accounts import new_client, new_user
from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.system_admins import Phone

SIGN_IN = "/api/client/auth/sign-in"


@dataclass
class Person:
    """A user with a password, and the app with the secret once one is enrolled."""

    app: App
    client: str
    id: int
    email: str
    phone: Phone | None = None

    async def sign_in(self, **members: Any) -> Reply:
        body = {"email": self.email, "password": PASSWORD, **members}
        return await self.app.post(SIGN_IN, body, headers={"x-client-id": self.client})

    async def challenge(self) -> dict[str, Any]:
        """The error of a sign-in that waits for the second factor."""
        return check_refusal(await self.sign_in(), 401, "MFA_REQUIRED")

    async def go_on(self, challenge: str, **answer: Any) -> Reply:
        return await self.app.post(f"{SIGN_IN}/continue", {"challenge": challenge, **answer})

    async def enrol_at_sign_in(self) -> dict[str, Any]:
        """Sets an authenticator app up where the policy asks for it; the answer of the sign-in."""
        challenge = (await self.challenge())["challenge"]
        begun = check_success(await self.app.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"}))
        self.phone = Phone(self.app, begun["secret"])
        data: dict[str, Any] = check_success(await self.go_on(challenge, otp=self.phone.code()))
        return data


async def person(app: App, client: str = "", *roles: str, **settings: Any) -> Person:
    """A new user, of a new client with these settings where none is named."""
    client = client or (await new_client(app, **settings))
    user_id, email = await new_user(app, client, roles=list(roles or ("Viewer",)), password=PASSWORD)
    return Person(app, client, user_id, email)
