"""Settings of passkeys: the RP ID, the origins at which they work, and whether there are any."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from manifest_auth.runtime.settings.values import Settings
from manifest_auth.text.canonical import DOMAIN

_ANDROID = re.compile(r"android:apk-key-hash:[A-Za-z0-9_-]{43}\Z")
_LOCAL = "localhost"


def public_origin(settings: Settings) -> str:
    """The origin of the public address as browsers write it: lower case, without the scheme's default port (RFC 6454,
    section 6.2)."""
    return _origin(settings.public_url)


def why_no_passkeys(settings: Settings) -> str:
    """Why browsers make no passkey at the public address; empty where they do (WebAuthn Level 3, section 5.1.3: a
    secure context, and a domain)."""
    host = public_host(settings)
    if _is_address(host):
        return "the public address is an IP address, and passkeys need a name"
    if not settings.secure_cookies and not is_below(host, _LOCAL):
        return "the public address is plain http, and passkeys need https"
    return ""


def passkey_rp_id(settings: Settings) -> str:
    """The RP ID by the settings: the public host, or the parent domain that they name."""
    return settings.passkey_rp_id or public_host(settings)


def passkey_origins(settings: Settings) -> tuple[str, ...]:
    """The origins at which a passkey may be made and used, the public one first. Raises ValueError."""
    named = tuple(part.strip() for part in settings.passkey_origins.split(",") if part.strip())
    for origin in named:
        if not _ANDROID.match(origin) and not _is_https_below(origin, passkey_rp_id(settings)):
            raise ValueError(f"{origin} is no https origin below {passkey_rp_id(settings)}, and no Android key hash")
    return (public_origin(settings), *named)


def check_passkeys(settings: Settings) -> None:
    """Raises ValueError with a line for the operator where the RP ID is no parent of the public host."""
    rp_id = settings.passkey_rp_id
    if rp_id and not (DOMAIN.match(rp_id) and is_below(public_host(settings), rp_id) and not _is_address(rp_id)):
        raise ValueError("must be the host of the public address, or a parent domain of it, in lower case")


def is_below(host: str, domain: str) -> bool:
    """Whether the host is the domain or a name below it."""
    return host == domain or host.endswith(f".{domain}")


def public_host(settings: Settings) -> str:
    """The host of the public address, in lower case."""
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
