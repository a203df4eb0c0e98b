"""The real application in this process, with the real pipeline and store and a clock that tests move."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import httpx2

from manifest_auth import audit, tenants
from manifest_auth.accounts import admins, users
from manifest_auth.app import Application
from manifest_auth.audit import Origin
from manifest_auth.licence import UNCOUNTED
from manifest_auth.maintenance.startup import build_services
from manifest_auth.permissions import Role, mask_of
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.settings import Settings, load
from manifest_auth.services import Services
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import TenantSettings
from tests.support import described, in_process, run_folder
from tests.support.secret_keys import SECRET_KEY
from tests.support.stores import fresh_store

# For each request, httpx2 checks whether it runs under trio, and searches all folders for a missing library.
sys.modules.setdefault("sniffio", cast(ModuleType, None))

MINUTE_MS = 60_000
_PEER = ("192.0.2.1", 40000)
PASSWORD = "kestrel-harbor-21-violet"
#: Low enough that hundreds of hashes cost nothing; every other setting is the default.
FAST = {
    "MANIFEST_ARGON2_MEMORY": "64",
    "MANIFEST_ARGON2_PASSES": "1",
    "MANIFEST_HASH_WORKERS": "1",
    "MANIFEST_LOG_LEVEL": "error",
    "MANIFEST_DNS_SERVERS": "127.0.0.1:9",  # no server listens there, so no test queries this machine's DNS
    "MANIFEST_SECRET_KEY": SECRET_KEY,
}
#: For an application in this process, so that a busy machine doesn't make it give up on a provider.
PATIENT = {"MANIFEST_PROVIDER_TIMEOUT": "30"}


class FrozenClock(Clock):
    """A clock that stands still until a test moves it."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def advance(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


@dataclass
class Reply:
    """A response: status, headers, and the body as parsed JSON."""

    status: int
    headers: httpx2.Headers
    json: Any
    text: str

    @property
    def data(self) -> Any:
        assert self.json["success"] is True, self.json
        return self.json["data"]

    @property
    def code(self) -> str:
        assert self.json["success"] is False, self.json
        return str(self.json["error"]["code"])

    @property
    def media_type(self) -> str:
        return str(self.headers.get("content-type", "")).partition(";")[0]

    @property
    def refusal(self) -> str:
        """The error code, for REST and GraphQL alike; empty if there is none."""
        body = self.json if isinstance(self.json, dict) else {}
        [*errors] = [body["error"]] if isinstance(body.get("error"), dict) else body.get("errors") or [{}]
        return str(errors[0].get("code", errors[0].get("extensions", {}).get("code", "")))

    def cookie(self, name: str) -> str:
        """The value set by a Set-Cookie header. Raises KeyError if the header is missing."""
        for line in self.headers.get_list("set-cookie"):
            key, _, value = line.partition(";")[0].partition("=")
            if key == name:
                return str(value)
        raise KeyError(name)


