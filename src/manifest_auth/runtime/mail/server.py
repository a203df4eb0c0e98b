"""Reads the settings of the mail server."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from manifest_auth.runtime.settings import Secret, Settings, is_loopback_host

if TYPE_CHECKING:
    from email.headerregistry import Address


class NotSent(Exception):
    """The email was not sent; the message says why, for the log. ``refused``: the reply code with which the mail server
    permanently rejected this recipient or this email (RFC 5321, section 4.2.1), so that retrying is useless; 0 if it
    didn't."""

    def __init__(self, reason: str, refused: int = 0) -> None:
        super().__init__(reason)
        self.refused = refused


class Server(NamedTuple):
    """The mail server. ``name``: the name of this machine, for the greeting; ``is_tls``: TLS from the first byte,
    otherwise STARTTLS."""

    host: str
    port: int
    is_tls: bool
    user: str
    password: Secret
    sender: Address
    name: str

    @property
    def is_loopback(self) -> bool:
        """Whether the mail server is on this machine."""
        return is_loopback_host(self.host)


_PORTS = {"smtp": 587, "smtps": 465}  # RFC 6409, RFC 8314


def server_of(settings: Settings) -> Server | None:
    """Returns the server of ``smtp_url`` and ``mail_from``; None without them. Raises ValueError with one line for the
    operator, without the address, which contains a password."""
    url = settings.smtp_url.reveal() if settings.smtp_url else ""
    if not url and not settings.mail_from:
        return None
    if not url or not settings.mail_from:
        missing, given = ("MAIL_FROM", "SMTP_URL") if url else ("SMTP_URL", "MAIL_FROM")
        raise ValueError(f"MANIFEST_{missing}: required with MANIFEST_{given}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    except (KeyError, ValueError):
        host, port = "", 0
    if not host or not url.isascii() or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("MANIFEST_SMTP_URL: must be smtp://[USER:PASSWORD@]HOST[:PORT] or smtps://…")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ValueError("MANIFEST_SMTP_URL: set both user and password, or neither")
    name = urlsplit(settings.public_url).hostname or "localhost"
    return Server(
        host=host,
        port=port,
        is_tls=parts.scheme == "smtps",
        user=user,
        password=Secret(password),
        sender=_sender(settings.mail_from),
        name=name,
    )


def _sender(text: str) -> Address:
    from email.errors import HeaderParseError
    from email.headerregistry import Address
    from email.utils import parseaddr

    name, address = parseaddr(text)
    try:
        found = Address(name, addr_spec=address)
    except (HeaderParseError, ValueError, IndexError):
        found = Address()
    is_whole = text in (address, f"<{address}>") or text.endswith(f" <{address}>")
    if not found.username or not found.domain or not is_whole or not text.isprintable():
        raise ValueError("MANIFEST_MAIL_FROM: must be an address, or NAME <ADDRESS>")
    return found
