"""A retired signing key verifies tokens until its last one has expired, plus two minutes."""

from __future__ import annotations

from manifest_auth.sessions.tokens import OF_APPS, Purpose
from tests.support.accounts import keys_of
from tests.support.application import App, running
from tests.support.matrix import matrix
from tests.support.rules import rule

#: The default lifetime, in seconds, of tokens signed with a key of each purpose.
LIVES = {
    Purpose.ACCESS: 86_400,
    Purpose.REFRESH: 30 * 86_400,
    Purpose.ADMIN_ACCESS: 900,
    Purpose.ADMIN_REFRESH: 12 * 3600,
    Purpose.SERVICE: 900,
    Purpose.FORMS: 86_400,
    Purpose.PAGE_STATE: 3600,
    **dict.fromkeys(OF_APPS.values(), 86_400),
}


def test_every_purpose_is_here() -> None:
    assert LIVES.keys() == set(Purpose)


@matrix("purpose", LIVES)
async def test_it_verifies_as_long_as_what_it_signed_and_two_minutes_more(app: App, purpose: Purpose) -> None:
    ring = app.services.keys
    for algorithm in OF_APPS:
        await ring.of_apps(algorithm)
    before = ring.signing(purpose).id
    await app.services.store.write(ring.rotate)
    assert await ring.refresh()
    assert ring.signing(purpose).id != before
    app.clock.advance(LIVES[purpose] + 119)
    assert before in [key.id for key in ring.verifying(purpose)]
    app.clock.advance(1)
    assert before not in [key.id for key in ring.verifying(purpose)]


async def test_the_tokens_of_a_key_that_was_replaced_are_good_to_their_last_second(app: App) -> None:
    keys = await keys_of(app)
    await app.services.store.write(app.services.keys.rotate)
    app.clock.advance(86_399)
    assert (await app.me(keys.token)).status == 200
    app.clock.advance(1)
    assert (await app.me(keys.token)).code == "TOKEN_EXPIRED"


@rule("KEY-ROTATION")
async def test_a_server_with_shorter_lives_shortens_no_one_elses(app: App, database_url: str) -> None:
    keys = await keys_of(app)
    async with running(database_url, MANIFEST_ACCESS_TOKEN_TTL="60") as other:
        other.goes_by_the_clock_of(app)
        await other.services.store.write(other.services.keys.rotate)
    app.clock.advance(86_399)
    assert (await app.me(keys.token)).status == 200
