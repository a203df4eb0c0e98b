"""No sign-in method requests unusable passkeys, after the host has moved or at an address where browsers have none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.accounts import settle
from tests.support.application import App, Reply, running
from tests.support.authenticator import Authenticator
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.passkeys import PASSKEYS, PUBLIC, Holder, with_passkey
from tests.support.rows import change_rows
from tests.support.rules import rule
from tests.support.second_factors import OWN, SIGN_IN, Person
from tests.support.system_admins import Phone
from tests.support.user_management import reset

pytestmark = [pytest.mark.settings(**PUBLIC), pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
MOVED = "https://auth.other.example"
ADDRESSES = {"moved": MOVED, "off": "http://192.0.2.7"}
POLICIES = ("off", "optional", "required", "roles")


@pytest.fixture(scope="module", params=ADDRESSES)
async def there(request: pytest.FixtureRequest, database_url: str, app: App) -> AsyncIterator[App]:
    """The same installation at another address, where no passkey of this one works."""
    async with running(database_url, MANIFEST_PUBLIC_URL=ADDRESSES[request.param]) as node:
        node.goes_by_the_clock_of(app)
        yield node


async def moved_holder(app: App, there: App) -> Holder:
    """A user with one passkey and ten codes, at the other address."""
    ada = await with_passkey(app)
    app.clock.advance(1)
    ada.person.app, ada.browser.origin, ada.cookie = there, MOVED, ""
    return ada


async def without_codes(app: App, there: App) -> Person:
    ada = (await moved_holder(app, there)).person
    await change_rows(app, "recovery_codes", {"user_id": ada.id}, used_at=1)
    return ada


async def by_password(ada: Person) -> Reply:
    return await ada.sign_in()


async def by_link(ada: Person) -> Reply:
    return await reset(ada.app, await ada.reset_link())


WAYS = {"password": by_password, "link": by_link}


def named(reply: Reply) -> list[str]:
    return [one["field"] for one in check_refusal(reply, 401, "MFA_REQUIRED")["details"]]


@rule("SECOND-FACTOR-GATE")
@matrix("way", WAYS)
async def test_with_codes_left_a_recovery_code_alone_is_asked_for(app: App, there: App, way: str) -> None:
    ada = await moved_holder(app, there)
    reply = await WAYS[way](ada.person)
    assert named(reply) == ["recoveryCode"]
    challenge = reply.json["error"]["challenge"]
    begun = await there.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"})
    check_refusal(begun, 401, "INVALID_TOKEN")
    assert named(await ada.person.go_on(challenge, recoveryCode="x" * 24)) == ["recoveryCode"]
    done = await ada.person.go_on(challenge, recoveryCode=ada.recovery_codes[0])
    session = (await there.me(check_success(done)["token"])).data["session"]
    assert session["amr"][-2:] == ["recovery", "mfa"]


@rule("SECOND-FACTOR-GATE")
@matrix("policy", POLICIES)
@matrix("way", WAYS)
async def test_without_codes_another_factor_is_enrolled_whatever_the_policy(
    app: App, there: App, policy: str, way: str
) -> None:
    ada = await without_codes(app, there)
    await settle(app, ada.client, secondFactor={"policy": policy, "roles": ["Admin"], "graceDays": 30})
    reply = await WAYS[way](ada)
    assert named(reply) == ["enrol"]
    challenge = reply.json["error"]["challenge"]
    begun = check_success(await there.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"}))
    ada.phone = Phone(there, begun["secret"])
    data = check_success(await ada.go_on(challenge, otp=ada.phone.code()))
    assert len(set(data["recoveryCodes"])) == 10
    assert (await there.me(data["token"])).data["session"]["amr"][-2:] == ["otp", "mfa"]
    if way == "password":
        assert await ada.fields() == ["otp", "recoveryCode"]


@rule("SECOND-FACTOR-GATE")
async def test_back_at_the_old_address_the_passkey_works_and_no_enrollment_goes_on(app: App, there: App) -> None:
    """An enrollment that was started in the meantime can't bypass it."""
    ada = await moved_holder(app, there)
    await change_rows(app, "recovery_codes", {"user_id": ada.person.id}, used_at=1)
    challenge = (await ada.person.challenge())["challenge"]
    begun = check_success(await there.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"}))
    ada.person.app, ada.browser.origin = app, PUBLIC["MANIFEST_PUBLIC_URL"]
    answer = await ada.person.go_on(challenge, otp=Phone(app, begun["secret"]).code())
    check_refusal(answer, 401, "INVALID_TOKEN")
    again = await app.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"})
    check_refusal(again, 401, "INVALID_TOKEN")
    assert named(await ada.person.sign_in()) == ["passkey"]
    check_success(await ada.sign_in())


async def test_a_trusted_browser_stays_so(app: App, there: App) -> None:
    ada = await with_passkey(app)
    challenge = (await ada.person.challenge())["challenge"]
    answer = ada.browser.get(await ada.options(challenge))
    trust = (await ada.person.go_on(challenge, passkey=answer, trust=True)).cookie("__Host-trust")
    ada.person.app = there
    name = "__Host-trust" if there.public_url.startswith("https:") else "trust"
    check_success(await ada.person.sign_in(cookies=f"{name}={trust}"))


async def test_one_that_works_is_named_beside_a_void_one(app: App, database_url: str) -> None:
    async with running(database_url, MANIFEST_PUBLIC_URL=MOVED) as node:
        node.goes_by_the_clock_of(app)
        ada = await moved_holder(app, node)
        await change_rows(app, "recovery_codes", {"user_id": ada.person.id}, used_at=1)
        challenge = (await ada.person.challenge())["challenge"]
        body = {"challenge": challenge, "method": "passkey"}
        options = check_success(await node.post(f"{SIGN_IN}/enrol", body))["publicKey"]
        assert options["excludeCredentials"] == []
        made = Authenticator(MOVED)
        data = check_success(await ada.person.go_on(challenge, newPasskey=made.create(options)))
        assert len(data["recoveryCodes"]) == 10
        assert named(await ada.person.sign_in()) == ["passkey", "recoveryCode"]
        await _one_of_two_stays(app, ada, data["token"])


async def _one_of_two_stays(app: App, ada: Holder, token: str) -> None:
    """A required factor can't be removed if it works, but an unusable one can."""
    node: Any = ada.app
    await settle(app, ada.person.client, secondFactor={"policy": "required"})
    void, works = (one["id"] for one in (await node.get(OWN, token=token)).data["passkeys"])
    check_refusal(await node.send("DELETE", f"{PASSKEYS}/{works}", token=token), 409, "CONFLICT")
    check_success(await node.send("DELETE", f"{PASSKEYS}/{void}", token=token))


async def test_the_last_app_is_not_removed_for_a_void_passkey(app: App, there: App) -> None:
    ada = await without_codes(app, there)
    challenge = (await ada.challenge())["challenge"]
    begun = check_success(await there.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"}))
    token = check_success(await ada.go_on(challenge, otp=Phone(there, begun["secret"]).code()))["token"]
    await settle(app, ada.client, secondFactor={"policy": "required"})
    check_refusal(await there.send("DELETE", f"{OWN}/totp", token=token), 409, "CONFLICT")
