"""The ASGI application with all routes."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import multiprocessing
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from manifest_auth import __commit__, __version__
from manifest_auth.api import audit, issuer, oauth, operational_routes, provisioning
from manifest_auth.api.admin import (
    admins,
    apps,
    claims,
    clients,
    installation,
    providers,
    scim,
    service_accounts,
    users,
)
from manifest_auth.api.admin import devices as admin_devices
from manifest_auth.api.client import auth, devices, files, identities, one_time_links, second_factors
from manifest_auth.api.graphql import routes as graphql_routes
from manifest_auth.clients import daily_figures, domain_checks
from manifest_auth.clients.providers import daily_checks
from manifest_auth.errors import Refusal
from manifest_auth.http import Answer, Head, Route, RouteTable, docs_site
from manifest_auth.http.pipeline import Pipeline
from manifest_auth.maintenance import background_jobs, signing_keys
from manifest_auth.maintenance.startup import build_services, opened
from manifest_auth.pages import brands, errors
from manifest_auth.pages.sign_in import authorize, single_sign_on
from manifest_auth.protocols.oauth import PREFIX
from manifest_auth.runtime import os_process
from manifest_auth.runtime.metrics import listen
from manifest_auth.runtime.os_process import drain_first, freeze_garbage, take_short_turns
from manifest_auth.runtime.revisions import HEAD
from manifest_auth.runtime.settings import load
from manifest_auth.services import RequestContext, Services
from manifest_auth.sessions.tokens import Purpose
from manifest_auth.sign_in.apps import logout
from manifest_auth.sign_in.passkeys import ceremonies

#: All routes of the API, in the order of ``/openapi.json`` and ``/docs/api``; pages have their own list.
ROUTES = (
    *auth.ROUTES,
    *identities.SIGN_IN_ROUTES,
    *single_sign_on.ROUTES,
    *identities.IDENTITY_ROUTES,
    *one_time_links.ROUTES,
    *auth.EMAIL_ROUTES,
    *claims.PROOF_ROUTES,
    *graphql_routes.ROUTES,
    *files.ROUTES,
    *audit.CLIENT_ROUTES,
    *auth.PROFILE_ROUTES,
    *second_factors.ROUTES,
    *devices.ROUTES,
    *clients.SETTINGS_ROUTES,
    *admins.SESSION_ROUTES,
    *clients.CLIENT_ROUTES,
    *users.USER_ROUTES,
    *providers.ROUTES,
    *claims.ROUTES,
    *service_accounts.ROUTES,
    *scim.ROUTES,
    *apps.ROUTES,
    *admin_devices.ROUTES,
    *users.IDENTITY_ROUTES,
    *clients.SESSION_ROUTES,
    *admins.ROUTES,
    *installation.ROUTES,
    *audit.ADMIN_ROUTES,
    *oauth.ROUTES,
    *provisioning.ROUTES,
    *authorize.ROUTES,
    *issuer.ROUTES,
    *operational_routes.ROUTES,
    *docs_site.routes(operational_routes.reference, errors.of_docs_site),
    *brands.ROUTES,
)


async def where_no_route_is(ctx: RequestContext, refusal: Refusal, head: Head, path: str) -> Answer[None]:
    """Returns the response for an unknown path or method; below ``/oauth2`` and ``/scim``, in the
    format of their RFCs."""
    if path.startswith(PREFIX):
        return await oauth.refused(ctx, refusal, head)
    if path.startswith(provisioning.PATH):
        return await provisioning.refused(ctx, refusal, head)
    return await errors.where_no_route_is(ctx, refusal, head, path)


def page_routes() -> tuple[Route, ...]:
    """Returns the routes of pages. They are imported with the first request for a page, so that startup needs less time
    and memory."""
    from manifest_auth.pages.all_pages import ROUTES as PAGES

    return PAGES


Scope = MutableMapping[str, Any]


class Application:
    """The ASGI application of one process."""

    def __init__(self, services: Services) -> None:
        self.services = services
        table = RouteTable(ROUTES, page_routes)
        operational_routes.describe(table.routes)
        self._pipeline = Pipeline(services, table, where_no_route_is)

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] == "http":
            await self._pipeline(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self.running())
            except Exception as error:  # noqa: BLE001 - reported to the server, which stops
                self.services.log.error("start_failed", error=f"{type(error).__name__}: {error}")
                if multiprocessing.parent_process() is not None:
                    os._exit(1)  # the parent restarts it; uvicorn's own status would end all processes
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            if seconds := self.services.settings.shutdown_drain:
                drain_first(seconds, self._drain)
            take_short_turns()
            freeze_garbage()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    def _drain(self) -> None:
        os_process.notify(os_process.STOPPING)
        self.services.log.info("draining", seconds=self.services.settings.shutdown_drain)
        self.services.draining = True
        self.services.store.state = "draining"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Opens the services and runs the background jobs."""
        settings = self.services.settings
        async with self.services.metrics.serving(several=settings.workers > 1), opened(self.services, serves=True):
            store, wakes = self.services.store, settings.database_wake == "auto"
            await store.join(settings.database_direct, self.services.log, wakes=wakes)
            if settings.metrics_listen and settings.workers == 1:
                listen(settings.metrics_listen, self.services.metrics.registry)
            self.services.metrics.runs(
                __version__, __commit__, HEAD, "postgresql" if settings.on_postgres else "sqlite"
            )
            jobs = [
                asyncio.create_task(background_jobs.run(self.services), name="sweeping"),
                asyncio.create_task(self.services.mail_queue.run(), name="mail-queue"),
                asyncio.create_task(domain_checks.run(self.services), name="domain-checks"),
                asyncio.create_task(daily_checks.run(self.services), name="provider-checks"),
                asyncio.create_task(daily_figures.run(self.services), name="figures"),
                asyncio.create_task(logout.run(self.services), name="logout-notices"),
                asyncio.create_task(os_process.watched(), name="watchdog"),
            ]
            if (recorder := self.services.recorder) is not None:
                recorder.start()
            await ceremonies.log_state(store, settings, self.services.log)
            used = self.services.keys.signing(Purpose.ACCESS).algorithm
            if ignored := signing_keys.ignored_algorithm(settings, used):
                self.services.log.warning("token_algorithm_ignored", reason=ignored)
            self.services.log.info("started", hashing=self.services.hasher.build)
            try:
                yield
            finally:
                for job in jobs:
                    job.cancel()
                await asyncio.gather(*jobs, return_exceptions=True)
                if recorder is not None:
                    await asyncio.to_thread(recorder.close)
                self.services.log.info("stopped")


def _exit_with_parent() -> None:
    """Ends one of several web processes if their parent process was killed.

    Otherwise it would continue to serve without supervision, and the next start would find the port in use.
    """
    if (parent := multiprocessing.parent_process()) is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def create() -> Application:
    """Creates the application of each web process, with settings from the environment."""
    if not faulthandler.is_enabled():  # a crash within a C library then shows where it came from
        faulthandler.enable(2)
    _exit_with_parent()
    gc.freeze()  # the modules
    return Application(build_services(load()))
