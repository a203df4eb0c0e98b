"""Every knob with its default, its bounds and its sentence; ``docs/settings.md`` is generated from this file.

Values come from ``MANIFEST_…`` environment variables and, below them, an optional TOML file named by
``MANIFEST_CONFIG``. A wrong or unknown setting stops the start with one line (:class:`SettingsError`).
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

PREFIX = "MANIFEST_"
MINUTE, HOUR, DAY = 60, 3600, 86400


class SettingsError(Exception):
    """A setting is wrong; the text is one line for the operator."""


class Secret:
    """A text that must not be printed; ``reveal()`` is the only way to its value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)


def _about(sentence: str, **bounds: Any) -> Meta:
    return Meta(description=sentence, **bounds)


Seconds = int


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of one process. Build it with :func:`load`."""

    public_url: Annotated[
        str,
        _about("Address under which people and programs reach this server; subdomains of it name clients."),
    ] = "http://127.0.0.1:8080"
    host: Annotated[str, _about("Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, _about("Port to listen on.", ge=0, le=65535)] = 8080
    workers: Annotated[int, _about("Number of web processes.", ge=1, le=64)] = 1
    data_dir: Annotated[str, _about("Folder of the SQLite store and the secret key.")] = "./data"
    database_url: Annotated[
        str, _about("`sqlite:///FILE` or `postgresql://…`. Empty: `manifest-auth.db` in the data folder.")
    ] = ""
    database_pool: Annotated[int, _about("PostgreSQL connections of each process.", ge=2, le=200)] = 8
    secret_key: Annotated[
        Secret | None,
        _about(
            "Encrypts secrets at rest; 32 random bytes as 64 hexadecimal digits or base64. "
            "SQLite: made and kept in the data folder when absent. PostgreSQL: required."
        ),
    ] = None
    deployment: Annotated[
        Literal["hosted", "on-premise"], _about("`on-premise` asks for a licence; `hosted` does not.")
    ] = "hosted"
    license_public_key: Annotated[
        str, _about("Ed25519 public key that on-premise licences are checked with, 32 bytes in base64.")
    ] = ""
    access_token_ttl: Annotated[Seconds, _about("Life of an access token, seconds.", ge=1, le=30 * DAY)] = 24 * HOUR
    refresh_token_ttl: Annotated[Seconds, _about("Life of a refresh token, seconds.", ge=2, le=400 * DAY)] = 30 * DAY
    session_idle_ttl: Annotated[
        Seconds, _about("A session cookie dies after so many seconds without use.", ge=2, le=400 * DAY)
    ] = 7 * DAY
    session_max_ttl: Annotated[
        Seconds, _about("A session dies after so many seconds, whatever its use.", ge=2, le=400 * DAY)
    ] = 30 * DAY
    refresh_grace: Annotated[
        Seconds, _about("For so many seconds a replaced refresh token is answered again.", ge=0, le=300)
    ] = 10
    admin_session_ttl: Annotated[Seconds, _about("A system admin's session dies after so many seconds.", ge=60)] = (
        12 * HOUR
    )
    admin_access_token_ttl: Annotated[
        Seconds, _about("Life of a system admin's access token, seconds.", ge=1, le=DAY)
    ] = 15 * MINUTE
    token_algorithm: Annotated[
        Literal["HS256", "ES256"],
        _about("Signs users' access tokens; ES256 publishes its keys at `/.well-known/jwks.json`."),
    ] = "HS256"
    token_issuer: Annotated[str, _about("`iss` of access tokens. Empty: the public address.")] = ""
    argon2_memory: Annotated[int, _about("Argon2id memory, KiB.", ge=8, le=4 * 1024 * 1024)] = 19456
    argon2_passes: Annotated[int, _about("Argon2id passes.", ge=1, le=100)] = 2
    argon2_lanes: Annotated[int, _about("Argon2id lanes.", ge=1, le=16)] = 1
    hash_workers: Annotated[
        int,
        _about(
            "Password hashes computed at once in each web process. 0: the cores, shared among the processes.",
            ge=0,
            le=64,
        ),
    ] = 0
    hash_queue: Annotated[
        int, _about("Hashes that may wait; beyond that sign-ins are answered `OVERLOADED`.", ge=1, le=10000)
    ] = 64
    trusted_proxies: Annotated[
        str, _about("Addresses or networks, comma separated, whose `X-Forwarded-For` is believed.")
    ] = ""
    rate_limits: Annotated[
        Literal["on", "off"], _about("`off` only for benchmarks, and only on a loopback address.")
    ] = "on"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _about("Least level that is logged.")] = "info"
    log_requests: Annotated[
        Literal["all", "changes", "none"],
        _about("Which requests are logged: all, all but successful reads, or none (refusals are always)."),
    ] = "changes"
    metrics_token: Annotated[Secret | None, _about("Bearer token that opens `/metrics`.")] = None
    metrics_listen: Annotated[str, _about("`HOST:PORT` of a listener of its own for `/metrics`.")] = ""
    introspection: Annotated[
        Literal["auto", "on", "off"], _about("GraphQL introspection; `auto` is on for a loopback public address.")
    ] = "auto"
    microsoft_cloud: Annotated[
        Literal["global", "us-gov", "us-dod", "china", "custom"],
        _about("Microsoft cloud of providers that name none: login, Graph and Dataverse hosts together."),
    ] = "global"
    microsoft_custom_cloud: Annotated[
        str,
        _about(
            "Addresses of the cloud `custom`: `login=URL graph=URL dataverse=URL`, and `issuer=URL sts=URL` where the "
            "issuers in tokens are not below login."
        ),
    ] = ""
    demo_password: Annotated[Secret | None, _about("One password for all demo accounts of `serve --demo`.")] = None
    outgoing_private: Annotated[
        Literal["auto", "on", "off"],
        _about(
            "Whether identity providers at private, link-local or loopback addresses may be called; "
            "`auto`: on premise, and while the public address is loopback."
        ),
    ] = "auto"
    provider_timeout: Annotated[
        float, _about("All calls to identity providers of one sign-in get so many seconds together.", ge=0.5, le=30)
    ] = 2.5
    shutdown_grace: Annotated[
        Seconds, _about("On SIGTERM, requests under way get so many seconds to end.", ge=1, le=600)
    ] = 20

    @property
    def issuer(self) -> str:
        return self.token_issuer or self.public_url.rstrip("/")

    @property
    def is_loopback(self) -> bool:
        """Whether the public address is this machine only."""
        return is_loopback_host(urlsplit(self.public_url).hostname or "")

    @property
    def secure_cookies(self) -> bool:
        return not self.public_url.startswith("http://")

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{Path(self.data_dir) / 'manifest-auth.db'}"

    @property
    def on_postgres(self) -> bool:
        return self.database.startswith("postgresql")

    @property
    def introspects(self) -> bool:
        return self.introspection == "on" or (self.introspection == "auto" and self.is_loopback)

    @property
    def calls_private(self) -> bool:
        """Whether providers at addresses that are not public may be called. Where strangers are tenants, they name the
        providers, and must not reach the network that this server stands in."""
        if self.outgoing_private != "auto":
            return self.outgoing_private == "on"
        return self.deployment == "on-premise" or self.is_loopback


@lru_cache(maxsize=64)
def is_loopback_host(host: str) -> bool:
    """Whether only this machine is reached under it. An IPv4 address in the dress of an IPv6 one is not meant by those
    who write ``127.0.0.1``, and releases of Python disagree about it."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
        return address.is_loopback and getattr(address, "ipv4_mapped", None) is None
    except ValueError:
        return False


