"""The client that a request names: in ``X-Client-ID``, by its host, or in its body or query."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from manifest_auth.errors import Forbidden, ValidationError


class ClientHint(NamedTuple):
    """``header``: ``X-Client-ID``; ``host``: the ``Host`` header; ``public_url``: this server's address."""

    header: str | None
    host: str | None
    public_url: str

    @property
    def client(self) -> str | None:
        """The client of the header, else of the host."""
        return self.subdomain if self.header is None else self.header.strip()

    @property
    def subdomain(self) -> str | None:
        """The label before the public host name, where the host is such a subdomain."""
        public = urlsplit(self.public_url).hostname or ""
        name, _, port = (self.host or "").rpartition(":")
        name = (name if port.isdigit() else self.host or "").lower()
        label = name.removesuffix(f".{public}")
        return label if public and label != name and "." not in label else None

    def resolve(self, given: str) -> str | None:
        """The client of a body or query (``given``), else :attr:`client`. Raises ValidationError when the two
        differ."""
        other = self.client
        if given and other is not None and given != other:
            raise ValidationError(details=[("client", "Another client is named by header or host")])
        return given or other

    def check(self, client: str, tenant_id: int, credential: str) -> None:
        """Checks that the header, by identifier or number, agrees with the client of a credential. Raises Forbidden."""
        if self.header is not None and self.header != client and self.header != str(tenant_id):
            raise Forbidden(reason=f"X-Client-ID disagrees with the {credential}")
