"""``manifest-auth doctor``: checks for common problems, and prints a line with the remedy for each."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from manifest_auth.maintenance import signing_keys, upgrade_state
from manifest_auth.maintenance.backup import backup_finding
from manifest_auth.maintenance.doctor import environment, storage
from manifest_auth.maintenance.doctor.environment import Finding, bad, note, ok
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.files import FilesUnavailable, open_storage
from manifest_auth.runtime.hashing import builds
from manifest_auth.runtime.mail import NotSent, check_connection, server_of
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.os_process import user_name
from manifest_auth.runtime.recorders import open_recorder
from manifest_auth.runtime.revisions import HEAD
from manifest_auth.runtime.sealing import KEY_FILE, Sealer, secret_keys
from manifest_auth.runtime.settings import Settings, SettingsError
from manifest_auth.sessions import tokens
from manifest_auth.store import StoreUnavailable, open_store

_MAIL_SECONDS = 5.0


def _no_progress(_what: str, _done: int) -> None:
    """Ignores progress."""


async def examine(
    settings: Settings, show: Callable[[str, int], None] = _no_progress, sealed_s: float = storage.SECONDS
) -> AsyncIterator[Finding]:
    """Yields the findings one by one. Leaves nothing behind. ``show`` gets the progress of long checks, and
    ``sealed_s`` is the number of seconds for opening sealed values."""
    yield environment.plausible(Clock().now_ms())
    why = storage.unusable(settings)
    if why:  # checks of its contents would fail for the same reason
        yield bad(f"data folder: {why}")
    else:
        for finding in _secret(settings):
            yield finding
        for finding in environment.running_findings(settings):
            yield finding
    for finding in await environment.address(settings):
        yield finding
    if settings.rate_limits == "off":
        yield bad("rate limits: MANIFEST_RATE_LIMITS is off; remove it")
    yield _hashing()
    yield await _mail(settings)
    if settings.tracing == "on":
        yield await _tracing(settings)
    if not why:
        yield await _files(settings)
        for finding in storage.storage_findings(settings):
            yield finding
    elif not settings.on_postgres:
        return
    async for finding in _store(settings, show, sealed_s):
        yield finding


def _secret(settings: Settings) -> list[Finding]:
    path = Path(settings.data_dir) / KEY_FILE
    if settings.secret_key is None and not path.exists():
        return []  # the database decides whether there must be one
    me = user_name(os.getuid())
    if settings.secret_key is None and not os.access(path, os.R_OK):
        return [
            bad(
                f"secret key: {path} belongs to {user_name(path.stat().st_uid)}, and {me} can't "
                f"read it; run: chown {me} {path}"
            )
        ]
    try:
        secret_keys(settings)
    except SettingsError as error:
        return [bad(f"secret key: {error}")]
    found = [ok("secret key: present")]
    if settings.secret_key is None and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        found.append(bad(f"secret key: others can read {path}; run: chmod 600 {path}"))
    if settings.secret_key is None and path.stat().st_uid != os.getuid():
        found.append(bad(f"secret key: {path} belongs to {user_name(path.stat().st_uid)}; run: chown {me} {path}"))
    return found


def _hashing() -> Finding:
    try:
        build = builds.choose()
    except RuntimeError:
        return bad("hashing: no Argon2 build computes correct hashes; reinstall argon2-cffi-bindings")
    if build.name == builds.WHEEL:
        return note(
            "hashing: uses the wheel. A build for this processor is about twice as fast. With pip and a C "
            "compiler, create it with `python -m manifest_auth.runtime.hashing.compile`"
        )
    return ok(f"hashing: built for this processor ({build.name})")


async def _mail(settings: Settings) -> Finding:
    try:
        server = server_of(settings)
        if server is None:
            return note("mail: no server is set up, so administrators get one-time links to send themselves")
        await asyncio.to_thread(check_connection, server, _MAIL_SECONDS)
    except ValueError as error:
        return bad(f"mail: {error}")
    except NotSent as error:
        return bad(
            f"mail: the server of MANIFEST_SMTP_URL doesn't accept mail ({error}); check its "
            "address, user name, and password, and the firewall"
        )
    return ok(f"mail: {server.host}:{server.port} accepts mail")


async def _tracing(settings: Settings) -> Finding:
    try:
        recorder = open_recorder(settings, Metrics(), Random())
    except SettingsError as error:
        return bad(f"tracing: {error}")
    if recorder is not None and await asyncio.to_thread(recorder.check):
        return ok("tracing: the collector accepts spans")
    return bad("tracing: the collector doesn't accept spans; check OTEL_EXPORTER_OTLP_ENDPOINT and the firewall")


async def _files(settings: Settings) -> Finding:
    try:
        return ok(f"files: {await open_storage(settings).check()}")
    except (FilesUnavailable, SettingsError) as error:
        return bad(f"files: {error}; see MANIFEST_FILES")


async def _store(settings: Settings, show: Callable[[str, int], None], sealed_s: float) -> AsyncIterator[Finding]:
    kind = "PostgreSQL" if settings.on_postgres else settings.database
    try:
        if settings.on_postgres:
            from manifest_auth.maintenance.doctor.postgres import pooler_findings

            if poolers := await pooler_findings(settings):
                for finding in poolers:
                    yield finding
                return
        upgraded = await upgrade_state.read(settings)
    except StoreUnavailable as error:
        advice = "check that it is running, and check MANIFEST_DATABASE_URL"
        if not settings.on_postgres:
            advice = "check MANIFEST_DATABASE_URL; if the database is damaged, keep the file, and restore a backup"
        yield bad(f"database: {error}; {advice}")
        return
    if upgraded is None:
        yield note(f"database: {kind} is empty; the first start creates the tables, and a secret key if none is set")
        return
    yield ok(f"database: {kind} can be reached")
    if settings.on_postgres:
        from manifest_auth.maintenance.doctor.postgres import postgres_findings, rights_and_space

        found = await postgres_findings(settings)
    else:
        found = await storage.integrity(settings)
    for finding in found:
        yield finding
    yield Finding({"current": "ok", "refused": "bad"}.get(upgraded.word, "note"), upgraded.told)
    if upgraded.word == "refused" or upgraded.schema.number < HEAD:
        return
    store = open_store(settings.database, 2)
    await store.open()
    try:
        if settings.on_postgres:
            for finding in await rights_and_space(settings):
                yield finding
        results = [
            *await storage.store_writes(store),
            *await storage.file_writes(settings, store),
            *await environment.compared(store, Clock().now_ms()),
            Finding(*await backup_finding(store)),
            *await environment.licence_findings(settings, store),
        ]
        results += await environment.claim_findings(settings, store)
        results += await environment.passkey_findings(settings, store)
        results += await environment.scim_findings(store, Clock().now_ms())
        used = await store.read(tokens.access_algorithm)
        if used and (ignored := signing_keys.ignored_algorithm(settings, used)):
            results.append(bad(f"signing keys: {ignored}"))
        for finding in results:
            yield finding
        for finding in await storage.sealed_findings(store, Sealer(secret_keys(settings), Random()), show, sealed_s):
            yield finding
    except SettingsError as error:
        if settings.secret_key is None and not (Path(settings.data_dir) / KEY_FILE).exists():
            yield bad(f"secret key: {error}; restore the copy that you kept, because backups don't contain it")
        # Otherwise, the key is invalid, which was reported above.
    except StoreUnavailable as error:
        yield bad(f"database: {error}")
    finally:
        await store.close()
