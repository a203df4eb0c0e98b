"""The text of a refresh token has one spelling, is authentic to the last bit, and is valid for one purpose."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_auth.errors import InvalidToken, TokenExpired
from manifest_auth.sessions.tokens.issue import TEXT_LENGTH, mint_refresh, verify_refresh
from tests.support.matrix import matrix

KEY, OTHER = b"k" * 32, b"o" * 32
SESSION = base64.urlsafe_b64encode(bytes(range(16))).rstrip(b"=").decode()
OWN = base64.urlsafe_b64encode(b"\xfb\xff\xfe" * 4).decode()  # contains - and _
PARENT = base64.urlsafe_b64encode(b"parent-token").decode()
TOKEN = mint_refresh(KEY, SESSION, OWN, PARENT, 5000)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def test_what_was_minted_is_read_again() -> None:
    shown = verify_refresh([KEY], TOKEN, 0)
    assert tuple(shown) == (SESSION, OWN, PARENT, 5000)
    assert len(TOKEN) == TEXT_LENGTH


def test_it_says_expired_only_when_genuine() -> None:
    assert verify_refresh([KEY], TOKEN, 4999)
    with pytest.raises(TokenExpired):
        verify_refresh([KEY], TOKEN, 5000)
    with pytest.raises(InvalidToken):
        verify_refresh([OTHER], TOKEN, 5000)


def test_any_of_the_keys_will_do_and_none_will_not() -> None:
    assert verify_refresh([OTHER, KEY], TOKEN, 0) == verify_refresh([KEY, OTHER], TOKEN, 0)
    for keys in ([OTHER], []):
        with pytest.raises(InvalidToken):
            verify_refresh(keys, TOKEN, 0)


def test_a_version_that_we_do_not_know_is_rejected_though_the_code_is_right() -> None:
    """Signed with the key for tokens, because a later release might give it a different meaning."""
    raw = base64.urlsafe_b64decode(TOKEN.removeprefix("mrt_"))
    body, mac = raw[:-32], raw[-32:]

    def made(version: bytes) -> str:
        changed = version + body[1:]
        code = hashlib.blake2b(changed, key=KEY, digest_size=32, person=b"manifest refresh").digest()
        return "mrt_" + base64.urlsafe_b64encode(changed + code).decode()

    assert made(b"\x01") == TOKEN
    assert mac == base64.urlsafe_b64decode(made(b"\x01").removeprefix("mrt_"))[-32:]
    for version in (b"\x00", b"\x02", b"\xff"):
        with pytest.raises(InvalidToken):
            verify_refresh([KEY], made(version), 0)


@given(position=st.integers(0, TEXT_LENGTH - 1), character=st.sampled_from(ALPHABET + "+/=. \t\n\0é"))
def test_a_token_with_any_other_character_anywhere_is_no_token(position: int, character: str) -> None:
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]
    if changed == TOKEN:
        return
    with pytest.raises(InvalidToken):
        verify_refresh([KEY], changed, 0)


@matrix("pair", [("-", "+"), ("_", "/")])
def test_the_other_base64_alphabet_is_no_second_spelling(pair: tuple[str, str]) -> None:
    assert pair[0] in TOKEN.removeprefix("mrt_")
    with pytest.raises(InvalidToken):
        verify_refresh([KEY], "mrt_" + TOKEN.removeprefix("mrt_").replace(*pair), 0)


@given(st.text(max_size=200))
def test_no_text_whatsoever_breaks_it(text: str) -> None:
    for shown in (text, "mrt_" + text, ("mrt_" + text + "A" * TEXT_LENGTH)[:TEXT_LENGTH]):
        with pytest.raises(InvalidToken):
            verify_refresh([KEY], shown, 0)


@matrix("change", [lambda t: t + "=", lambda t: t[:-1], lambda t: " " + t, str.upper, lambda t: t[4:]])
def test_longer_shorter_or_otherwise_written_it_is_no_token(change: object) -> None:
    assert callable(change)
    with pytest.raises(InvalidToken):
        verify_refresh([KEY], change(TOKEN), 0)


def test_members_do_not_run_into_each_other() -> None:
    """Two different contents never have the same text, whatever their bytes."""
    first_token = mint_refresh(KEY, SESSION, OWN, None, 5000)
    assert (
        len(
            {
                TOKEN,
                first_token,
                mint_refresh(KEY, SESSION, PARENT, OWN, 5000),
                mint_refresh(KEY, SESSION, OWN, PARENT, 5001),
            }
        )
        == 4
    )
