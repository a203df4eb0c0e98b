"""Every sign-in attempt costs one hash, so its duration doesn't reveal whether the account exists.

If a client has imported hashes, unknown accounts cost the same as its own.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest

from tests.support.accounts import hashes_counted, imported_hashes_tried, new_client, new_user, settle
from tests.support.application import App
from tests.support.attempt_limits import PROXY, guess
from tests.support.foreign_hashes import argon2, bcrypt_hash, django_pbkdf2, one_of_each
from tests.support.matrix import matrix
from tests.support.rules import rule

PASSWORD = "Übernahme-vom-alten-System-7"
OURS = "argon2 64/1/1"
pytestmark = [pytest.mark.one_store, pytest.mark.usefixtures("another_day"), pytest.mark.settings(**PROXY)]


@pytest.fixture
async def client(app: App) -> str:
    return await new_client(app)


@contextlib.contextmanager
def work_seen() -> Iterator[list[str]]:
    """Collect kind and cost of each hash computed inside the block."""
    seen: list[str] = []
    with imported_hashes_tried() as theirs, hashes_counted() as ours:
        yield seen
    seen += map(kind_of, theirs)
    seen += [f"argon2 {made['memory']}/{made['passes']}/{made['lanes']}" for made in ours]


def kind_of(stored: str) -> str:
    """The part of a foreign hash that determines its time: everything except salt and hash."""
    return re.sub(r"[./A-Za-z0-9+=]{20,}|\$grain", "", stored)


async def work_of(app: App, email: str, client: str | None, number: int = 0) -> str:
    """The work for one wrong guess."""
    with work_seen() as seen:
        reply = await guess(app, email, f"198.51.{number // 200}.{number % 200}", client=client or "")
    assert reply.code == "INVALID_CREDENTIALS"
    [one] = seen
    return one


@rule("UNKNOWN-ACCOUNT")
@matrix("kind", one_of_each(PASSWORD))
async def test_who_does_not_exist_costs_what_all_others_cost(app: App, client: str, kind: str) -> None:
    stored = one_of_each(PASSWORD)[kind]
    _, email = await new_user(app, client, passwordHash=stored)
    real = await work_of(app, email, client)
    assert real != OURS or kind == "argon2id with a short salt" or "short tag" in kind
    assert {await work_of(app, f"nobody-{n}@x.example", client, n) for n in range(5)} == {real}


async def test_where_all_hashes_are_ours_a_decoy_is_too(app: App, client: str) -> None:
    assert await work_of(app, "nobody@x.example", client) == OURS  # the client has no accounts
    await new_user(app, client, password=PASSWORD)
    assert await work_of(app, "nobody@x.example", client) == OURS


@rule("UNKNOWN-ACCOUNT")
async def test_among_accounts_of_several_kinds_each_made_up_one_has_one_kind_for_good(app: App, client: str) -> None:
    stored = [bcrypt_hash(PASSWORD), django_pbkdf2(PASSWORD), argon2(PASSWORD)]
    for number in range(12):
        await new_user(app, client, passwordHash=stored[number % 3])
    names = [f"nobody-{n}@x.example" for n in range(80)]
    first = [await work_of(app, name, client, n) for n, name in enumerate(names)]
    assert set(first) == {kind_of(stored[0]), kind_of(stored[1]), "argon2 128/2/1"}
    assert min(first.count(kind) for kind in set(first)) >= 8  # of 27: none is rare
    assert [await work_of(app, name.upper(), client, n + 500) for n, name in enumerate(names)] == first


async def test_a_decoy_becomes_ours_when_the_accounts_do(app: App, client: str) -> None:
    _, email = await new_user(app, client, passwordHash=bcrypt_hash(PASSWORD))
    assert await work_of(app, "nobody@x.example", client) == kind_of(bcrypt_hash(PASSWORD))
    assert (await guess(app, email, "203.0.113.5", PASSWORD, client=client)).status == 200
    assert await work_of(app, "nobody@x.example", client) == OURS


async def test_an_account_without_a_password_costs_the_same(app: App, client: str) -> None:
    """The account can sign in only through a provider."""
    _, email = await new_user(app, client)
    await new_user(app, client, passwordHash=bcrypt_hash(PASSWORD))
    for _ in range(3):
        await new_user(app, client)
    found = {await work_of(app, email, client)}
    found |= {await work_of(app, f"nobody-{n}@x.example", client, n) for n in range(20)}
    assert found == {kind_of(bcrypt_hash(PASSWORD))}  # regardless of the account it starts at


async def test_a_client_without_passwords_costs_the_same(app: App, client: str) -> None:
    _, email = await new_user(app, client, passwordHash=bcrypt_hash(PASSWORD))
    await settle(app, client, passwordSignIn=False)
    assert await work_of(app, email, client) == await work_of(app, "nobody@x.example", client)


async def test_one_client_is_no_pattern_for_another(app: App, client: str) -> None:
    await new_user(app, await new_client(app), passwordHash=bcrypt_hash(PASSWORD))
    await new_user(app, client, password=PASSWORD)
    assert {await work_of(app, f"nobody-{n}@x.example", client, n) for n in range(10)} == {OURS}


async def test_without_a_client_the_clients_are_the_pattern(app: App) -> None:
    for _ in range(30):
        await new_user(app, await new_client(app), passwordHash=bcrypt_hash(PASSWORD))
    for named in (None, "no-such-client"):
        made = [await work_of(app, f"nobody-{named}-{n}@x.example", named, n) for n in range(40)]
        assert kind_of(bcrypt_hash(PASSWORD)) in made


async def test_the_password_of_the_account_that_is_the_pattern_opens_nothing(app: App, client: str) -> None:
    await new_user(app, client, passwordHash=bcrypt_hash(PASSWORD))
    reply = await guess(app, "nobody@x.example", "203.0.113.5", PASSWORD, client=client)
    assert reply.code == "INVALID_CREDENTIALS"
