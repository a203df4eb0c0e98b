"""Loads the settings; an invalid or unknown one stops the start with one line.

They come from the command line, then ``MANIFEST_…`` environment variables, then an optional TOML file that
``MANIFEST_CONFIG`` names, then defaults. Secrets and addresses of databases can be files of their own.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from manifest_auth.runtime.settings.sources import Given, gather
from manifest_auth.runtime.settings.values import (
    ADDRESSES,
    PREFIX,
    Network,
    Secret,
    Settings,
    SettingsError,
    networks_of,
    variable,
)
from manifest_auth.text.canonical import DOMAIN, is_loopback_host

_ANDROID = re.compile(r"android:apk-key-hash:[A-Za-z0-9_-]{43}\Z")
_LOCAL = "localhost"


def public_origin(settings: Settings) -> str:
    """Returns the origin of the public address as browsers write it: lower case, without the scheme's default port (RFC
    6454, section 6.2)."""
    return _origin(settings.public_url)


def why_no_passkeys(settings: Settings) -> str:
    """Returns why browsers don't create passkeys at the public address; empty if they do (WebAuthn Level 3, section
    5.1.3: a secure context, and a domain)."""
    host = public_host(settings)
    if _is_address(host):
        return "the public address is an IP address, and passkeys require a host name"
    if not settings.secure_cookies and not is_below(host, _LOCAL):
        return "the public address is plain HTTP, and passkeys require HTTPS"
    return ""


def passkey_rp_id(settings: Settings) -> str:
    """Returns the RP ID from the settings: the public host, or the parent domain that they name."""
    return settings.passkey_rp_id or public_host(settings)


def passkey_origins(settings: Settings) -> tuple[str, ...]:
    """Returns the origins at which a passkey can be created and used, the public one first. Raises ValueError."""
    named = tuple(part.strip() for part in settings.passkey_origins.split(",") if part.strip())
    for origin in named:
        if not _ANDROID.match(origin) and not _is_https_below(origin, passkey_rp_id(settings)):
            raise ValueError(f"{origin} isn't an https origin below {passkey_rp_id(settings)} or an Android key hash")
    return (public_origin(settings), *named)


def check_passkeys(settings: Settings) -> None:
    """Raises ValueError with a line for the operator if the RP ID isn't a parent of the public host."""
    rp_id = settings.passkey_rp_id
    if rp_id and not (DOMAIN.match(rp_id) and is_below(public_host(settings), rp_id) and not _is_address(rp_id)):
        raise ValueError("must be the host of the public address, or a parent domain of it, in lowercase")


def is_below(host: str, domain: str) -> bool:
    """Whether the host is the domain or a name below it."""
    return host == domain or host.endswith(f".{domain}")


def public_host(settings: Settings) -> str:
    """Returns the host of the public address, in lower case."""
    return urlsplit(settings.public_url).hostname or ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_https_below(origin: str, domain: str) -> bool:
    try:
        url = urlsplit(origin)
        return url.scheme == "https" and is_below(url.hostname or "", domain) and _origin(origin) == origin
    except ValueError:
        return False


def _origin(address: str) -> str:
    url = urlsplit(address)
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    implied = {"http": 80, "https": 443}[url.scheme]
    port = "" if url.port in (None, implied) else f":{url.port}"
    return f"{url.scheme}://{host}{port}"


# Reads the file that ``--env-file`` names: settings and other variables, one ``NAME=VALUE`` per line.
#
# Nothing in it is run or expanded. Accepted lines mean the same to systemd (``EnvironmentFile=``). Anything that
# systemd or a shell would read differently, like a backslash, is rejected unless quotes make it unambiguous.


_BLANK = " \t\r"
_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"\\]*)\"")


def adopt(path: str, environ: MutableMapping[str, str] | None = None) -> None:
    """Puts the variables of the file into the environment, which the web processes inherit.

    Raises :class:`SettingsError` for a file that cannot be read, and for a setting that has another value in the
    environment, because either choice would be surprising.
    """
    environ = os.environ if environ is None else environ
    found = read_variables(path)
    for name, value in found.items():
        if name.startswith(PREFIX) and environ.get(name, value) != value:
            raise SettingsError(f"{name}: the environment and {path} set different values; keep only one of them")
    environ.update(found)


