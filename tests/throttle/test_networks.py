"""Networks that contain an address, and are counted with it."""

from __future__ import annotations

from manifest_auth.throttle.throttle import ADDRESS, by_address, network_of, networks_of


def test_the_networks_around_an_address() -> None:
    assert networks_of("2001:db8:1:2345:6::7") == ("2001:db8:1:2345::/64", "2001:db8:1:2300::/56", "2001:db8:1::/48")
    assert networks_of("192.0.2.7") == networks_of("::ffff:192.0.2.7") == ("192.0.2.7",)
    assert networks_of("unknown") == ("unknown",)
    assert network_of("2001:db8:1:2345:6::7") == "2001:db8:1:2345::/64"


def test_an_address_that_was_passed_on_is_counted_apart_and_with_all_of_that_hour() -> None:
    counters = by_address(ADDRESS, str, "2001:db8:1:2345:6::7 via service:12/500000")
    by = "via service:12"
    assert [(counter.key, counter.policy.free) for counter in counters] == [
        (f"2001:db8:1:2345::/64 {by}", 50), (f"2001:db8:1:2300::/56 {by}", 75), (f"2001:db8:1::/48 {by}", 100),
        ("service:12/500000", 1000),
    ]  # fmt: skip
    assert network_of("192.0.2.7 via service:12/1") == network_of("192.0.2.7 via service:12/2") == f"192.0.2.7 {by}"
