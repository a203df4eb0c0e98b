"""Contract, section 9: from which address somebody comes, however it was written; what cannot be read is nowhere."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from manifest_auth.http import Head
from manifest_auth.http.head import client_address
from manifest_auth.runtime.settings import SettingsError, admin_networks, is_listed, load, networks_of
from tests.support.admin_desk import sign_in
from tests.support.envelope import check_refusal, check_success
from tests.support.house import PASSWORD, App, running
from tests.support.limits import ACCOUNT, ORIGIN

OUT = "203.0.113.9"
PROXIES = networks_of("127.0.0.1, 10.9.0.1, 2001:db8::9")


def came(peer: str, forwarded: str | None) -> str:
    lines = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode("latin-1"))]
    return client_address(peer, Head(lines), PROXIES)


@pytest.mark.parametrize(
    "peer", ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "2001:db8:0::9", "2001:db8::9%eth0"]
)
@pytest.mark.parametrize(
    "written", [OUT, f"::ffff:{OUT}", f"[::ffff:{OUT}]", f"{OUT}:555", f'"{OUT}:555"', f"{OUT}, ::ffff:10.9.0.1",
                f"{OUT}:555, 10.9.0.1:80", f"1.2.3.4, {OUT}, [::FFFF:10.9.0.1]:80", f"junk, {OUT}"],
)  # fmt: skip
def test_an_address_is_the_same_however_it_is_written(peer: str, written: str) -> None:
    assert came(peer, written) == OUT


@pytest.mark.parametrize(
    "written", ["", "unknown", "_hidden", "999.1.1.1", f"{OUT}:port", f"[{OUT}", "1" * 9000, "é", f"{OUT}, "]
)
def test_what_cannot_be_read_is_nowhere(written: str) -> None:
    """Neither the proxy's own address nor one that a caller put before it."""
    found = came("::ffff:127.0.0.1", written)
    assert found == "unknown by 127.0.0.1"
    assert came("127.0.0.1", f"{written}, 10.9.0.1") == "unknown by 10.9.0.1"
    assert not is_listed(found, networks_of("0.0.0.0/0, ::/0"))


def test_only_a_listed_proxy_names_another_address() -> None:
    assert came("::ffff:198.51.100.7", OUT) == came("198.51.100.7", None) == "198.51.100.7"
    assert came("", OUT) == came("no address", OUT) == "unknown"
    assert came("127.0.0.1", None) == "127.0.0.1"


@pytest.mark.parametrize("setting", ["MANIFEST_ADMIN_ADDRESSES", "MANIFEST_TRUSTED_PROXIES"])
@pytest.mark.parametrize(
    "text", ["example.com", "10.0.0.0/33", "10.0.0.0/8 10.1.0.0/16", "*", " , ", ",", " ", "::ffff:0:0/90", "::/64"]
)
def test_a_list_that_lists_nobody_stops_the_start(setting: str, text: str) -> None:
    with pytest.raises(SettingsError, match=setting) as told:
        load({setting: text})
    assert "\n" not in str(told.value)


def test_a_network_in_the_dress_of_ipv6_is_what_it_is() -> None:
    told = load({"MANIFEST_ADMIN_ADDRESSES": "::ffff:127.0.0.0/104, ::ffff:10.9.0.1, 2001:db8::/32, ::/0,"})
    assert [str(one) for one in admin_networks(told)] == ["127.0.0.0/8", "10.9.0.1/32", "2001:db8::/32", "::/0"]
    assert is_listed("::ffff:127.9.9.9", admin_networks(told))


@pytest.fixture
async def door(database_url: str) -> AsyncIterator[App]:
    more = {"MANIFEST_ADMIN_ADDRESSES": "192.0.2.0/24", "MANIFEST_TRUSTED_PROXIES": "192.0.2.1"}
    async with running(database_url, **more) as app:
        yield app


async def test_a_proxy_in_the_range_lets_nobody_in_by_what_cannot_be_read(door: App) -> None:
    for written in ("unknown", f"{OUT}:x", ""):
        check_refusal(await sign_in(door, "root", headers={"X-Forwarded-For": written}), 404, "NOT_FOUND")
    check_success(await sign_in(door, "root", headers={"X-Forwarded-For": "192.0.2.9:4711"}))


async def _guess(door: App, address: str, password: str = "wrong") -> int:
    lines = {"X-Forwarded-For": address}
    return (await door.sign_in("viewer@acme.example", password, "acme", headers=lines)).status


async def test_all_whose_address_cannot_be_read_are_throttled_together(door: App) -> None:
    assert [await _guess(door, f"host-{n}") for n in range(ORIGIN.free + 1)] == [401] * ORIGIN.free + [429]
    assert await _guess(door, "198.51.100.3", PASSWORD) == 200


async def test_nowhere_is_no_place_from_where_somebody_signed_in_before(door: App) -> None:
    door.clock.advance(86_400)
    assert [await _guess(door, address, PASSWORD) for address in ("host", "198.51.100.3")] == [200, 200]
    assert [await _guess(door, f"203.0.113.{n}") for n in range(ACCOUNT.free)] == [401] * ACCOUNT.free
    assert [await _guess(door, address, PASSWORD) for address in ("host", "198.51.100.3")] == [429, 200]
