"""A password sign-in that names no client goes to one of the account's clients.

The order is: the device's client, then verified addresses, then the oldest account.
"""

from __future__ import annotations

import pytest

from tests.support.accounts import new_client, new_user, trail
from tests.support.application import App, Reply
from tests.support.attempt_limits import DAY, PROXY, guess
from tests.support.domain_claims import domain_counts
from tests.support.rows import change_rows

#: The person's own password, and the one that a hostile client chose for its account.
OWN, THEIRS = "own-lantern-orchid-88", "theirs-granite-tundra-42"
pytestmark = [pytest.mark.settings(**PROXY), pytest.mark.one_store]


class Person:
    """A person with an account at an honest client, and another one that a hostile client creates later."""

    def __init__(self, app: App, honest: str, hostile: str) -> None:
        self.app, self.honest, self.hostile = app, honest, hostile
        self.email = f"author@{honest}.example"
        self.ids: dict[str, int] = {}

    async def make(self, client: str, password: str) -> None:
        self.app.clock.advance(1)
        self.ids[client], _ = await new_user(self.app, client, self.email, password=password)

    async def prove(self, client: str) -> None:
        """Verify the person's address at a client."""
        now = self.app.clock.now_ms()
        assert await change_rows(self.app, "users", {"id": self.ids[client]}, email_proved_at=now) == 1

    async def enter(self, password: str, client: str = "", device: str = "") -> Reply:
        self.app.clock.advance(1)
        return await guess(self.app, self.email, "203.0.113.5", password, device, client)

    async def goes_to(self, client: str, device: str = "") -> bool:
        """Whether a sign-in without a client goes there, because only that account's password works."""
        passwords = {self.honest: OWN, self.hostile: THEIRS}
        found = {name: await self.enter(password, device=device) for name, password in passwords.items()}
        assert sorted(reply.status for reply in found.values()) == [200, 401]
        assert found[client].status == 401 or found[client].data["user"]["clientId"] == client
        return found[client].status == 200


@pytest.fixture
async def person(app: App) -> Person:
    app.clock.advance(2 * DAY)
    found = Person(app, await new_client(app), await new_client(app))
    await found.make(found.honest, OWN)
    await found.make(found.hostile, THEIRS)
    return found


async def test_an_account_that_was_made_later_and_signed_in_last_draws_nothing(person: Person) -> None:
    assert (await person.enter(OWN, person.honest)).status == 200
    assert (await person.enter(THEIRS, person.hostile)).status == 200
    assert await person.goes_to(person.honest)


async def test_nor_does_it_where_the_person_never_signed_in(person: Person) -> None:
    assert (await person.enter(THEIRS, person.hostile)).status == 200
    assert await person.goes_to(person.honest)


async def test_an_address_of_a_domain_that_counts_is_proved(app: App) -> None:
    """The squatter came first, but the company's domain is verified for the company."""
    app.clock.advance(2 * DAY)
    person = Person(app, await new_client(app), await new_client(app))
    await person.make(person.hostile, THEIRS)
    await person.make(person.honest, OWN)
    assert await person.goes_to(person.hostile)  # while nothing is verified, the oldest account is used
    await domain_counts(app, person.honest)
    assert await person.goes_to(person.honest)


async def test_a_proved_address_goes_before_an_older_account(person: Person) -> None:
    await person.prove(person.hostile)
    assert await person.goes_to(person.hostile)


async def test_of_proved_addresses_the_one_that_signed_in_last_counts(person: Person) -> None:
    for client in (person.honest, person.hostile):
        await person.prove(client)
    for client, password in ((person.hostile, THEIRS), (person.honest, OWN), (person.hostile, THEIRS)):
        assert (await person.enter(password, client)).status == 200
        assert await person.goes_to(client)


async def test_an_address_that_is_not_proved_is_behind_one_that_never_signed_in(person: Person) -> None:
    await person.prove(person.hostile)
    assert (await person.enter(OWN, person.honest)).status == 200
    assert await person.goes_to(person.hostile)


async def test_the_device_says_which_client_it_is(person: Person) -> None:
    device = (await person.enter(OWN, person.honest)).cookie("device")
    await person.prove(person.hostile)
    assert await person.goes_to(person.hostile)
    assert await person.goes_to(person.honest, device)


async def test_a_device_of_both_clients_goes_to_the_one_that_it_was_used_at_last(person: Person) -> None:
    device = (await person.enter(OWN, person.honest)).cookie("device")
    device = (await person.enter(THEIRS, person.hostile, device)).cookie("device")
    for client, password in ((person.honest, OWN), (person.hostile, THEIRS)):
        assert (await person.enter(password, client, device)).status == 200
        assert await person.goes_to(client, device)


async def test_a_device_of_a_client_that_has_no_such_address_says_nothing(app: App, person: Person) -> None:
    third = await new_client(app)
    _, other = await new_user(app, third, password=OWN)
    device = (await guess(app, other, "203.0.113.6", OWN, client=third)).cookie("device")
    assert await person.goes_to(person.honest, device)


async def test_a_made_up_device_says_nothing(person: Person) -> None:
    assert (await person.enter(THEIRS, person.hostile, "A" * 22)).status == 200
    assert await person.goes_to(person.honest, "A" * 22)


async def test_a_forgotten_password_goes_the_same_way(app: App, person: Person) -> None:
    """Mail isn't set up here, so the test checks whose account is rate-limited."""
    assert (await person.enter(THEIRS, person.hostile)).status == 200
    for _ in range(6):
        headers = {"X-Forwarded-For": "203.0.113.9"}
        await app.post("/api/client/auth/password/forgot", {"email": person.email}, headers=headers)
    where = {c: [e.event for e in await trail(app, c)].count("throttled") for c in (person.honest, person.hostile)}
    assert where == {person.honest: 1, person.hostile: 0}
