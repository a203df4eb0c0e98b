"""Builds, opens, and closes the services of a process: a server, or a command.

Doesn't know routes or pages, so commands don't load them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from manifest_auth.accounts.admins import AdminNetworks
from manifest_auth.accounts.mail_queue import MailQueue
from manifest_auth.audit.events import Refusals
from manifest_auth.licence import Gate
from manifest_auth.maintenance import last_backup
from manifest_auth.protocols import oidc
from manifest_auth.protocols.microsoft import Clouds, Microsoft
from manifest_auth.runtime import logs
from manifest_auth.runtime.bounded_thread import BoundedThread
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.files import open_storage
from manifest_auth.runtime.hashing import Hasher
from manifest_auth.runtime.logs import Outages
from manifest_auth.runtime.mail import Mail, Server, server_of
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.runtime.recorders import open_recorder
from manifest_auth.runtime.sealing import Macs, Sealer, keys_of_a_start
from manifest_auth.runtime.settings import Settings, SettingsError, variable
from manifest_auth.services import Services
from manifest_auth.sessions import Principals
from manifest_auth.sessions.tokens import KeyRing, ServiceTokens, TokenTools, VerifiedTokens
from manifest_auth.sign_in.providers.entra_bearer import EntraTokens
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.store import open_store
from manifest_auth.store.migrate import Progress, find_schema, is_new, upgrade
from manifest_auth.tenants import OriginIndex
from manifest_auth.tenants.claims import DomainRecords
from manifest_auth.throttle import AnonymousLimits, Bursts, Throttle, WrongSecrets


def build_services(settings: Settings, clock: Clock | None = None, random: Random | None = None) -> Services:
    """Returns the services of a process, not yet connected or started. Raises SettingsError."""
    clock, random = clock or Clock(), random or Random()
    metrics = Metrics(KINDS)
    secrets = keys_of_a_start(settings, random, lambda: is_new(settings.database))
    store = open_store(settings.database, settings.database_pool, metrics, Macs(secrets))
    sealer = Sealer(secrets, random)
    keys = KeyRing(store, sealer, settings, clock, random)
    outgoing, clouds, log = Outgoing(settings, metrics), _clouds(settings), logs.build(settings.log_level)
    licence, mail = Gate(settings, store, clock), Mail(_mail_server(settings), clock, random, log, metrics)
    mail_queue = MailQueue(mail, store, sealer, clock, random, log)
    throttle = Throttle(settings, metrics)
    return Services(
        settings=settings,
        clock=clock,
        random=random,
        log=log,
        metrics=metrics,
        store=store,
        sealer=sealer,
        hasher=Hasher(settings, random, metrics, lambda: store.is_gone),
        keys=keys,
        tokens=TokenTools(settings, keys, random),
        verified=VerifiedTokens(keys, settings.issuer, settings.oauth_issuer, metrics),
        service_tokens=ServiceTokens(keys, settings.oauth_issuer, metrics),
        principals=Principals(store, metrics, clock),
        admin_networks=AdminNetworks(settings, store),
        licence=licence,
        seats=licence,
        outgoing=outgoing,
        oidc=oidc.Client(outgoing, clock, lambda issuer: clouds.discovery_of(issuer) or oidc.address_of(issuer)),
        microsoft=Microsoft(outgoing, clock, clouds),
        entra=EntraTokens(),
        # A large response takes about 15 ms, and any caller can send one, so 32 take half a second.
        saml_thread=BoundedThread("saml", 32),
        files=open_storage(settings),
        file_outages=Outages("files", log),
        mail=mail,
        mail_queue=mail_queue,
        throttle=throttle,
        anonymous_limits=AnonymousLimits(throttle),
        wrong_secrets=WrongSecrets(throttle, store, clock),
        scim_bursts=Bursts(throttle, clock),
        domain_records=DomainRecords(settings, log, clock),
        origin_index=OriginIndex(store),
        refusals=Refusals(clock, store),
        started_at=clock.now_ms(),
        recorder=open_recorder(settings, metrics, random),
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
async def opened(
    services: Services,
    *,
    hashing: bool = True,
    serves: bool = False,
    upgrades: bool = True,
    progress: Progress = lambda *_: None,
) -> AsyncIterator[Services]:
    """Opens the services with an up-to-date schema, connected and started, and closes them at the end. ``serves`` means
    that this process signs tokens for callers. Without ``upgrades``, only an empty database gets a schema. ``progress``
    shows an upgrade.

    Raises StoreUnavailable, SchemaRefused, or CannotOpen (a wrong secret key).
    """
    settings = services.settings
    upgrades = upgrades or await find_schema(settings.database_direct) is None
    may_change = upgrades and settings.database_upgrade == "start"
    await upgrade(settings.database_direct, lambda: services.sealer.keys, progress, may_change=may_change)
    await services.store.open()
    starting = asyncio.create_task(services.hasher.start()) if hashing else None
    try:
        await services.keys.load(serves=serves)
        await last_backup.record_restore_and_upgrade(services.store, services.clock.now_ms())
        if starting is not None:
            await starting
        yield services
    finally:
        if starting is not None:
            await asyncio.wait([starting])
        await services.mail.close()
        await services.hasher.close()
        services.saml_thread.close()
        await services.outgoing.close()
        await services.store.close()
