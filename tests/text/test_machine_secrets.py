"""The format of secrets for machines: the test vector, every kind, and texts rejected without the database."""

from __future__ import annotations

import pytest

from manifest_auth.text import machine_secrets
from manifest_auth.text.machine_secrets import PATTERN, SecretKind, hash_of, hint_of, kind_of, make
from tests.support.matrix import matrix
from tests.support.rules import rule

VECTOR = "mfst_key_" + "A" * 43 + "3Him05"


def test_the_test_vector() -> None:
    assert kind_of(VECTOR) is SecretKind.API_KEY
    assert hint_of(VECTOR) == "im05"


@rule("MACHINE-SECRETS")
@matrix("kind", SecretKind)
@matrix("random", [bytes(32), b"\xff" * 32, bytes(range(32))], ids=["least", "greatest", "other"])
def test_a_made_secret_has_the_shape_that_scanners_know(kind: SecretKind, random: bytes) -> None:
    made = make(kind, random)
    assert PATTERN.fullmatch(made)
    assert kind_of(made) is kind
    assert PATTERN.search(f"export KEY={made}\n")


def test_different_random_bytes_make_different_secrets() -> None:
    made = {make(SecretKind.API_KEY, number.to_bytes(32, "big")) for number in range(200)}
    assert len(made) == 200
    assert len({hash_of(one) for one in made}) == 200


@matrix(
    "text",
    [
        VECTOR[:-1] + "6",
        VECTOR.replace("AAA", "AAB", 1),
        VECTOR.replace("mfst_key", "mfst_sec"),
        VECTOR + "0",
        VECTOR[:-1],
        VECTOR + "\n",
        VECTOR.upper(),
        VECTOR.replace("mfst_key", "mfst_pin"),
        "\N{ARABIC-INDIC DIGIT ONE}".join([VECTOR[:20], VECTOR[21:]]),
        "",
    ],
)
def test_another_text_is_none(text: str) -> None:
    assert kind_of(text) is None


def test_no_character_can_change() -> None:
    for place in range(len("mfst_key_"), len(VECTOR)):
        other = "z" if VECTOR[place] != "z" else "y"
        assert kind_of(VECTOR[:place] + other + VECTOR[place + 1 :]) is None


def test_too_few_random_bytes_are_a_bug() -> None:
    with pytest.raises(AssertionError):
        make(SecretKind.API_KEY, bytes(16))
    assert machine_secrets.RANDOM_BYTES == 32
