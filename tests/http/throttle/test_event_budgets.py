"""Audit events by anonymous callers have budgets, and a full budget of one class doesn't hide events of another."""

from __future__ import annotations

import pytest

from tests.support.accounts import act_on, new_client, new_user, trail
from tests.support.application import PASSWORD, App
from tests.support.attempt_limits import DAY, WRONG, guess
from tests.support.envelope import check_refusal
from tests.support.rules import rule
from tests.support.single_sign_on import SamlProvider, saml_provider
from tests.support.smaller_limits import EVENTS_S, few_events
from tests.support.system_admins import events

pytestmark = pytest.mark.one_store

FROM_ADDRESS, IN_CLIENT = 20, 50
HERE = "203.0.113.7"


@pytest.fixture(autouse=True)
def few(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small budgets, in a separate period."""
    app.clock.advance(2 * DAY)
    few_events(monkeypatch, FROM_ADDRESS, IN_CLIENT)


@pytest.fixture
async def client(app: App) -> str:
    return await new_client(app)


async def count(app: App, client: str, *names: str) -> int:
    return sum(e.event in names for e in await trail(app, client))


async def unknown_names(app: App, client: str, attempts: int, start: int = 0) -> None:
    """Attempts at nonexistent accounts, ten from each address."""
    for number in range(start, start + attempts):
        address = f"198.51.{number // 2000}.{number // 10 % 200}"
        assert (await guess(app, f"nobody-{number}@x.example", address, client=client)).status == 401


async def fill(app: App, client: str) -> None:
    """Cause all events that anonymous callers can cause in a client, beyond the budget."""
    await unknown_names(app, client, IN_CLIENT + 10)
    assert await count(app, client, "sign_in_failed") == IN_CLIENT


async def test_failed_sign_ins_at_unknown_accounts_are_within_the_budget_of_an_address(app: App, client: str) -> None:
    for number in range(FROM_ADDRESS + 9):
        assert (await guess(app, f"nobody-{number}@x.example", HERE, client=client)).status == 401
    assert await count(app, client, "sign_in_failed") == FROM_ADDRESS
    told = [e.members for e in await trail(app, client) if e.event == "events_left_out"]
    assert [(e["events"], e["of"], e["class"], e["last"]) for e in told] == [
        (number, "address", "anyone", "sign_in_failed") for number in (1, 2, 4, 8)
    ]


async def test_a_budget_is_for_the_whole_hour_and_not_longer(app: App, client: str) -> None:
    app.clock.advance(EVENTS_S - app.clock.now_ms() / 1000 % EVENTS_S)
    for number in range(FROM_ADDRESS):
        await guess(app, f"nobody-{number}@x.example", HERE, client=client)
    for seconds, then in ((EVENTS_S - 1, FROM_ADDRESS), (1, FROM_ADDRESS + 1)):
        app.clock.advance(seconds)
        await guess(app, "nobody@x.example", HERE, client=client)
        assert await count(app, client, "sign_in_failed") == then


@rule("THROTTLE-COUNTS")
async def test_failed_sign_ins_at_unknown_accounts_are_within_the_budget_of_a_client(app: App, client: str) -> None:
    await fill(app, client)
    told = [e.members for e in await trail(app, client) if e.event == "events_left_out"]
    assert [(e["events"], e["of"]) for e in told] == [(number, "client") for number in (1, 2, 4, 8)]


async def test_failed_sign_ins_of_admins_are_within_the_budget_too(app: App) -> None:
    async def refused() -> int:
        """The number of events in the installation's trail."""
        return sum(event == "sign_in_failed" for event, *_ in await events(app))

    before = await refused()
    for number in range(FROM_ADDRESS + 9):
        body = {"username": f"nobody-{number}", "password": WRONG}
        reply = await app.post("/api/admin/auth/sign-in", body, headers={"X-Forwarded-For": HERE})
        check_refusal(reply, 401, "INVALID_CREDENTIALS")
    assert await refused() - before == FROM_ADDRESS


async def test_junk_hides_no_failed_sign_in_of_a_known_user(app: App, client: str) -> None:
    number, email = await new_user(app, client, password=PASSWORD)
    await fill(app, client)
    assert (await guess(app, email, HERE, client=client)).status == 401
    last = (await trail(app, client))[-1]
    assert (last.event, last.subject) == ("sign_in_failed", f"user:{number}")


@rule("THROTTLE-COUNTS")
async def test_junk_hides_no_refusal_of_a_known_user(app: App, client: str) -> None:
    number, email = await new_user(app, client, password=PASSWORD)
    await act_on(app, f"{client}/users/{number}/deactivate")
    await fill(app, client)
    check_refusal(await guess(app, email, HERE, PASSWORD, client=client), 403, "ACCOUNT_DISABLED")
    last = (await trail(app, client))[-1]
    assert (last.event, last.subject) == ("sign_in_refused", f"user:{number}")


@rule("THROTTLE-COUNTS")
async def test_junk_hides_no_refresh_token_that_was_used_again(app: App, client: str) -> None:
    number, email = await new_user(app, client, password=PASSWORD)
    first = (await guess(app, email, HERE, PASSWORD, client=client)).data["refreshToken"]
    second = (await app.refresh(first)).data["refreshToken"]
    assert (await app.refresh(second)).status == 200
    await fill(app, client)
    app.clock.advance(60)
    assert (await app.refresh(first)).status == 401
    last = (await trail(app, client))[-1]
    assert (last.event, last.subject) == ("refresh_token_reused", f"user:{number}")


@rule("THROTTLE-COUNTS")
async def test_junk_hides_no_replay(app: App, client: str) -> None:
    okta: SamlProvider = await saml_provider(app, client)
    response = okta.response()
    assert (await okta.call(response)).status == 200
    await fill(app, client)
    for _ in range(5):  # unsigned responses that name a known issuer
        check_refusal(await okta.call(okta.response(sign="none")), 401, "SSO_FAILED")
    check_refusal(await okta.call(response), 401, "SSO_FAILED")
    assert await count(app, client, "assertion_replayed") == 1


@rule("THROTTLE-COUNTS")
async def test_one_users_refusals_hide_no_other_users(app: App, client: str) -> None:
    people = [await new_user(app, client, password=PASSWORD) for _ in range(2)]
    for number, _ in people:
        await act_on(app, f"{client}/users/{number}/deactivate")
    for _ in range(FROM_ADDRESS + 5):
        assert (await guess(app, people[0][1], HERE, PASSWORD, client=client)).status == 403
    assert await count(app, client, "sign_in_refused") == FROM_ADDRESS
    assert (await guess(app, people[1][1], HERE, PASSWORD, client=client)).status == 403
    last = (await trail(app, client))[-1]
    assert (last.event, last.subject) == ("sign_in_refused", f"user:{people[1][0]}")
