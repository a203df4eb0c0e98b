"""People with passkeys: a user, their browser with its cookie, and the authenticator in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.support.application import App, Reply
from tests.support.authenticator import ES256, RIGHT, Altered, Authenticator, Made
from tests.support.envelope import check_success
from tests.support.second_factors import SIGN_IN, Person, person

AUTH = "/api/client/auth"
PASSKEYS = f"{AUTH}/passkeys"
ORIGIN = "https://login.example.com"
#: Settings of applications with passkeys, since browsers create none on an IP address.
PUBLIC = {"MANIFEST_PUBLIC_URL": ORIGIN}
COOKIE = "__Host-form"


@dataclass
class Holder:
    """A user with an authenticator and the browser's cookie. ``token`` belongs to the signed-in session."""

    person: Person
    browser: Authenticator
    token: str = ""
    cookie: str = ""
    recovery_codes: tuple[str, ...] = ()
    ids: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def app(self) -> App:
        return self.person.app

    async def creation_options(self) -> dict[str, Any]:
        data = check_success(await self.app.post(f"{PASSKEYS}/options", token=self.token))
        found: dict[str, Any] = data["publicKey"]
        return found

    async def send_new(self, credential: dict[str, Any], name: str = "") -> Reply:
        return await self.app.post(PASSKEYS, {"credential": credential, "name": name}, token=self.token)

    async def add(self, name: str = "", altered: Altered = RIGHT) -> Any:
        """Add a passkey for the signed-in user; returns the response's data."""
        credential = self.browser.create(await self.creation_options(), altered)
        data = check_success(await self.send_new(credential, name), 201)
        self.ids.append(data["passkey"]["id"])
        self.recovery_codes = tuple(data.get("recoveryCodes", self.recovery_codes))
        return data

    async def options(self, challenge: str | None = None) -> dict[str, Any]:
        """Request the options of a sign-in, and keep the cookie that the browser gets."""
        body = {} if challenge is None else {"challenge": challenge}
        reply = await self.app.post(f"{SIGN_IN}/passkey/options", body, headers=self.sent())
        data = check_success(reply)
        if challenge is None and not self.cookie:
            self.cookie = reply.cookie(COOKIE)
        found: dict[str, Any] = data["publicKey"]
        return found

    async def sign_in(self, altered: Altered = RIGHT, *, by: Made | None = None) -> Reply:
        return await self.send(self.browser.get(await self.options(), altered, by=by))

    async def send(self, credential: dict[str, Any], **headers: str) -> Reply:
        body = {"credential": credential}
        return await self.app.post(f"{SIGN_IN}/passkey", body, headers={**self.sent(), **headers})

    async def prove_again(self) -> Reply:
        """Re-authenticate the signed-in user with the first passkey."""
        again = f"{AUTH}/reauthenticate"
        public = check_success(await self.app.post(f"{again}/options", token=self.token))["publicKey"]
        body = {"credential": self.browser.get(public, by=self.browser.made[0])}
        return await self.app.post(again, body, token=self.token)

    def sent(self) -> dict[str, str]:
        return {**({"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}), **self.headers}


async def signed_in(app: App, client: str = "", *roles: str, **settings: Any) -> Holder:
    """A new user, signed in with the password, with an authenticator but no passkey yet."""
    someone = await person(app, client, *roles, **settings)
    token = check_success(await someone.sign_in())["token"]
    return Holder(someone, Authenticator(ORIGIN), token)


async def with_passkey(
    app: App, client: str = "", *, algorithm: int = ES256, flags: int | None = None, counts: bool = False,
    **settings: Any,
) -> Holder:  # fmt: skip
    """A new user with a passkey."""
    holder = await signed_in(app, client, **settings)
    holder.browser.algorithm, holder.browser.counts = algorithm, counts
    holder.browser.flags = holder.browser.flags if flags is None else flags
    await holder.add()
    return holder
