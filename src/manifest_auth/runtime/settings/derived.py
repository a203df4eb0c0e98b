"""Values that follow from the settings."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from manifest_auth.runtime.settings.private_targets import PrivateTargets, parse_targets
from manifest_auth.text.canonical import is_loopback_host


class Derived:
    """The properties of :class:`.values.Settings`, whose members they name."""

    __slots__ = ()
    data_dir: str
    database_direct_url: str
    database_url: str
    deployment: str
    introspection: str
    outgoing_private: str
    public_url: str
    token_issuer: str

    @property
    def issuer(self) -> str:
        return self.token_issuer or self.public_url.rstrip("/")

    @property
    def oauth_issuer(self) -> str:
        """The issuer and audience of service accounts' tokens (RFC 8414, section 2): the public address."""
        return self.public_url.rstrip("/")

    @property
    def is_loopback(self) -> bool:
        """Whether the public address is this machine only."""
        return is_loopback_host(urlsplit(self.public_url).hostname or "")

    @property
    def secure_cookies(self) -> bool:
        return self.public_url[:7].lower() != "http://"

    @property
    def database(self) -> str:
        """The address of the store: ``postgresql://…`` or ``sqlite:///FILE``."""
        return self.database_url or f"sqlite:///{Path(self.data_dir) / 'manifest-auth.db'}"

    @property
    def database_direct(self) -> str:
        """The address of the store without a pooler."""
        return self.database_direct_url or self.database

    @property
    def on_postgres(self) -> bool:
        return self.database.startswith("postgresql")

    @property
    def introspects(self) -> bool:
        return self.introspection == "on" or (self.introspection == "auto" and self.is_loopback)

    @property
    def private_targets(self) -> PrivateTargets:
        """Which providers at private addresses may be called. In a hosted installation clients configure the providers,
        and must not reach the private network of this server. Raises ValueError."""
        if self.outgoing_private == "auto":
            return PrivateTargets(self.deployment == "on-premise" or self.is_loopback)
        if self.outgoing_private in ("on", "off"):
            return PrivateTargets(self.outgoing_private == "on")
        return parse_targets(self.outgoing_private)
