"""Builds the house once: settings, store, keys, hash workers, and one visible list of mounted routes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from manifest_auth import __version__, last_backup, logs, mail_queue, oidc
from manifest_auth.admin import admins as admin_admins
from manifest_auth.admin import (
    client_sessions,
    clients,
    domains,
    identities,
    own_routes,
    provider_names,
    session_routes,
    throttles,
)
from manifest_auth.admin import directories as admin_directories
from manifest_auth.admin import installation as admin_installation
from manifest_auth.admin import keys as admin_keys
from manifest_auth.admin import licence as admin_licence
from manifest_auth.admin import providers as admin_providers
from manifest_auth.admin import trail as admin_trail
from manifest_auth.admin import users as admin_users
from manifest_auth.admins import AdminRange
from manifest_auth.claims import DomainRecords, domain_watch
from manifest_auth.clock import Clock, Random
from manifest_auth.context import House
from manifest_auth.files import open_keeper
from manifest_auth.front_door import FrontDoor
from manifest_auth.graphql import explorer
from manifest_auth.graphql import http as graphql_http
from manifest_auth.licence import Gate
from manifest_auth.mail import Mail, Server, server_of
from manifest_auth.metrics import Metrics, listen
from manifest_auth.microsoft import Clouds, Microsoft
from manifest_auth.operations import routes as operations_routes
from manifest_auth.operations import sweeping
from manifest_auth.outgoing import Outgoing
from manifest_auth.passwords import Hasher
from manifest_auth.refusals import Refusals
from manifest_auth.sealing import Macs, Sealer, secret_keys
from manifest_auth.sessions import Principals
from manifest_auth.settings import Settings, SettingsError, load, variable
from manifest_auth.sign_in import (
    address_routes,
    callback_routes,
    directory_routes,
    identity_routes,
    link_routes,
    link_start,
    provider_routes,
)
from manifest_auth.sign_in import routes as sign_in_routes
from manifest_auth.sign_in.entra import EntraTokens
from manifest_auth.sign_in.saml_threads import SamlThreads
from manifest_auth.store import open_store
from manifest_auth.store.migrate import HEAD, upgrade
from manifest_auth.tokens import KeyRing, VerifiedTokens
from manifest_auth.trail import routes as trail_routes
from manifest_auth.web import RouteTable
from manifest_auth.work import routes as work_routes

ROUTES = (
    *sign_in_routes.ROUTES,
    *provider_routes.ROUTES,
    *callback_routes.ROUTES,
    *identity_routes.ROUTES,
    *link_routes.ROUTES,
    *link_start.ROUTES,
    *address_routes.ROUTES,
    *directory_routes.ROUTES,
    *graphql_http.ROUTES,
    *explorer.ROUTES,
    *work_routes.ROUTES,
    *trail_routes.ROUTES,
    *session_routes.ROUTES,
    *clients.ROUTES,
    *admin_users.ROUTES,
    *admin_providers.ROUTES,
    *domains.ROUTES,
    *admin_directories.ROUTES,
    *provider_names.ROUTES,
    *identities.ROUTES,
    *client_sessions.ROUTES,
    *own_routes.ROUTES,
    *admin_admins.ROUTES,
    *admin_keys.ROUTES,
    *throttles.ROUTES,
    *admin_installation.ROUTES,
    *admin_licence.ROUTES,
    *admin_trail.ROUTES,
    *operations_routes.ROUTES,
)

Scope = MutableMapping[str, Any]


def build_house(settings: Settings, clock: Clock | None = None, random: Random | None = None) -> House:
    """All that lives as long as the process; nothing is connected or started yet. Raises SettingsError."""
    clock, random = clock or Clock(), random or Random()
    metrics = Metrics()
    secrets = secret_keys(settings, random)
    store = open_store(settings.database, settings.database_pool, metrics, Macs(secrets))
    sealer = Sealer(secrets, random)
    keys = KeyRing(store, sealer, settings, clock, random)
    outgoing, clouds, log = Outgoing(settings, metrics), _clouds(settings), logs.build(settings.log_level)
    return House(
        settings=settings,
        clock=clock,
        random=random,
        log=log,
        metrics=metrics,
        store=store,
        sealer=sealer,
        hasher=Hasher(settings, random, metrics),
        keys=keys,
        verified=VerifiedTokens(keys, settings.issuer, metrics),
        principals=Principals(store, metrics, clock),
        admin_range=AdminRange(settings, store),
        licence=Gate(settings, store, clock),
        outgoing=outgoing,
        oidc=oidc.Client(outgoing, clock, lambda issuer: clouds.discovery_of(issuer) or oidc.address_of(issuer)),
        microsoft=Microsoft(outgoing, clock, clouds),
        entra=EntraTokens(),
        saml_threads=SamlThreads(),
        files=open_keeper(settings),
        mail=Mail(_mail_server(settings), clock, random, log, metrics),
        domain_records=DomainRecords(settings, log, clock),
        refusals=Refusals(clock),
        started_at=clock.now_ms(),
    )


def _mail_server(settings: Settings) -> Server | None:
    try:
        return server_of(settings)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _clouds(settings: Settings) -> Clouds:
    try:
        return Clouds(settings.microsoft_cloud, settings.microsoft_custom_cloud)
    except ValueError as error:
        raise SettingsError(f"{variable('microsoft_custom_cloud')}: {error}") from None


@contextlib.asynccontextmanager
async def opened(house: House, *, hashing: bool = True) -> AsyncIterator[House]:
    """The house with its schema up to date, connected and started; closed again at the end.

    Raises StoreUnavailable, SchemaRefused, CannotOpen (a wrong secret key).
    """
    await upgrade(house.settings.database, lambda: house.sealer.keys)
    await house.store.open()
    starting = asyncio.create_task(house.hasher.start()) if hashing else None
    try:
        await house.keys.load()
        await last_backup.record_noted(house.store, house.clock.now_ms())
        if starting is not None:
            await starting
        yield house
    finally:
        if starting is not None:
            await asyncio.wait([starting])
        await house.mail.close()
        await house.hasher.close()
        house.saml_threads.close()
        await house.outgoing.close()
        await house.store.close()


class Application:
    """The ASGI application of one process."""

    def __init__(self, house: House) -> None:
        self.house = house
        table = RouteTable(ROUTES)
        operations_routes.describe(table, house)
        self._front_door = FrontDoor(house, table)

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] == "http":
            await self._front_door(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self.running())
            except Exception as error:  # noqa: BLE001 - told to the server, which stops
                self.house.log.error("start_failed", error=f"{type(error).__name__}: {error}")
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The house opened, and its background work under way."""
        settings = self.house.settings
        async with self.house.metrics.shown(several=settings.workers > 1), opened(self.house):
            if settings.metrics_listen and settings.workers == 1:
                listen(settings.metrics_listen, self.house.metrics.registry)
            self.house.metrics.runs(__version__, HEAD, "postgresql" if settings.on_postgres else "sqlite")
            jobs = [
                asyncio.create_task(sweeping.run(self.house), name="sweeping"),
                asyncio.create_task(mail_queue.run(self.house), name="mail-queue"),
                asyncio.create_task(domain_watch.run(self.house), name="domain-checks"),
            ]
            settle_garbage()
            self.house.log.info("started", pid=os.getpid(), hashing=self.house.hasher.build)
            try:
                yield
            finally:
                for job in jobs:
                    job.cancel()
                await asyncio.gather(*jobs, return_exceptions=True)


def settle_garbage() -> None:
    """What was loaded lives as long as the process: the collector need not walk it again and again.

    Called once all modules are loaded, and again at the end of the start: then only what the start itself made is
    looked through for garbage. To look through the modules as well takes 80 ms, and finds nothing.
    """
    if gc.get_freeze_count():
        gc.collect()
    gc.freeze()


def _leave_with_the_parent() -> None:
    """One of several web processes ends at once when the process that watches over them was killed.

    It would go on to serve, watched by nobody, and keep the port: the next start would find it in use.
    """
    if (parent := multiprocessing.parent_process()) is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def create() -> Application:
    """What each web process runs: settings from the environment."""
    _leave_with_the_parent()
    if not gc.get_freeze_count():  # a web process of several; a single one did so before it tried the house out
        settle_garbage()
    return Application(build_house(load()))