def read_variables(path: str) -> dict[str, str]:
    """Returns the variables of the file. Raises :class:`SettingsError` with one line, which names no value."""
    try:
        text = Path(path).read_bytes().decode()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: isn't UTF-8") from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip(_BLANK)
        if not line or line[0] in "#;":
            continue
        where = f"{path}, line {number}"
        matched = _LINE.fullmatch(line)
        if matched is None:
            raise SettingsError(f"{where}: isn't NAME=VALUE")
        name, value = matched[1], matched[2].strip(_BLANK)
        if name in found:
            raise SettingsError(f"{where}: {name} is set a second time")
        found[name] = _value(value, f"{where}: {name}")
    return found


def _value(text: str, where: str) -> str:
    if "\0" in text:
        raise SettingsError(f"{where}: contains a NUL character")
    if text[:1] in ("'", '"'):
        quoted = _QUOTED.fullmatch(text)
        if quoted is None:
            raise SettingsError(
                f"{where}: must end with the quote that it begins with, and contain no other; put "
                "a value with a backslash in single quotes"
            )
        return quoted[1] if quoted[1] is not None else quoted[2]
    if "\\" in text:
        raise SettingsError(f"{where}: put a value with a backslash in single quotes")
    return text


_PORT = 53


def dns_servers(settings: Settings) -> list[tuple[str, int]]:
    """Returns address and port of each server; empty for the operating system's servers. Raises ValueError with a line
    for the operator."""
    return [_server(part.strip()) for part in settings.dns_servers.split(",")] if settings.dns_servers else []


def _server(text: str) -> tuple[str, int]:
    bracketed = re.fullmatch(r"\[([^\[\]]*)\](?::([0-9]{1,5}))?", text) or re.fullmatch(r"([0-9.]+):([0-9]{1,5})", text)
    host, port = bracketed.groups() if bracketed else (text, None)
    try:
        address, number = ipaddress.ip_address(host), int(port or _PORT)
    except ValueError:
        raise ValueError(f"{text or 'an empty name'} isn't an IP address, with or without :PORT") from None
    if not 0 < number < 65536:
        raise ValueError(f"{text}: invalid port")
    return str(address), number


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Loads the settings. ``overrides``: from the command line; they take precedence over ``environ``, then the TOML
    file, then defaults.

    Raises :class:`SettingsError` with one line for the operator.
    """
    environ = os.environ if environ is None else environ
    found = gather(environ)
    values: dict[str, Any] = {field: _plain(field, given.value) for field, given in found.items()}
    values |= {k: v for k, v in overrides.items() if v is not None}
    if values.get("insecure_public_url") == "loopback":
        values.setdefault("public_url", "http://localhost:8080")
    try:
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise SettingsError(_message(str(error), found)) from None
    _check(settings)
    return settings


def _plain(field: str, value: Any) -> Any:
    """Returns the value of a file as the type of its setting; the address of a database is plain text."""
    return value.reveal() if isinstance(value, Secret) and field in ADDRESSES else value


def _decode(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str | Secret):
        return value if isinstance(value, Secret) else Secret(value)
    raise NotImplementedError


def _message(text: str, found: Mapping[str, Given]) -> str:
    """Returns the message for the operator, with the operator's own name for the setting instead of msgspec's "… - at
    `$.port`"."""
    message, _, path = text.partition(" - at `$.")
    message = message.replace("Expected `int`, got `str`", "Expected a whole number")
    message = message.replace("Expected `float`, got `str`", "Expected a number").replace("`", "")
    field = path.rstrip("`")
    name = found[field].name if field in found else variable(field)
    return f"{name}: {message}" if path else message


