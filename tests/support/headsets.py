"""Headsets that ask for access, and the people who approve them, each at their own address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.accounts import new_client
from tests.support.application import App, Reply
from tests.support.envelope import check_success
from tests.support.oauth_callers import form
from tests.support.people import Member, member

TOKEN, REVOKE = "/oauth2/token", "/oauth2/revoke"
BY_CODE, BY_SCAN = "/oauth2/device_authorization", "/oauth2/pairing"
OWN = "/api/client/auth/devices"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
HERE, ELSEWHERE = "198.51.100.7", "203.0.113.9"


@dataclass
class Headset:
    """A device with a client's app. ``at`` is its address."""

    app: App
    client_id: str
    at: str = HERE
    device_code: str = ""

    async def post(self, path: str, **fields: str) -> Reply:
        shown = {"client_id": self.client_id, **fields}
        return await form(self.app, path, shown, {"X-Forwarded-For": self.at})

    async def ask(self, name: str = "Quest 3") -> dict[str, Any]:
        """Request a code to show."""
        return self._asked(await self.post(BY_CODE, device_name=name))

    async def scan(self, code: str, name: str = "Quest 3") -> dict[str, Any]:
        """Send the code that was scanned."""
        return self._asked(await self.post(BY_SCAN, pairing_code=code, device_name=name))

    def _asked(self, reply: Reply) -> dict[str, Any]:
        assert reply.status == 200, reply.text
        found: dict[str, Any] = reply.json
        self.device_code = found["device_code"]
        return found

    async def poll(self) -> Reply:
        return await self.post(TOKEN, grant_type=DEVICE_CODE, device_code=self.device_code)

    async def polled(self, seconds: float = 5) -> str:
        """The error of a poll at the allowed interval; empty if there is none."""
        self.app.clock.advance(seconds)
        reply = await self.poll()
        return "" if reply.status == 200 else str(reply.json["error"])

    async def tokens(self) -> dict[str, Any]:
        reply = await self.poll()
        assert reply.status == 200, reply.text
        found: dict[str, Any] = reply.json
        return found

    async def refresh(self, token: str) -> Reply:
        return await self.post(TOKEN, grant_type="refresh_token", refresh_token=token)

    async def revoke(self, token: str) -> Reply:
        return await self.post(REVOKE, token=token)


@dataclass
class Wearer:
    """A user who is signed in on a phone. ``at`` is the phone's address."""

    app: App
    client: str
    who: Member
    at: str = HERE

    async def send(self, method: str, path: str, body: Any = None) -> Reply:
        lines = {"X-Forwarded-For": self.at}
        return await self.app.send(method, OWN + path, body, token=self.who.token, headers=lines)

    async def begin(self) -> dict[str, Any]:
        found: dict[str, Any] = check_success(await self.send("POST", "/pairings"), 201)
        return found

    async def look(self, pairing: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = check_success(await self.send("GET", f"/pairings/{pairing['id']}"))
        return found

    async def approve(self, pairing: dict[str, Any], match: str) -> Reply:
        return await self.send("POST", f"/pairings/{pairing['id']}/approve", {"match": match})

    async def by_code(self, act: str, code: str) -> Reply:
        return await self.send("POST", f"/{act}", {"userCode": code})

    def headset(self, at: str = HERE) -> Headset:
        return Headset(self.app, f"manifest.{self.client}", at)

    async def paired(self, at: str = HERE) -> tuple[Headset, dict[str, Any]]:
        """A headset that was approved by scanning, and its tokens."""
        pairing, headset = await self.begin(), self.headset(at)
        shown = await headset.scan(pairing["qr"])
        check_success(await self.approve(pairing, shown["match"]))
        return headset, await headset.tokens()


async def wearer(app: App, *roles: str, client: str = "", at: str = HERE, **pairing: Any) -> Wearer:
    """A new user of a client. Unless one is named, the client is new and has these pairing settings."""
    named = client or await new_client(app, pairing=pairing)
    return Wearer(app, named, await member(app, named, *(roles or ("Operator",))), at)
