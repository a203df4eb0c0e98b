"""The application with a stand-in for Microsoft, and the steps that tests share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete

from manifest_auth.store import global_
from manifest_auth.store.tables import throttles
from tests.interop.microsoft.people import ORGANIZATION, OUR_SECRET, OURS, POWER_APP
from tests.interop.microsoft.stand_in import Standin, standin
from tests.support.accounts import new_client
from tests.support.application import App, Reply, running
from tests.support.directory_claims import directories_released, directory_counts
from tests.support.domain_claims import release_all, vouch_for
from tests.support.envelope import check_refusal
from tests.support.single_sign_on import Browser, add_provider

_NO_THROTTLES = global_(delete(throttles))
GRAPHQL = "/api/client/graphql"
ME = {"query": "{ me { id email roles { name } client { identifier } } users { id email } }"}


@dataclass
class Provider:
    """A client's provider, for Entra or Dynamics."""

    setup: MicrosoftSetup
    client: str
    made: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.made["name"])

    @property
    def app(self) -> App:
        return self.setup.app

    async def send(self, method: str, path: str = "", body: Any = None) -> Reply:
        """Send a system admin's request about the provider: ``""`` for itself, ``/switch-off``, …"""
        address = f"/api/admin/clients/{self.client}/providers/{self.name}{path}"
        return await self.app.send(method, address, body, token=await self.app.admin_token())

    async def change(self, **members: Any) -> dict[str, Any]:
        """Change the provider, and approve its domains; returns its new state."""
        found: dict[str, Any] = (await self.send("PATCH", "", members)).data
        for domain in members.get("domains", ()):
            await vouch_for(self.app, self.client, domain)
        return found

    async def act(self, what: str) -> None:
        """Send ``switch-off``, ``switch-on``, or ``delete``."""
        reply = await (self.send("DELETE") if what == "delete" else self.send("POST", f"/{what}"))
        assert reply.status == 200, reply.text

    async def start(self, browser: Browser, **query: str) -> str:
        """Start a sign-in in the browser; returns the URL that it's redirected to."""
        started = await browser.start("ms-dynamics", provider=self.name, client=self.client, **query)
        assert started.status == 302, started.text
        return str(started.headers["location"])

    async def sign_in(self, user: str = "alice", browser: Browser | None = None, **query: str) -> tuple[Browser, Reply]:
        """Sign in through the whole flow; returns the browser and the response of our callback."""
        browser = browser or Browser(self.app)
        back = self.setup.microsoft.visit(await self.start(browser, **query), user)
        return browser, await browser.send("GET", back)


@dataclass
class MicrosoftSetup:
    """The application, and the stand-in that it uses as Microsoft."""

    app: App
    microsoft: Standin
    providers: list[Provider] = field(default_factory=list)
    open: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)  # until the next :meth:`clear`

    async def clear(self) -> None:
        """Reset Microsoft, and release all clients' directories."""
        await self.open.aclose()
        self.microsoft.reset()
        for provider in self.providers:
            await provider.send("DELETE")
            await release_all(self.app, provider.client)
            await directories_released(self.app, provider.client)
        self.providers.clear()
        await self.forgive()

    async def forgive(self) -> None:
        """Reset the rate limits, since a test can cause many failures."""
        await self.app.services.store.write(lambda unit: unit.change(_NO_THROTTLES))

    async def entra(
        self, client: str = "", entra: dict[str, Any] | None = None, *, counts: bool = True, **members: Any
    ) -> Provider:
        """A provider for tokens of contoso. Everybody can sign in, as Operator, unless ``members`` say otherwise.
        ``counts`` tells whether the client's claim on the directory is verified."""
        settings = {"directory": self.microsoft.named("contoso").id, "applications": [POWER_APP], **(entra or {})}
        return await self._provider(client, {"entra": settings, "defaultRoles": ["Operator"], **members}, counts=counts)

    async def entra_of_ours(self, client: str = "", entra: dict[str, Any] | None = None, **members: Any) -> Provider:
        """Like :meth:`entra`, but also for tokens issued for our own application."""
        return await self.entra(client, {"clientId": OURS, "clientSecret": OUR_SECRET, **(entra or {})}, **members)

    async def dynamics(
        self, client: str = "", dynamics: dict[str, Any] | None = None, *, counts: bool = True, **members: Any
    ) -> Provider:
        """A provider for people of contoso's environment. Everybody can sign in, as Viewer."""
        settings = {
            "directory": self.microsoft.named("contoso").id,
            "clientId": OURS,
            "clientSecret": OUR_SECRET,
            "organization": ORGANIZATION,
            **(dynamics or {}),
        }
        return await self._provider(client, {"dynamics": settings, **members}, counts=counts)

    async def _provider(self, client: str, members: dict[str, Any], *, counts: bool = True) -> Provider:
        client = client or await new_client(self.app)
        made = await add_provider(self.app, client, **members)
        self.providers.append(Provider(self, client, made))
        if counts:
            await directory_counts(self.app, client, (made.get("entra") or made["dynamics"])["directory"])
        return self.providers[-1]

    async def me(self, token: str, **options: Any) -> dict[str, Any]:
        """The token's user, which must be the same by REST and by GraphQL."""
        rest = await self.app.me(token, **options)
        assert rest.status == 200, rest.text
        found: dict[str, Any] = rest.data
        graphql = await self.app.post(GRAPHQL, ME, token=token, **options)
        assert graphql.status == 200, graphql.text
        seen = graphql.json["data"]["me"]
        assert (seen["id"], seen["email"]) == (found["user"]["id"], found["user"]["email"])
        assert [role["name"] for role in seen["roles"]] == found["roles"]
        assert seen["client"]["identifier"] == found["client"]["identifier"]
        assert seen["id"] in [user["id"] for user in graphql.json["data"]["users"]]
        return found

    async def refused(self, token: str, status: int = 401, code: str = "INVALID_TOKEN", **options: Any) -> Reply:
        """Check that REST and GraphQL reject a token; returns the REST response."""
        rest = await self.app.me(token, **options)
        check_refusal(rest, status, code)
        graphql = await self.app.post(GRAPHQL, ME, token=token, **options)
        assert graphql.status == status, graphql.text
        assert set(graphql.json) == {"errors"}
        assert graphql.json["errors"][0]["extensions"]["code"] == code
        for reply in (rest, graphql):
            assert "set-cookie" not in reply.headers
        return rest


@contextlib.asynccontextmanager
async def setup_on(database_url: str, **settings: str) -> AsyncIterator[MicrosoftSetup]:
    """The application and Microsoft, on a database of any kind."""
    with standin() as microsoft:
        async with running(database_url, **{**microsoft.settings, **settings}) as app:
            microsoft.clock = app.clock
            async with (setup := MicrosoftSetup(app, microsoft)).open:
                yield setup
