"""Email addresses that are the same account, and invalid ones (docs/decisions/0009)."""

from __future__ import annotations

import pytest

from manifest_auth.errors import ValidationError
from manifest_auth.text.canonical import check_email, email_domain, email_key, mailbox
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
