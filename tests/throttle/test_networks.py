"""Networks around an address that are counted with it."""

from __future__ import annotations

from manifest_auth.throttle.throttle import network_of, networks_of


def test_the_networks_around_an_address() -> None:
    assert networks_of("2001:db8:1:2345:6::7") == ("2001:db8:1:2345::/64", "2001:db8:1:2300::/56", "2001:db8:1::/48")
    assert networks_of("192.0.2.7") == networks_of("::ffff:192.0.2.7") == ("192.0.2.7",)
    assert networks_of("unknown") == ("unknown",)
    assert network_of("2001:db8:1:2345:6::7") == "2001:db8:1:2345::/64"
