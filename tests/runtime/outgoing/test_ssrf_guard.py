"""The SSRF guard: the addresses that can be called, by their text and by what their names resolve to."""

from __future__ import annotations

import pytest

from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.runtime.outgoing_guard import refusal, split
from manifest_auth.runtime.settings import PrivateTargets, Settings, SettingsError, load
from tests.support.matrix import matrix
from tests.support.rules import rule

EVERYWHERE, NOWHERE = PrivateTargets(True), PrivateTargets(False)
HOSTED = {"MANIFEST_PUBLIC_URL": "https://auth.example.com"}
ON_PREMISE = {**HOSTED, "MANIFEST_DEPLOYMENT": "on-premise"}


@matrix(
    ("url", "host", "port", "path"),
    [
        ("https://login.example.com", "login.example.com", 443, "/"),
        ("https://LOGIN.Example.com:8443/a/b?c=d", "login.example.com", 8443, "/a/b?c=d"),
        ("https://xn--mnchen-3ya.example/x%20y", "xn--mnchen-3ya.example", 443, "/x%20y"),
        ("https://under_score.internal/", "under_score.internal", 443, "/"),
        ("https://[2001:4860::8888]:444/", "2001:4860::8888", 444, "/"),
        ("https://8.8.8.8/", "8.8.8.8", 443, "/"),
        ("http://127.0.0.1:9/", "127.0.0.1", 9, "/"),
        ("http://127.9.8.7/", "127.9.8.7", 80, "/"),
        ("http://localhost/", "localhost", 80, "/"),
        ("http://[::1]/", "::1", 80, "/"),
        ("https://h?q", "h", 443, "/?q"),
    ],
)
def test_an_address_is_read_once_into_its_parts(url: str, host: str, port: int, path: str) -> None:
    target = split(url)
    assert (target.host, target.port, target.path) == (host, port, path)


def test_the_host_header_names_host_and_port_as_given() -> None:
    assert split("https://a.example:443/").authority == "a.example"
    assert split("https://a.example:80/").authority == "a.example:80"
    assert split("https://[2001:4860::1]/").authority == "[2001:4860::1]"


@rule("OUTGOING")
@matrix(
    "url",
    [
        "",
        "login.example.com",
        "//login.example.com/",
        "ftp://login.example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_x",
        "http://login.example.com/",
        "http://10.0.0.1/",
        "http://127.0.0.1.example.com/",
        "http://localhost.example.com/",
        "http://2130706433/",  # 127.0.0.1 to some parsers
        "http://0x7f.1/",
        "http://[::ffff:127.0.0.1]/",
        "https://user@login.example.com/",
        "https://user:word@login.example.com/",
        "https://login.example.com@127.0.0.1/",
        "https://login.example.com/#x",
        "https://login.example.com#@127.0.0.1/",
        "https://login.example.com/#",
        "https:///path",
        "https://",
        "https://:443/",
        "https://login.example.com:99999/",
        "https://login.example.com:x/",
        "https://login.example.com:-1/",
        "https://login example.com/",
        "https://login.example.com/a b",
        "https://login.example.com/\t",
        "https://login.example.com/\r\nHost: x",
        " https://login.example.com/",
        "https://login.example.com\\@127.0.0.1/",
        "https:\\\\login.example.com/",
        "https://münchen.example/",
        "https://login。example.com/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[1.2.3.4]/",
        "https://a..b/",
        "https://-a.example/",
        "https://%31%32%37.0.0.1/",
        "https://login.example.com/" + "a" * 2048,
    ],
)
def test_an_invalid_address_of_a_provider_is_rejected(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|[Pp]ort|IP"):
        split(url)


PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "127.0.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::a00:1",  # NAT64 of 10.0.0.1
    "64:ff9b:1::1",
    "2002:a00:1::1",  # 6to4 of 10.0.0.1
    "2001:0:1::1",  # Teredo
    "2001:db8::1",
]
NEVER = ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1", "::ffff:0.0.0.0"]
PUBLIC = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]


