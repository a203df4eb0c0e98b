"""The setting ``dns_servers``: name servers for domain records."""

from __future__ import annotations

import ipaddress
import re

from manifest_auth.runtime.settings.values import Settings

_PORT = 53


def dns_servers(settings: Settings) -> list[tuple[str, int]]:
    """Address and port of each server; empty for the operating system's servers. Raises ValueError with a line for the
    operator."""
    return [_server(part.strip()) for part in settings.dns_servers.split(",")] if settings.dns_servers else []


def _server(text: str) -> tuple[str, int]:
    bracketed = re.fullmatch(r"\[([^\[\]]*)\](?::([0-9]{1,5}))?", text) or re.fullmatch(r"([0-9.]+):([0-9]{1,5})", text)
    host, port = bracketed.groups() if bracketed else (text, None)
    try:
        address, number = ipaddress.ip_address(host), int(port or _PORT)
    except ValueError:
        raise ValueError(f"{text or 'an empty name'} is no IP address, with or without :PORT") from None
    if not 0 < number < 65536:
        raise ValueError(f"{text}: there is no such port")
    return str(address), number
