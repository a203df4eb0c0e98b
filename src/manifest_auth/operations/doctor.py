"""``manifest-auth doctor``: looks at what commonly goes wrong and says, one line each, what to do."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from manifest_auth.clock import Clock, Random
from manifest_auth.files import FilesUnavailable, open_keeper
from manifest_auth.mail import NotSent, server_of, try_out
from manifest_auth.operations.doctor_licence import licence_findings
from manifest_auth.operations.doctor_places import integrity, places
from manifest_auth.operations.noting import backup_finding
from manifest_auth.passwords import builds
from manifest_auth.sealing import KEY_FILE, CannotOpen, Sealer, secret_keys
from manifest_auth.settings import Settings, SettingsError, admin_networks, proxy_networks
from manifest_auth.store import StoreUnavailable, open_store
from manifest_auth.store.migrate import HEAD, current_version

_MAIL_SECONDS = 5.0
_EARLIEST = 1_767_225_600  # 2026-01-01: a clock before that is wrong


class Finding(NamedTuple):
    """``level``: ``ok``, ``note`` or ``bad``."""

    level: str
    text: str


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """The findings, one after the other. Changes nothing."""
    yield _clock()
    for finding in (*_secret(settings), *_address(settings), _hashing()):
        yield finding
    yield await _mail(settings)
    yield await _files(settings)
    for level, text in places(settings):
        yield Finding(level, text)
    async for finding in _store(settings):
        yield finding


def _clock() -> Finding:
    if Clock().now_ms() // 1000 < _EARLIEST:
        return Finding("bad", "clock: it is set to the past; tokens will be refused. Set it, better by NTP")
    return Finding("ok", "clock: plausible")


def _secret(settings: Settings) -> list[Finding]:
    path = Path(settings.data_dir) / KEY_FILE
    if settings.secret_key is None and not path.exists():
        return [Finding("note", f"secret key: {path} does not exist yet and will be made at the first start")]
    try:
        secret_keys(settings, Random())
    except SettingsError as error:
        return [Finding("bad", f"secret key: {error}")]
    found = [Finding("ok", "secret key: present")]
    if settings.secret_key is None and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        found.append(Finding("bad", f"secret key: others can read {path}; run: chmod 600 {path}"))
    if settings.secret_key is None and path.stat().st_uid != os.getuid():
        found.append(Finding("bad", f"secret key: {path} belongs to another user; run: chown {os.getuid()} {path}"))
    return found


def _address(settings: Settings) -> list[Finding]:
    found = []
    if settings.secure_cookies:
        found.append(Finding("ok", f"public address: {settings.public_url}"))
        if not settings.trusted_proxies:
            found.append(Finding("note", "proxy: MANIFEST_TRUSTED_PROXIES is empty; behind a proxy, every caller seems "
                                         "to come from the proxy's address"))  # fmt: skip
    elif settings.is_loopback:
        found.append(Finding("note", f"public address: {settings.public_url} reaches this machine only"))
    else:
        url = settings.public_url
        found.append(Finding("bad", f"public address: {url} is plain http; tokens and cookies can be read on the way. "
                                    "Put TLS in front and set MANIFEST_PUBLIC_URL to https://…"))  # fmt: skip
    proxies, admins = proxy_networks(settings), admin_networks(settings)
    if any(one.version == other.version and one.overlaps(other) for one in proxies for other in admins):
        found.append(Finding("note", "proxy: MANIFEST_ADMIN_ADDRESSES holds addresses of MANIFEST_TRUSTED_PROXIES; "
                                     "what one sends without X-Forwarded-For passes. Leave them out"))  # fmt: skip
    if settings.rate_limits == "off":
        found.append(Finding("bad", "throttle: MANIFEST_RATE_LIMITS is off; unset it"))
    return found


def _hashing() -> Finding:
    for build in builds.candidates():
        if builds.works(build):
            if build.name == "wheel":
                return Finding("note", "hashing: the wheel is used; `python -m manifest_auth.passwords.compile` makes "
                                       "a build for this processor, about twice as fast")  # fmt: skip
            return Finding("ok", f"hashing: {build.name}")
    return Finding("bad", "hashing: no Argon2 build computes the right answer; reinstall argon2-cffi-bindings")


async def _mail(settings: Settings) -> Finding:
    try:
        server = server_of(settings)
        if server is None:
            return Finding("note", "mail: no server is set up; one-time links are shown to whoever asks for them")
        await asyncio.to_thread(try_out, server, _MAIL_SECONDS)
    except ValueError as error:
        return Finding("bad", f"mail: {error}")
    except NotSent as error:
        return Finding("bad", f"mail: the server of MANIFEST_SMTP_URL does not take mail: {error}")
    return Finding("ok", f"mail: {server.host}:{server.port} takes mail")


async def _files(settings: Settings) -> Finding:
    try:
        return Finding("ok", f"files: {await open_keeper(settings).check()}")
    except (FilesUnavailable, SettingsError) as error:
        return Finding("bad", f"files: {error}; see MANIFEST_FILES")


async def _store(settings: Settings) -> AsyncIterator[Finding]:
    kind = "PostgreSQL" if settings.on_postgres else settings.database
    try:
        version = await current_version(settings.database)
    except StoreUnavailable as error:
        yield Finding("bad", f"store: {error}")
        return
    if version is None:
        yield Finding("note", f"store: {kind} is empty; the first start makes the tables")
        return
    yield Finding("ok", f"store: {kind} can be reached")
    for level, text in await integrity(settings):
        yield Finding(level, text)
    if version == HEAD:
        yield Finding("ok", f"schema: {version}, current")
    elif version > HEAD:
        yield Finding("bad", f"schema: {version} is newer than this release, which knows {HEAD}; upgrade the program")
        return
    else:
        yield Finding("note", f"schema: {version}, this release brings {HEAD}; the next start or `db upgrade` upgrades")
        return
    store = open_store(settings.database, 2)
    await store.open()
    try:
        for level, text in (await backup_finding(store), *await licence_findings(settings, store)):
            yield Finding(level, text)
        from manifest_auth.clock import Clock
        from manifest_auth.tokens import KeyRing

        ring = KeyRing(store, Sealer(secret_keys(settings, Random()), Random()), settings, Clock(), Random())
        await ring.refresh()
        yield Finding("ok", "signing keys: they open with the secret key")
    except SettingsError:
        return  # the secret key is no key, as was said before
    except CannotOpen:
        yield Finding("bad", "signing keys: the secret key is not the one that this store was made with; restore it")
    finally:
        await store.close()