@dataclass
class App:
    """The application and an HTTP client for it. The client keeps no cookies."""

    services: Services
    application: Application
    clock: FrozenClock
    client: httpx2.AsyncClient
    ids: dict[str, int] = field(default_factory=dict)
    root: str = "root"  # the system admin's user name
    _admin: tuple[str, int] = ("", -MINUTE_MS)

    @property
    def public_url(self) -> str:
        """The address that the application is configured with."""
        return self.services.settings.public_url

    @property
    def database(self) -> str:
        """The address of the application's database."""
        return self.services.settings.database

    def sample(self, name: str, **labels: str) -> float | None:
        """The value of a metric, or None if it doesn't exist."""
        found: float | None = self.services.metrics.registry.get_sample_value(name, labels)
        return found

    def goes_by_the_clock_of(self, other: App) -> None:
        """Use the other application's clock, so that both act as nodes of one installation."""
        self.clock = self.services.clock = self.services.keys._clock = other.clock

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        cookie: str | None = None,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        content: bytes | None = None,
        meanwhile: Callable[[], Awaitable[Any]] | None = None,
    ) -> Reply:
        """Send one request. ``body`` is sent as JSON, ``content`` unchanged, and ``cookie`` as the session cookie.
        ``meanwhile`` runs after the head is sent and before the body."""
        lines = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
        if token is not None:
            lines.append(("Authorization", f"Bearer {token}"))
        if cookie is not None:
            lines.append(("Cookie", f"session={cookie}"))
        if body is not None:
            content = json.dumps(body).encode()
        if content is not None and not any(name.lower() == "content-type" for name, _ in lines):
            lines.append(("Content-Type", "application/json"))
        scope = in_process.scope_of(self.public_url, _PEER, method, path, lines, content)
        answer = await in_process.call(self.application, scope, content, meanwhile)
        try:
            parsed = None if answer.body[:1] == b"<" else json.loads(answer.body)
        except ValueError:
            parsed = None
        reply = Reply(answer.status, answer.headers, parsed, answer.text)
        described.check(method, path, reply.status, reply.media_type, reply.refusal)
        return reply

    async def get(self, path: str, **options: Any) -> Reply:
        return await self.send("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        return await self.send("POST", path, body, **options)

    async def sign_in(
        self, email: str = "author@acme.example", password: str = PASSWORD, client: str | None = None, **options: Any
    ) -> Reply:
        """Sign in; sends the client's name if one is given."""
        headers = {**options.pop("headers", {}), **({"X-Client-ID": client} if client else {})}
        body = {"email": email, "password": password}
        return await self.post("/api/client/auth/sign-in", body, headers=headers, **options)

    async def refresh(self, refresh_token: str, **options: Any) -> Reply:
        return await self.post("/api/client/auth/refresh", {"refreshToken": refresh_token}, **options)

    async def me(self, token: str | None = None, **options: Any) -> Reply:
        return await self.get("/api/client/auth/me", token=token, **options)

    async def admin_token(self, *, fresh: bool = False) -> str:
        """An access token of the system admin, less than a minute old, or new if ``fresh``."""
        token, at = self._admin
        if fresh or not 0 <= self.clock.ms - at < MINUTE_MS:
            body = {"username": self.root, "password": PASSWORD}
            token = str((await self.post("/api/admin/auth/sign-in", body)).data["token"])
            self._admin = token, self.clock.ms
        return token

    async def graphql(self, query: str, token: str | None = None, **options: Any) -> Reply:
        return await self.post("/api/client/graphql", {"query": query}, token=token, **options)


SLUGS = {role: role.value.lower().replace(" ", "-") for role in Role}


async def fill(services: Services) -> dict[str, int]:
    """Create clients acme and globex with a user for each role, all with ``PASSWORD``, and system admin ``root``."""
    stored = await services.hasher.hash(PASSWORD)
    ids: dict[str, int] = {}

    def work(unit: SystemUnit) -> None:
        now = services.clock.now_ms()
        for name in ("acme", "globex"):
            tenant = tenants.create(unit, name, name.title(), TenantSettings(), now)
            audit.record_creation(unit, tenant.id, Origin(now, "system", "", "tests"), identifier=name)
            ids[name] = tenant.id
            for role, slug in SLUGS.items():
                user = users.create(
                    unit.of(tenant.id),
                    UNCOUNTED,
                    email=f"{slug}@{name}.example",
                    first_name=slug.title(),
                    last_name="Tester",
                    title=role.value,
                    roles=mask_of([role]),
                    password_hash=stored,
                    now=now,
                )
                ids[user.email] = user.id
        admins.create(unit, "root", stored, now)

    await services.store.write(work)
    return ids


@contextlib.asynccontextmanager
async def running(database_url: str, **environment: str) -> AsyncIterator[App]:
    """Run the application on a database, filled by :func:`fill` if it's empty, with settings as ``MANIFEST_…``
    variables."""
    path = Path(database_url.removeprefix("sqlite:///"))
    if database_url.startswith("sqlite:") and not path.exists():
        fresh_store(path)
    with tempfile.TemporaryDirectory(dir=run_folder.folder()) as folder:
        given = {**FAST, **PATIENT, "MANIFEST_DATA_DIR": folder, "MANIFEST_DATABASE_URL": database_url, **environment}
        async with _running(load(given)) as app:
            yield app


@contextlib.asynccontextmanager
async def _running(settings: Settings) -> AsyncIterator[App]:
    clock = FrozenClock()
    services = build_services(settings, clock)
    application = Application(services)
    async with application.running():
        empty = await services.store.read(lambda unit: tenants.find(unit, "acme")) is None
        ids = await fill(services) if empty else {}
        transport = httpx2.ASGITransport(application, raise_app_exceptions=True, client=_PEER)
        async with httpx2.AsyncClient(transport=transport, base_url=settings.public_url) as client:
            yield App(services, application, clock, client, ids)
