"""Loads the settings; a wrong or unknown one stops the start with one line.

They come from the command line, then ``MANIFEST_…`` environment variables, then an optional TOML file that
``MANIFEST_CONFIG`` names, then defaults.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from manifest_auth.runtime.settings.addresses import Network, networks_of
from manifest_auth.runtime.settings.name_servers import dns_servers
from manifest_auth.runtime.settings.passkeys import check_passkeys, passkey_origins
from manifest_auth.runtime.settings.values import PREFIX, Secret, Settings, SettingsError, variable
from manifest_auth.text.canonical import is_loopback_host


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Loads the settings. ``overrides``: from the command line; they win over ``environ``, then the TOML file, then
    defaults.

    Raises :class:`SettingsError` with one line for the operator.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    if path := environ.get("MANIFEST_CONFIG"):
        values |= _from_file(path)
    known = Settings.__struct_fields__
    for name, text in environ.items():
        # MANIFEST_AUTH_… is ignored: Kubernetes sets such variables for a service named manifest-auth.
        if not name.startswith(PREFIX) or name == "MANIFEST_CONFIG" or name.startswith("MANIFEST_AUTH_"):
            continue
        field = name.removeprefix(PREFIX).lower()
        if field not in known:
            raise SettingsError(f"{name} is not a setting{_hint(name)}")
        values[field] = text
    values |= {k: v for k, v in overrides.items() if v is not None}
    try:
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise SettingsError(_message(str(error))) from None
    _check(settings)
    return settings


def _from_file(path: str) -> dict[str, Any]:
    try:
        values = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"MANIFEST_CONFIG: {path}: {error}") from None
    for name in values:
        if name not in Settings.__struct_fields__:
            raise SettingsError(f"{path}: {name} is not a setting{_hint(variable(name))}")
    return values


def _hint(name: str) -> str:
    close = difflib.get_close_matches(name.removeprefix(PREFIX).lower(), Settings.__struct_fields__, n=1)
    return f"; did you mean {variable(close[0])}?" if close else ""


def _decode(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError


def _message(text: str) -> str:
    """The message for the operator: replaces msgspec's "… - at `$.port`" by the variable."""
    message, _, path = text.partition(" - at `$.")
    message = message.replace("Expected `int`, got `str`", "Expected a whole number")
    message = message.replace("Expected `float`, got `str`", "Expected a number").replace("`", "")
    return f"{variable(path.rstrip('`'))}: {message}" if path else message


def _check(settings: Settings) -> None:
    url = urlsplit(settings.public_url)
    try:
        sane = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        sane = False
    if not sane or url.path not in ("", "/") or url.query or url.fragment or url.username:
        raise SettingsError("MANIFEST_PUBLIC_URL: must be http(s)://HOST[:PORT] without a path")
    if settings.rate_limits == "off" and not (settings.is_loopback and is_loopback_host(settings.host)):
        raise SettingsError("MANIFEST_RATE_LIMITS: off is allowed only on a loopback address")
    if not settings.database.startswith(("sqlite:///", "postgresql://")) or settings.database == "sqlite:///":
        raise SettingsError("MANIFEST_DATABASE_URL: must be sqlite:///FILE or postgresql://…")
    if settings.database_direct_url and not (
        settings.on_postgres and settings.database_direct_url.startswith("postgresql://")
    ):
        raise SettingsError("MANIFEST_DATABASE_DIRECT_URL: must be postgresql://…, beside such a MANIFEST_DATABASE_URL")
    for field in ("database_url", "database_direct_url"):
        if _has_several_hosts(getattr(settings, field)):
            raise SettingsError(
                f"{variable(field)}: must name one host; put a proxy or a DNS name that follows the primary"
            )
    if settings.on_postgres and not settings.secret_key:
        raise SettingsError("MANIFEST_SECRET_KEY: required with PostgreSQL, the same on every node")
    checks: tuple[tuple[str, Callable[[Settings], object]], ...] = (
        ("trusted_proxies", proxy_networks),
        ("admin_addresses", admin_networks),
        ("dns_servers", dns_servers),
        ("passkey_rp_id", check_passkeys),
        ("passkey_origins", passkey_origins),
    )
    for field, check in checks:
        try:
            check(settings)
        except ValueError as error:
            raise SettingsError(f"{variable(field)}: {error}") from None
    try:
        _ = settings.private_targets
    except ValueError as error:
        raise SettingsError(f"{variable('outgoing_private')}: {error}") from None
    if settings.operator_email and not re.fullmatch(r"[^\s@<>]{1,64}@[^\s@<>]{1,189}", settings.operator_email):
        raise SettingsError("MANIFEST_OPERATOR_EMAIL: must be one e-mail address")
    if settings.microsoft_app_id and not settings.microsoft_app_secret:
        raise SettingsError("MANIFEST_MICROSOFT_APP_ID: goes together with MANIFEST_MICROSOFT_APP_SECRET")
    if settings.microsoft_app_secret and not settings.microsoft_app_id:
        raise SettingsError("MANIFEST_MICROSOFT_APP_SECRET: goes together with MANIFEST_MICROSOFT_APP_ID")
    port = settings.metrics_listen.rpartition(":")[2]
    if settings.metrics_listen and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise SettingsError("MANIFEST_METRICS_LISTEN: must be HOST:PORT")
    if "://" in settings.files and not re.fullmatch(r"s3://[^/]+(/.*)?", settings.files):
        raise SettingsError("MANIFEST_FILES: must be a folder or s3://BUCKET/PREFIX")
    if not re.fullmatch(r"(https?://[^/]+/?)?", settings.files_endpoint):
        raise SettingsError("MANIFEST_FILES_ENDPOINT: must be http(s)://HOST[:PORT]")
    if settings.refresh_token_ttl < settings.access_token_ttl:
        raise SettingsError("MANIFEST_REFRESH_TOKEN_TTL: must not be shorter than MANIFEST_ACCESS_TOKEN_TTL")


def _has_several_hosts(url: str) -> bool:
    """Whether a PostgreSQL address names hosts to try one after the other: a silent one would use up the time of a
    login."""
    parts = urlsplit(url)
    hosts = [parts.netloc.rpartition("@")[2], *parse_qs(parts.query).get("host", ())]
    return parts.scheme == "postgresql" and any("," in host for host in hosts)


def check_listener(settings: Settings) -> None:
    """Raises SettingsError when other machines can reach the listener while the public address is loopback or plain
    http, unless the operator allowed it: what a loopback address opens would be open to all of them."""
    if is_loopback_host(settings.host) or settings.insecure_public_url == "allowed":
        return
    if settings.is_loopback or not settings.secure_cookies:
        raise SettingsError(
            f"MANIFEST_PUBLIC_URL: {settings.public_url} is not safe while others reach the listener on "
            f"{settings.host or 'all addresses'}; set it to the https address that browsers use, or set "
            "MANIFEST_INSECURE_PUBLIC_URL=allowed"
        )


def proxy_networks(settings: Settings) -> tuple[Network, ...]:
    """The networks of ``trusted_proxies``. Raises ValueError."""
    return networks_of(settings.trusted_proxies)


def admin_networks(settings: Settings) -> tuple[Network, ...]:
    """The networks of ``admin_addresses``. Raises ValueError."""
    return networks_of(settings.admin_addresses)
