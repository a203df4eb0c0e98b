"""Clients with users who sign in with badge and PIN on enrolled devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.accounts import new_client
from tests.support.application import App, Reply
from tests.support.envelope import check_success
from tests.support.people import Member, member

AUTH, OWN_PIN = "/api/client/auth/badge", "/api/client/auth/badge-pin"
DEVICES, ENROL = "/api/client/devices", "/api/client/auth/devices/enrol"
PIN, WRONG = "482915", "748203"


@dataclass
class Enrolled:
    """A device that belongs to a client, with its token."""

    app: App
    id: str
    token: str

    async def sign_in(self, badge: str, pin: str = PIN, **more: Any) -> Reply:
        body = {"deviceToken": self.token, "badge": badge, "pin": pin, **more}
        return await self.app.post(AUTH, body)


@dataclass
class Badged:
    """A user with a badge and their own PIN."""

    id: int
    email: str
    badge: str
    badge_id: str


@dataclass
class BadgeClient:
    """A client with badges turned on, and its Admin."""

    app: App
    client: str
    admin: Member

    async def do(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """Send the Admin's request, which must succeed."""
        return check_success(await self.send(method, path, body), status)

    async def send(self, method: str, path: str, body: Any = None, who: Member | None = None) -> Reply:
        return await self.app.send(method, f"/api/client{path}", body, token=(who or self.admin).token)

    async def renew(self) -> None:
        """Sign the Admin in again."""
        token = (await self.app.sign_in(self.admin.email, client=self.client)).data["token"]
        self.admin = self.admin._replace(token=token)

    async def code(self, name: str = "Kiosk 4", place: str = "Hall B") -> dict[str, Any]:
        """A new code for enrolling a device."""
        found: dict[str, Any] = await self.do("POST", "/devices/enrolments", {"name": name, "place": place}, 201)
        return found

    async def device(self, name: str = "Kiosk 4") -> Enrolled:
        made = check_success(await self.app.post(ENROL, {"code": (await self.code(name))["code"]}))
        assert made["client"] == self.client
        return Enrolled(self.app, made["deviceId"], made["deviceToken"])

    async def badge(self, user_id: int, kind: str = "standard") -> dict[str, Any]:
        found: dict[str, Any] = await self.do("POST", f"/users/{user_id}/badges", {"kind": kind}, 201)
        return found

    async def temporary(self, user_id: int) -> str:
        """A temporary PIN."""
        return str((await self.do("POST", f"/users/{user_id}/badge-pin", status=201))["pin"])

    async def person(self, *roles: str, pin: str = PIN) -> Badged:
        """A new user who has a badge and has set this PIN."""
        user = await member(self.app, self.client, *(roles or ("Operator",)))
        check_success(await self.app.post(OWN_PIN, {"pin": pin}, token=user.token))
        made = await self.badge(user.id)
        return Badged(user.id, user.email, made["badge"], made["id"])


async def badge_client(app: App, **rules: Any) -> BadgeClient:
    """A new client with badges turned on. ``rules`` are its badge settings."""
    client = await new_client(app, badge={"enabled": True, **rules})
    return BadgeClient(app, client, await member(app, client, "Admin"))


async def fits(app: App, stored: str, text: str) -> bool:
    """Whether a stored hash matches this text."""
    return (await app.services.hasher.verify(stored, text)).matches
