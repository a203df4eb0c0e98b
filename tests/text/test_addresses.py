"""Email addresses that are the same account, and invalid ones (docs/decisions/0009)."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

import pytest

from manifest_auth.errors import ValidationError
from manifest_auth.text.canonical import ADDRESS, NETWORK, check_email, email_domain, email_key, mailbox
from tests.support.matrix import matrix
from tests.support.rules import rule


@matrix(
    ("one", "other"),
    [
        ("ada@acme.example", "ADA@Acme.Example"),
        ("ärger@acme.example", "ÄRGER@acme.example"),
        ("σ@acme.example", "Σ@acme.example"),
        ("stra\u00dfe@acme.example", "STRA\u1e9eE@acme.example"),  # the sharp s, lowercase and uppercase
        ("ada@Öm.example", "Ada@xn--m-0ga.EXAMPLE"),  # a Unicode domain, and its ASCII form
        ("ada@müller.öm.example", "ada@xn--mller-kva.öm.example"),
        ("ada@σ.example", "ada@Σ.example"),
    ],
)
def test_addresses_that_differ_in_case_are_one_account(one: str, other: str) -> None:
    assert email_key(one) == email_key(other)


@rule("EMAIL-FORM")
@matrix(
    ("one", "other"),
    [
        ("mike@acme.example", "mi\u212ae@acme.example"),  # Kelvin sign
        ("susan@acme.example", "\u017fusan@acme.example"),  # long s
        ("fin@acme.example", "\ufb01n@acme.example"),  # ligature fi
        ("strasse@acme.example", "stra\u00dfe@acme.example"),
        ("i@acme.example", "\u0130@acme.example"),  # dotted capital I
        ("\u00e9@acme.example", "e\u0301@acme.example"),  # one letter, and a letter with a combining mark
        ("ada@acme.example", "\uff41da@acme.example"),  # fullwidth a
        ("ada@xn--3xa.example", "ada@xn--4xa.example"),  # the final sigma and the other one, which differ in the DNS
        ("ada@ς.example", "ada@σ.example"),
        ("xn--m-0ga@acme.example", "öm@acme.example"),  # not a domain
        ("ada@xn--a.example", "ada@\x80.example"),  # not an IDNA 2008 label
    ],
)
def test_addresses_that_only_look_alike_are_two_accounts(one: str, other: str) -> None:
    assert email_key(one) != email_key(other)


def test_a_domain_goes_out_in_the_ascii_of_the_dns() -> None:
    for address in ("Zoë@Bücher.example", "Zoë@xn--bcher-kva.example"):
        assert (email_domain(address), mailbox(address)) == ("xn--bcher-kva.example", "Zoë@xn--bcher-kva.example")
    assert mailbox("Ada@Acme.example") == "Ada@Acme.example"
    assert email_domain("ada@\U0001f4a9.example") == "\U0001f4a9.example"  # IDNA 2008 has no form for it


@matrix(
    "address",
    ["a@b.example", "o'brien@acme.example", "first.last+tag@sub.acme.example", "ärger@müller.example", "иван@почта.рф"],
)
def test_ordinary_addresses_are_taken_as_given(address: str) -> None:
    assert check_email(address) == address


@rule("EMAIL-FORM")
@matrix(
    "address",
    [
        "",
        "ada",
        "@acme.example",
        "ada@",
        " ada@acme.example",
        "ada@acme.example\n",
        "a da@acme.example",
        '"ada"@acme.example',
        "ada(comment)@acme.example",
        "<ada@acme.example>",
        "ada@acme@example",
        "ada,eve@acme.example",
        "ada;eve@acme.example",
        "ada..lovelace@acme.example",
        ".ada@acme.example",
        "ada.@acme.example",
        "ada@.example",
        "ada@acme.example.",
        "ada@-acme.example",
        "ada@[192.0.2.1]",
        "ada\u200b@acme.example",  # zero width space
        "ada\u202e@acme.example",  # right-to-left override
        "ada\x00@acme.example",
        "ada\ud800@acme.example",  # lone surrogate
        "\u0430da@acme.example",  # Cyrillic a among Latin letters
        "ada@\u0430cme.example",
        "\u03bfda@acme.example",  # Greek omicron
        "ada@acme\u3002example",  # ideographic full stop, which IDNA treats as a dot
        "ada@acme\uff0eexample",  # fullwidth full stop
        "ada@acme\uff61example",  # halfwidth ideographic full stop
        "ada@\uff41cme.example",  # fullwidth a
        "a" * 65 + "@acme.example",
        "a@" + "b" * 190,
    ],
)
def test_an_invalid_address_or_could_be_taken_for_another_is_rejected(address: str) -> None:
    with pytest.raises(ValidationError) as refused:
        check_email(address)
    assert refused.value.details[0][0] == "email"


IP_ADDRESSES = (
    "0.0.0.1", "9.10.99.100", "199.200.249.250", "255.255.255.255", "::", "::1", "2001:db8::1", "2001:db8:1:2::",
    "1::8", "2001:db8:1:2:3:4:5:6", "2001:0DB8:0000:0000:0000:0000:0000:FFFF", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8",
    "::ffff:192.0.2.1", "1:2:3:4:5:6:192.0.2.255",
)  # fmt: skip


@matrix(
    ("text", "is_address", "is_network"),
    [
        *((text, True, True) for text in IP_ADDRESSES),
        *((f"{text}/{bits}", False, True) for text in IP_ADDRESSES for bits in (0, 9, 32)),
        *((f"2001:db8::/{bits}", False, True) for bits in (10, 99, 100, 119, 120, 128)),
        *((text, False, False) for text in (
            "", "here", "1.2.3", "1.2.3.4.5", "256.0.0.1", "1.2.3.260", "1.2.3.300", "01.2.3.4", "1:2", "12345::",
            "g::1", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8:192.0.2.1", "1.2.3.4\n", " 1.2.3.4", "1.2.3.4/", "1.2.3.4/08",
            "1.2.3.4,5.6.7.8", "2001:db8::/129", "2001:db8::/130", "2001:db8::/200", "2001:db8::/64\n",
        )),
    ],
)  # fmt: skip
def test_the_description_of_ip_addresses_and_networks_allows_what_the_server_reads(
    text: str, is_address: bool, is_network: bool
) -> None:
    for kind, pattern, fits in ((ip_address, ADDRESS, is_address), (ip_interface, NETWORK, is_network)):
        assert bool(pattern.match(text)) is fits
        if fits:
            kind(text)
