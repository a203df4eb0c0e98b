"""The callback address of a sign-in, and whether an answer belongs to it.

This is the mix-up defence (RFC 9207; RFC 9700, section 4.4).

An attacker's provider may redirect the browser to an honest one, so that the honest provider's code arrives in a
sign-in at the attacker's. One of two facts must prove the origin of an answer: it arrives at an address that no other
provider has, or it names its issuer. Otherwise the sign-in is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from manifest_auth.protocols.oidc.messages import Discovered


class Callback(NamedTuple):
    """Stored at the start of a sign-in, so that later announcements of the provider do not matter. ``iss_required``:
    the provider announced that its answers have ``iss``."""

    redirect_uri: str
    iss_required: bool

    def matches(self, callback_address: str, iss: str | None, asked: Callable[[], str]) -> bool:
        """Whether an answer at ``callback_address`` with ``iss`` comes from the issuer ``asked``. Texts are compared
        exactly."""
        if callback_address != self.redirect_uri:
            return False
        return not self.iss_required if iss is None else iss == asked()


class CallbackAddresses(NamedTuple):
    """``own``: the address of one provider of one client; ``shared``: the common address; None for a provider that may
    not use it."""

    own: str
    shared: str | None = None

    def chosen(self, found: Discovered) -> Callback:
        """The callback for a provider. The shared address does not identify the provider, so it needs a provider that
        announces ``iss``."""
        address = self.shared if self.shared is not None and found.returns_iss else self.own
        return Callback(address, found.returns_iss)
