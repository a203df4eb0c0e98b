"""The address that a request comes from, in every spelling, and the networks in a setting."""

from __future__ import annotations

import pytest

from manifest_auth.http import Head
from manifest_auth.http.request import client_address
from manifest_auth.runtime.settings import SettingsError, admin_networks, is_listed, load, networks_of
from tests.support.matrix import matrix

OUT = "203.0.113.9"


PROXIES = networks_of("127.0.0.1, 10.9.0.1, 2001:db8::9")


def came(peer: str, forwarded: str | None) -> str:
    lines = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode("latin-1"))]
    return client_address(peer, Head(lines), PROXIES)


@matrix("peer", ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "2001:db8:0::9", "2001:db8::9%eth0"])
@matrix(
    "written", [OUT, f"::ffff:{OUT}", f"[::ffff:{OUT}]", f"{OUT}:555", f'"{OUT}:555"', f"{OUT}, ::ffff:10.9.0.1",
                f"{OUT}:555, 10.9.0.1:80", f"1.2.3.4, {OUT}, [::FFFF:10.9.0.1]:80", f"junk, {OUT}"],
)  # fmt: skip
def test_an_address_is_the_same_however_it_is_written(peer: str, written: str) -> None:
    assert came(peer, written) == OUT


@matrix("written", ["", "unknown", "_hidden", "999.1.1.1", f"{OUT}:port", f"[{OUT}", "1" * 9000, "é", f"{OUT}, "])
def test_what_cannot_be_read_is_nowhere(written: str) -> None:
    """Neither the proxy's own address nor one that a caller put before it is used."""
    found = came("::ffff:127.0.0.1", written)
    assert found == "unknown by 127.0.0.1"
    assert came("127.0.0.1", f"{written}, 10.9.0.1") == "unknown by 10.9.0.1"
    assert not is_listed(found, networks_of("0.0.0.0/0, ::/0"))


def test_only_a_listed_proxy_names_another_address() -> None:
    assert came("::ffff:198.51.100.7", OUT) == came("198.51.100.7", None) == "198.51.100.7"
    assert came("", OUT) == came("no address", OUT) == "unknown"
    assert came("127.0.0.1", None) == "127.0.0.1"


@matrix("setting", ["MANIFEST_ADMIN_ADDRESSES", "MANIFEST_TRUSTED_PROXIES"])
@matrix(
    "text", ["example.com", "10.0.0.0/33", "10.0.0.0/8 10.1.0.0/16", "*", " , ", ",", " ", "::ffff:0:0/90", "::/64"]
)
def test_a_list_that_lists_no_one_stops_the_start(setting: str, text: str) -> None:
    with pytest.raises(SettingsError, match=setting) as told:
        load({setting: text})
    assert "\n" not in str(told.value)


def test_a_network_in_the_dress_of_ipv6_is_what_it_is() -> None:
    told = load({"MANIFEST_ADMIN_ADDRESSES": "::ffff:127.0.0.0/104, ::ffff:10.9.0.1, 2001:db8::/32, ::/0,"})
    assert [str(one) for one in admin_networks(told)] == ["127.0.0.0/8", "10.9.0.1/32", "2001:db8::/32", "::/0"]
    assert is_listed("::ffff:127.9.9.9", admin_networks(told))
