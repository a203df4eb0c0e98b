"""A mail server, and what it did not send."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from manifest_auth.runtime.settings import Secret, is_loopback_host

if TYPE_CHECKING:
    from email.headerregistry import Address


class NotSent(Exception):
    """The e-mail was not sent; the text says why, for the log. ``refused``: the reply code with which the mail server
    refused this recipient or this e-mail for good (RFC 5321, section 4.2.1): another try is in vain. 0: it did not."""

    def __init__(self, reason: str, refused: int = 0) -> None:
        super().__init__(reason)
        self.refused = refused


class Server(NamedTuple):
    """``name``: of this machine, for the greeting. ``is_tls``: TLS from the first byte, else STARTTLS."""

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
