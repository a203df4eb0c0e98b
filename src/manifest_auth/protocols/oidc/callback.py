"""Which callback address a sign-in has, and whether an answer belongs to it (RFC 9207; RFC 9700, section 4.4).

An attacker's provider may send the browser on to an honest one, so that the honest code comes back in a sign-in at the
attacker's. Two things prove that an answer is of the provider that was asked: it comes to an address that no other
provider has, or it names its issuer. Without one of them there is no sign-in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from manifest_auth.protocols.oidc.messages import Discovered


class Callback(NamedTuple):
    """What a sign-in remembers from its beginning, whatever the provider announces later. ``iss_required``: the
    provider announced that its answers carry ``iss``."""

    redirect_uri: str
    iss_required: bool

    def fits(self, came_to: str, iss: str | None, asked: Callable[[], str]) -> bool:
        """Whether an answer that came to that address, with that ``iss`` or none, is of the issuer that was ``asked``.
        Each is compared letter by letter."""
        if came_to != self.redirect_uri:
            return False
        return not self.iss_required if iss is None else iss == asked()


class CallbackAddresses(NamedTuple):
    """``own``: of one provider of one client alone; ``shared``: of all that may use it, None for one that may not."""

    own: str
    shared: str | None = None

    def chosen(self, found: Discovered) -> Callback:
        """The shared address proves nothing by itself, so it is only for those that announce ``iss``."""
        address = self.shared if self.shared is not None and found.returns_iss else self.own
        return Callback(address, found.returns_iss)
