"""A passkey is enough to re-authenticate the same user in the same session, once."""

from __future__ import annotations

import pytest

from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.passkeys import PUBLIC, Holder, signed_in, with_passkey

pytestmark = [pytest.mark.settings(**PUBLIC), pytest.mark.one_store]
AGAIN = "/api/client/auth/reauthenticate"


async def later(app: App, holder: Holder) -> Holder:
    app.clock.advance(600)
    return holder


async def act(holder: Holder) -> Reply:
    return await holder.app.send("DELETE", "/api/client/auth/identities/1", token=holder.token)


async def test_it_is_named_and_is_enough(app: App) -> None:
    ada = await later(app, await with_passkey(app))
    refused = check_refusal(await act(ada), 403, "REAUTHENTICATION_REQUIRED")
    assert [detail["field"] for detail in refused["details"]] == ["password", "recoveryCode", "credential"]
    assert check_success(await ada.prove_again())["amr"] == ["passkey", "mfa"]
    check_refusal(await act(ada), 404, "NOT_FOUND")


async def test_an_answer_counts_once(app: App) -> None:
    ada = await later(app, await with_passkey(app))
    public = check_success(await app.post(f"{AGAIN}/options", token=ada.token))["publicKey"]
    body = {"credential": ada.browser.get(public)}
    check_success(await app.post(AGAIN, body, token=ada.token))
    wrong = check_refusal(await app.post(AGAIN, body, token=ada.token), 401, "INVALID_CREDENTIALS")
    assert [detail["field"] for detail in wrong["details"]] == ["credential"]


async def test_anothers_passkey_and_anothers_challenge_are_rejected(app: App) -> None:
    ada, eve = await with_passkey(app), await with_passkey(app)
    await later(app, ada)
    public = check_success(await app.post(f"{AGAIN}/options", token=ada.token))["publicKey"]
    theirs = eve.browser.get({**public, "allowCredentials": []}, by=eve.browser.made[0])
    check_refusal(await app.post(AGAIN, {"credential": theirs}, token=ada.token), 401, "INVALID_CREDENTIALS")
    public = check_success(await app.post(f"{AGAIN}/options", token=eve.token))["publicKey"]
    mine = ada.browser.get({**public, "allowCredentials": []}, by=ada.browser.made[0])
    check_refusal(await app.post(AGAIN, {"credential": mine}, token=ada.token), 401, "INVALID_CREDENTIALS")
    check_refusal(await app.post(AGAIN, {"credential": {}}, token=ada.token), 401, "INVALID_CREDENTIALS")
    check_refusal(await act(ada), 403, "REAUTHENTICATION_REQUIRED")


async def test_a_challenge_of_a_sign_in_is_none_of_a_session(app: App) -> None:
    ada = await later(app, await with_passkey(app))
    credential = ada.browser.get(await ada.options())
    check_refusal(await app.post(AGAIN, {"credential": credential}, token=ada.token), 401, "INVALID_CREDENTIALS")


async def test_who_sets_the_first_factor_up_has_proved_both(app: App) -> None:
    ada = await signed_in(app)
    await ada.add()
    assert (await app.me(ada.token)).data["session"]["amr"] == ["pwd", "passkey", "mfa"]
    check_refusal(await act(ada), 404, "NOT_FOUND")
    await later(app, ada)
    check_refusal(await act(ada), 403, "REAUTHENTICATION_REQUIRED")
    check_refusal(await app.post(AGAIN, {"password": PASSWORD}, token=ada.token), 400, "VALIDATION_ERROR")
