"""The rules for new passwords, as a pure function."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_auth.accounts.password_rules import check, is_guessable
from manifest_auth.errors import ValidationError
from manifest_auth.tenants import PasswordRules
from tests.support.matrix import matrix

EIGHT = PasswordRules(min_length=8)


def refusal(password: str, rules: PasswordRules, *known: str) -> str:
    """The faults of a password, or nothing."""
    try:
        check(password, rules, known)
    except ValidationError as error:
        return error.details[0][1]
    return ""


@matrix("length", [8, 15, 64])
def test_the_minimum_length_counts_characters(length: int) -> None:
    password = "".join(chr(0x4E00 + 101 * i) for i in range(length))  # three bytes each
    rules = PasswordRules(min_length=length)
    assert refusal(password, rules) == ""
    assert refusal(password[:-1], rules) == f"Must have at least {length} characters"


def test_the_maximum_is_256() -> None:
    password = "".join(chr(0x4E00 + 101 * i % 20000) for i in range(257))
    assert refusal(password, EIGHT) == "Must have at most 256 characters"
    assert refusal(password[:-1], EIGHT) == ""


@matrix("password", ["Zq4!vK9w", "q7-Zp!kV", "8Tu;m2Lx"])
def test_eight_random_characters_are_enough_if_eight_are_required(password: str) -> None:
    assert refusal(password, EIGHT) == ""


@matrix(
    "password",
    ["password", "Password1!", "Summer2026!", "qwertyui", "11111111", "abcdefgh", "Football1", "P@ssw0rd", "iloveyou2"],
)
def test_common_passwords_are_rejected_at_any_length(password: str) -> None:
    assert refusal(password, EIGHT).startswith("Too easy to guess")


@matrix(
    "password",
    [
        "acme-corporation-2026",
        "AcmeCorporation!!",
        "ada.lovelace@acme",
        "LovelaceAda1815",
        "manifestAuth2026!",
        "Taqtile-Manifest-1",
        "L0v3l4ce#1815",
        "ecalevoL-1815",
    ],
)
def test_passwords_must_not_contain_names_of_the_user_client_or_product(password: str) -> None:
    known = ("ada.lovelace@acme.example", "Ada", "Lovelace", "acme-corporation")
    assert refusal(password, EIGHT, *known).startswith("Too easy to guess")


def test_a_known_word_inside_a_good_password_is_allowed() -> None:
    assert refusal("lovelace walks nine llamas", EIGHT, "Lovelace") == ""
    assert refusal("kestrel-harbor-21-violet", EIGHT, "Ha", "", "x") == ""


@matrix(("classes", "refused"), [(0, False), (1, False), (2, False), (3, True), (4, True)])
def test_composition_counts_kinds_of_characters(classes: int, refused: bool) -> None:
    rules = PasswordRules(min_length=8, character_classes=classes)
    assert bool(refusal("walrus copper lagoon", rules)) is refused


def test_letters_of_every_script_count_for_composition() -> None:
    assert refusal("Пылающий-жираф-8-лун", PasswordRules(min_length=8, character_classes=4)) == ""


@given(st.text(max_size=300))
def test_every_text_is_accepted_or_rejected(password: str) -> None:
    refusal(password, EIGHT, password[:5])
    assert isinstance(is_guessable(password, ()), bool)


@matrix(
    "password",
    [
        "acme corporation",
        "Acme Corporation!",
        "acmecorporation1",
        "acmecorporation1234",
        "ACME__corporation--26",
        "the.big.dog.inn.2026",
        "TheBigDogInn2026!",
    ],
)
def test_a_name_of_several_words_is_rejected_in_any_spelling(password: str) -> None:
    assert refusal(password, EIGHT, "acme", "Acme Corporation", "The Big Dog Inn").startswith("Too easy to guess")


@pytest.mark.parametrize("password", ["§$%&/()=?`´*+"])
def test_punctuation_only_is_checked_as_it_is(password: str) -> None:
    assert refusal(password, EIGHT, "Acme Corporation") == ""
