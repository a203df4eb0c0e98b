"""A client's Admin who verifies a Microsoft directory, for the tests of that verification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.interop.microsoft.people import ORGANIZATION, OUR_SECRET, OURS
from tests.support.accounts import new_client, trail
from tests.support.application import App, Reply
from tests.support.envelope import check_success
from tests.support.people import Member, member
from tests.support.single_sign_on import BASE, RETURN_TO, Browser, check_no_one_got_in, query_of

CALLBACK = f"{BASE}/api/client/auth/directory/callback"
GLOBAL, PRIVILEGED, APPLICATION = (
    "62e90394-69f5-4237-9190-012177145e10",
    "e8611ab8-c189-46e8-94e1-60213ab1f814",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",
)
READER = "88d8e3e3-8f55-4a1e-953a-9b9898b8876b"  # Directory Readers
OPERATORS = "0e0e0e0e-5555-4555-8555-0000000000ee"
ROLES = {
    GLOBAL: "Global Administrator",
    PRIVILEGED: "Privileged Role Administrator",
    APPLICATION: "Application Administrator",
}


@dataclass
class Prover:
    """A client's Admin in a browser, and the client's provider for the directory contoso."""

    setup: MicrosoftSetup
    client: str
    admin: Member
    browser: Browser

    @property
    def app(self) -> App:
        return self.setup.app

    @property
    def directory(self) -> str:
        return self.setup.microsoft.named("contoso").id

    async def begin(self, **body: str) -> Reply:
        path = f"{BASE}/api/client/directories/{self.directory}/prove"
        return await self.browser.send("POST", path, body=body, token=self.admin.token)

    async def asked(self) -> dict[str, str]:
        """The request to Microsoft at the start of a verification."""
        reply = await self.begin()
        reply.headers["location"] = check_success(reply)["location"]
        return query_of(reply)

    async def prove(self, user: str = "alice", browser: Browser | None = None, **body: str) -> Reply:
        """Verify through the whole flow; returns the response of our callback."""
        started = check_success(await self.begin(**body))
        return await (browser or self.browser).send("GET", self.setup.microsoft.visit(started["location"], user))

    async def claim(self) -> dict[str, Any]:
        found = await self.app.get(f"/api/client/directories/{self.directory}", token=self.admin.token)
        return dict(found.data)

    async def refused(self, sentence: str = "", *, status: int = 401, code: str = "SSO_FAILED") -> None:
        """Check that nothing is verified, and that the page says what to do."""
        message = check_no_one_got_in(await self.prove(), status, code)
        assert sentence in message
        assert (await self.claim())["state"] == "pending"

    async def last(self) -> dict[str, Any]:
        """The last audit event about it."""
        event = (await trail(self.app, self.client))[-1]
        return {"event": event.event, "actor": event.actor, "subject": event.subject, **event.members}


async def prover_of(setup: MicrosoftSetup, *, secret: str | None = OUR_SECRET, **members: Any) -> Prover:
    client = await new_client(setup.app, returnAddresses=[RETURN_TO])
    dynamics = {
        "directory": setup.microsoft.named("contoso").id, "clientId": OURS, "organization": ORGANIZATION,
        **({"clientSecret": secret} if secret else {}),
    }  # fmt: skip
    await setup._provider(client, {"dynamics": dynamics, "returnAddresses": [], **members}, counts=False)
    return Prover(setup, client, await member(setup.app, client, "Admin"), Browser(setup.app))
