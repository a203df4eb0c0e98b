"""Whether a device and its person are in the same network: closes a code that is sent to someone elsewhere.

One address (IPv6: one /64), or both in a network that the client lists, or, where it lists none, both at private
addresses. RFC 10027 (BCP 247) on the security of flows across devices asks for such a check.
"""

from __future__ import annotations

from manifest_auth.errors import Forbidden
from manifest_auth.runtime.settings import Settings, is_listed, networks_of, plain_address
from manifest_auth.tenants.device_rules import PairingRules, networks
from manifest_auth.text.languages import marked as _
from manifest_auth.throttle.throttle import network_of

_LOOPBACK = networks_of("127.0.0.0/8,::1/128")


def is_same(settings: Settings, rules: PairingRules, one: str, other: str) -> bool:
    """Whether two addresses count as one network. A loopback address is a proxy that is not listed, or a test: it
    counts where the public address is one."""
    if plain_address(one) is None or plain_address(other) is None:
        return False
    if not settings.is_loopback and (is_listed(one, _LOOPBACK) or is_listed(other, _LOOPBACK)):
        return False
    if network_of(one) == network_of(other):
        return True
    listed = networks(rules)
    return is_listed(one, listed) and is_listed(other, listed)


def check(settings: Settings, rules: PairingRules, device: str, person: str) -> None:
    """Raises Forbidden, with the reason, where the client asks for one network and these two are in none."""
    if rules.same_network and not is_same(settings, rules, device, person):
        raise Forbidden(_("The device is in another network than you: connect both to the same one"))
