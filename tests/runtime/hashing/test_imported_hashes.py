"""Password hashes of other systems are recognized, verified only with the correct password, and limited in cost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from manifest_auth.runtime.hashing import imported_hashes, why_refused
from tests.support.foreign_hashes import REFUSED, bcrypt_hash, django_scrypt, one_of_each
from tests.support.matrix import matrix

PASSWORD = "Übernahme-vom-alten-System-7"
HASHES = one_of_each(PASSWORD)
FOREIGN = {kind: text for kind, text in HASHES.items() if not kind.startswith("argon2")}
#: From the documentation and test suites of these systems.
PUBLISHED = {
    "bcrypt, crypt_blowfish": ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    "PBKDF2, passlib": (
        "password",
        "$pbkdf2-sha256$6400$.6UI/S.nXIk8jcbdHx3Fhg$98jZicV16ODfEsEZeYPGHU3kbrUrvUEXOPimVSQDD44",
    ),
    "scrypt, passlib": (
        "password",
        "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
    ),
}


@matrix("kind", PUBLISHED)
def test_published_hashes_are_read(kind: str) -> None:
    password, stored = PUBLISHED[kind]
    assert imported_hashes.verify(stored, password.encode())
    assert not imported_hashes.verify(stored, password.encode() + b"x")


@matrix("kind", FOREIGN)
def test_only_the_right_password_makes_the_hash(kind: str) -> None:
    stored = FOREIGN[kind]
    assert imported_hashes.is_known(stored)
    assert imported_hashes.verify(stored, PASSWORD.encode())
    for wrong in (PASSWORD + "x", PASSWORD[:-1], PASSWORD.lower(), "", " " + PASSWORD):
        assert not imported_hashes.verify(stored, wrong.encode())


@matrix("kind", HASHES)
def test_each_format_can_be_imported(kind: str) -> None:
    assert why_refused(HASHES[kind]) == ""


@matrix("kind", REFUSED)
def test_an_invalid_hash_or_costs_too_much_is_neither_imported_nor_computed(kind: str) -> None:
    assert why_refused(REFUSED[kind])
    assert not imported_hashes.verify(REFUSED[kind], b"x")


def test_what_was_imported_when_it_might_cost_more_still_lets_in() -> None:
    stored = django_scrypt("x", 2**14, p=9)
    assert why_refused(stored)
    assert imported_hashes.verify(stored, b"x")


@matrix("kind", FOREIGN)
def test_a_hash_with_anything_around_it_is_none(kind: str) -> None:
    for text in (FOREIGN[kind] + "\n", " " + FOREIGN[kind], FOREIGN[kind] + "\0", FOREIGN[kind] * 2):
        assert not imported_hashes.is_known(text)


def test_bcrypt_reads_72_bytes_as_the_systems_that_made_it_do() -> None:
    long = "x" * 72
    assert imported_hashes.verify(bcrypt_hash(long + "one"), (long + "two").encode())
    assert not imported_hashes.verify(bcrypt_hash(long), ("y" + long[1:]).encode())


def test_a_password_with_nul_is_wrong_and_breaks_nothing() -> None:
    assert not imported_hashes.verify(bcrypt_hash("x"), b"x\0y")


@given(st.text(max_size=120))
def test_no_text_whatsoever_breaks_it(text: str) -> None:
    for stored in (text, "$2b$04$" + text, "scrypt$" + text, "pbkdf2_sha256$1000$" + text, "$argon2id$v=19$" + text):
        if why_refused(stored):
            assert not imported_hashes.verify(stored, b"password")