@rule("OUTGOING")
@matrix("address", PRIVATE)
def test_an_address_that_is_not_public_needs_leave(address: str) -> None:
    assert "MANIFEST_OUTGOING_PRIVATE" in refusal("idp.example", address, NOWHERE)
    assert not refusal("idp.example", address, EVERYWHERE)


@matrix("address", NEVER)
@matrix("allowed", [EVERYWHERE, NOWHERE])
def test_an_invalid_server_at_all_is_never_called(address: str, allowed: PrivateTargets) -> None:
    assert refusal("idp.example", address, allowed)


@matrix("address", PUBLIC)
def test_a_public_address_can_be_called(address: str) -> None:
    assert not refusal("idp.example", address, NOWHERE)


def test_a_name_of_this_machine_that_leads_elsewhere_is_rejected() -> None:
    assert refusal("localhost", "10.0.0.1", EVERYWHERE)
    assert refusal("x.localhost", "8.8.8.8", EVERYWHERE)
    assert not refusal("localhost", "::1", EVERYWHERE)


@matrix(
    ("environment", "allowed"),
    [
        ({}, True),
        ({"MANIFEST_HOST": "0.0.0.0", "MANIFEST_INSECURE_PUBLIC_URL": "loopback"}, False),
        (HOSTED, False),
        (ON_PREMISE, True),
        ({**HOSTED, "MANIFEST_OUTGOING_PRIVATE": "on"}, True),
        ({**ON_PREMISE, "MANIFEST_OUTGOING_PRIVATE": "off"}, False),
        ({"MANIFEST_OUTGOING_PRIVATE": "off"}, False),
    ],
)
def test_who_can_name_private_addresses(environment: dict[str, str], allowed: bool) -> None:
    assert load(environment).private_targets == PrivateTargets(allowed)


LIST = "idp.corp.example, 10.1.0.0/16 ,fd00::/8,192.168.7.9,localhost"


@rule("OIDC-DISCOVERY")
@matrix(
    ("host", "address", "allowed"),
    [
        ("idp.corp.example", "10.9.9.9", True),
        ("idp.corp.example.", "169.254.169.254", True),
        ("idp.corp.example", "127.0.0.1", True),
        ("sub.idp.corp.example", "10.9.9.9", False),
        ("corp.example", "10.9.9.9", False),
        ("other.example", "10.1.255.255", True),
        ("other.example", "10.2.0.0", False),
        ("other.example", "::ffff:10.1.0.1", True),
        ("other.example", "fd12::1", True),
        ("other.example", "fe80::1", False),
        ("192.168.7.9", "192.168.7.9", True),
        ("192.168.7.8", "192.168.7.8", False),
        ("localhost", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", False),
        ("other.example", "8.8.8.8", True),
        ("idp.corp.example", "0.0.0.0", False),
    ],
)
def test_a_list_allows_the_hosts_and_networks_that_it_names_and_no_others(
    host: str, address: str, allowed: bool
) -> None:
    for environment in (HOSTED, ON_PREMISE):
        settings = load({**environment, "MANIFEST_OUTGOING_PRIVATE": LIST})
        assert (refusal(host, address, settings.private_targets) == "") is allowed


@matrix(
    "text",
    ["", " ", ",", "yes", "true", "10.0.0.0/33", "10.0.0", "0x7f000001", "a b", "on,10.0.0.0/8", "*.corp", "a/b", "-a"],
)
def test_a_list_that_is_none_stops_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^MANIFEST_OUTGOING_PRIVATE: "):
        load({**HOSTED, "MANIFEST_OUTGOING_PRIVATE": text})


@matrix("url", ["https://10.0.0.1/", "https://[::1]/", "http://localhost:1/", "https://x.localhost/"])
def test_a_provider_at_such_an_address_is_rejected_when_it_is_configured(url: str) -> None:
    with pytest.raises(ValueError, match="MANIFEST_OUTGOING_PRIVATE"):
        Outgoing(load(HOSTED)).check(url)
    Outgoing(Settings()).check(url)


def test_a_provider_with_a_name_is_looked_up_only_when_it_is_called() -> None:
    def never(host: str, port: int) -> list[str]:
        raise AssertionError(host)

    Outgoing(load(HOSTED), resolve=never).check("https://login.example.com/")