def _check(settings: Settings) -> None:
    url = urlsplit(settings.public_url)
    try:
        sane = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        sane = False
    if not sane or url.path not in ("", "/") or url.query or url.fragment or url.username:
        raise SettingsError("MANIFEST_PUBLIC_URL: must be http(s)://HOST[:PORT] without a path")
    if settings.rate_limits == "off" and not settings.is_local:
        raise SettingsError("MANIFEST_RATE_LIMITS: off is allowed only on a loopback address")
    if not settings.database.startswith(("sqlite:///", "postgresql://")) or settings.database == "sqlite:///":
        raise SettingsError("MANIFEST_DATABASE_URL: must be sqlite:///FILE or postgresql://…")
    if settings.database_direct_url and not (
        settings.on_postgres and settings.database_direct_url.startswith("postgresql://")
    ):
        raise SettingsError("MANIFEST_DATABASE_DIRECT_URL: must be postgresql://…, and MANIFEST_DATABASE_URL too")
    for field in ADDRESSES:
        if not _is_encoded(getattr(settings, field)):
            raise SettingsError(
                f"{variable(field)}: encode special characters in the user name and password, for example @ as %40, "
                "/ as %2F, and # as %23"
            )
        if _has_several_hosts(getattr(settings, field)):
            raise SettingsError(
                f"{variable(field)}: must name one host; use a proxy or a DNS name that follows the primary"
            )
    if settings.on_postgres and not settings.secret_key:
        raise SettingsError("MANIFEST_SECRET_KEY: required with PostgreSQL, and must be the same on every node")
    checks: tuple[tuple[str, Callable[[Settings], object]], ...] = (
        ("trusted_proxies", proxy_networks),
        ("admin_addresses", admin_networks),
        ("dns_servers", dns_servers),
        ("outgoing_private", lambda one: one.private_targets),
        ("trace_outgoing", lambda one: one.traced_hosts),
        ("passkey_rp_id", check_passkeys),
        ("passkey_origins", passkey_origins),
    )
    for field, check in checks:
        try:
            check(settings)
        except ValueError as error:
            raise SettingsError(f"{variable(field)}: {error}") from None
    if settings.operator_email and not re.fullmatch(r"[^\s@<>]{1,64}@[^\s@<>]{1,189}", settings.operator_email):
        raise SettingsError("MANIFEST_OPERATOR_EMAIL: must be a single email address")
    for pair in (("microsoft_app_id", "microsoft_app_secret"), ("files_access_key", "files_secret_key")):
        for given, needed in itertools.permutations(pair):
            if getattr(settings, given) and not getattr(settings, needed):
                raise SettingsError(f"{variable(given)}: requires {variable(needed)}")
    port = settings.metrics_listen.rpartition(":")[2]
    if settings.metrics_listen and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise SettingsError("MANIFEST_METRICS_LISTEN: must be HOST:PORT")
    if "://" in settings.files and not re.fullmatch(r"s3://[^/]+(/.*)?", settings.files):
        raise SettingsError("MANIFEST_FILES: must be a folder or s3://BUCKET/PREFIX")
    if not re.fullmatch(r"(https?://[^/]+/?)?", settings.files_endpoint):
        raise SettingsError("MANIFEST_FILES_ENDPOINT: must be http(s)://HOST[:PORT]")
    if settings.refresh_token_ttl < settings.access_token_ttl:
        raise SettingsError("MANIFEST_REFRESH_TOKEN_TTL: must not be shorter than MANIFEST_ACCESS_TOKEN_TTL")


def _is_encoded(url: str) -> bool:
    """Whether no character of a password ends it too early, or its part of a PostgreSQL address."""
    if not url.startswith("postgresql"):
        return True
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "," in url  # several hosts' ports
    return parts.netloc.count("@") < 2 and not parts.fragment


def _has_several_hosts(url: str) -> bool:
    """Whether a PostgreSQL address names several hosts to try in turn. A silent one would use up the time limit of a
    login."""
    parts = urlsplit(url)
    hosts = [parts.netloc.rpartition("@")[2], *parse_qs(parts.query).get("host", ())]
    return parts.scheme == "postgresql" and any("," in host for host in hosts)


def check_listener(settings: Settings) -> None:
    """Raises SettingsError if other machines can reach the listener while the public address is loopback or plain http,
    unless the operator allowed it."""
    if is_loopback_host(settings.host) or settings.insecure_public_url == "allowed" or settings.is_local_container:
        return
    if settings.is_loopback or not settings.secure_cookies:
        raise SettingsError(
            f"MANIFEST_PUBLIC_URL: {settings.public_url} isn't safe while other machines can "
            f"reach the listener on {settings.host or 'all addresses'}; set it to the HTTPS "
            "address that browsers use, or set MANIFEST_INSECURE_PUBLIC_URL=allowed"
        )


def proxy_networks(settings: Settings) -> tuple[Network, ...]:
    """Returns the networks of ``trusted_proxies``. Raises ValueError."""
    return networks_of(settings.trusted_proxies)


def admin_networks(settings: Settings) -> tuple[Network, ...]:
    """Returns the networks of ``admin_addresses``. Raises ValueError."""
    return networks_of(settings.admin_addresses)
