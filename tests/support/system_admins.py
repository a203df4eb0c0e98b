"""System admins for tests: how to create them, sign them in with codes, and read the installation's audit trail."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pyotp

from manifest_auth.accounts.admins import management
from tests.support.accounts import TRAIL
from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_success

ADMINS, AUTH = "/api/admin/admins", "/api/admin/auth"
_numbers = itertools.count(1)


@dataclass
class SystemAdmin:
    """A signed-in system admin."""

    app: App
    id: int
    username: str
    token: str

    async def get(self, path: str) -> Reply:
        return await self.app.get(path, token=self.token)

    async def post(self, path: str, body: Any = None) -> Reply:
        return await self.app.post(path, body, token=self.token)

    async def send(self, method: str, path: str, body: Any = None) -> Reply:
        return await self.app.send(method, path, body, token=self.token)

    async def again(self, otp: str | None = None) -> SystemAdmin:
        """The same admin with a new session."""
        return await signed_in_admin(self.app, self.username, otp=otp)


async def sign_in(app: App, username: str, password: str = PASSWORD, otp: str | None = None, **options: Any) -> Reply:
    body = {"username": username, "password": password, **({} if otp is None else {"otp": otp})}
    return await app.post(f"{AUTH}/sign-in", body, **options)


async def signed_in_admin(
    app: App, username: str = "root", password: str = PASSWORD, otp: str | None = None
) -> SystemAdmin:
    data = check_success(await sign_in(app, username, password, otp))
    return SystemAdmin(app, data["admin"]["id"], username, data["token"])


async def another(by: SystemAdmin) -> SystemAdmin:
    """A new system admin with ``PASSWORD``, signed in."""
    username = f"admin-{next(_numbers)}"
    check_success(await by.post(ADMINS, {"username": username, "password": PASSWORD}), 201)
    return await signed_in_admin(by.app, username)


@dataclass
class Phone:
    """An authenticator app with the secret."""

    app: App
    secret: str
    recovery_codes: tuple[str, ...] = ()

    def code(self, steps: int = 0) -> str:
        """The current code, or the one this many steps of thirty seconds later."""
        return pyotp.TOTP(self.secret).at(self.app.clock.now_ms() // 1000 + 30 * steps)

    def wrong(self) -> str:
        near = {self.code(steps) for steps in range(-2, 3)}
        return next(text for text in ("000000", "111111", "222222", "333333", "444444", "555555") if text not in near)


async def enrolled(of: SystemAdmin) -> Phone:
    """Enroll a second factor for the admin, and move the clock so that the next code is a new one."""
    made = check_success(await of.post(f"{AUTH}/second-factor", {"password": PASSWORD}), 201)
    phone = Phone(of.app, made["secret"])
    confirmed = check_success(
        await of.post(f"{AUTH}/second-factor/confirm", {"password": PASSWORD, "otp": phone.code()})
    )
    phone.recovery_codes = tuple(confirmed["recoveryCodes"])
    of.app.clock.advance(30)
    return phone


async def events(app: App, client: int = 0) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Event, actor, subject, and detail of the events in a client's audit trail; 0 means the installation's."""
    found = await app.services.store.of(client).read(lambda unit: unit.all(TRAIL))
    return [(one.event, one.actor, one.subject, one.members) for one in found]


async def store_networks(app: App, text: str) -> None:
    """Store any text as the setting for networks that can reach the admin API."""
    await app.services.store.write(lambda unit: management.set_addresses(unit, text))