def variable(field: str) -> str:
    """Name of the environment variable of a setting."""
    return PREFIX + field.upper()


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Reads the settings: overrides (command line), then environment, then the TOML file, then defaults.

    Raises :class:`SettingsError` with one line for the operator.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    if path := environ.get("MANIFEST_CONFIG"):
        values |= _from_file(path)
    known = Settings.__struct_fields__
    for name, text in environ.items():
        # MANIFEST_AUTH_… is left alone: Kubernetes sets such variables for a service named manifest-auth.
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
        raise SettingsError(_sentence(str(error))) from None
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


def _sentence(text: str) -> str:
    """msgspec says "… - at `$.port`"; the operator knows the variable."""
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
    if settings.on_postgres and not settings.secret_key:
        raise SettingsError("MANIFEST_SECRET_KEY: required with PostgreSQL, the same on every node")
    try:
        proxy_networks(settings)
    except ValueError as error:
        raise SettingsError(f"MANIFEST_TRUSTED_PROXIES: {error}") from None
    port = settings.metrics_listen.rpartition(":")[2]
    if settings.metrics_listen and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise SettingsError("MANIFEST_METRICS_LISTEN: must be HOST:PORT")
    if settings.refresh_token_ttl < settings.access_token_ttl:
        raise SettingsError("MANIFEST_REFRESH_TOKEN_TTL: must not be shorter than MANIFEST_ACCESS_TOKEN_TTL")


def proxy_networks(settings: Settings) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """The networks of ``trusted_proxies``. Raises ValueError."""
    parts = (p.strip() for p in settings.trusted_proxies.split(","))
    return tuple(ipaddress.ip_network(p, strict=False) for p in parts if p)
