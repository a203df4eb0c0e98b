"""SAML for deactivated users, suspended clients, and disabled providers: what is recorded and counted."""

from __future__ import annotations

import pytest

from tests.support.accounts import Keys, act_on, new_client, opened_by, settle, trail
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success, same_but_request_id
from tests.support.licences import LICENCE, key, on_premise
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import (
    Browser,
    SamlProvider,
    check_no_one_got_in,
    failures,
    saml_provider,
    sign_ins,
)

pytestmark = pytest.mark.one_store


async def provider(app: App) -> SamlProvider:
    return await saml_provider(app, await new_client(app))


async def test_a_deactivated_user_is_told_so_after_a_valid_assertion_alone(app: App) -> None:
    okta = await provider(app)
    user_id = (await okta.call(okta.response())).data["user"]["id"]
    await act_on(app, f"{okta.client}/users/{user_id}/deactivate")
    counted = sign_ins(app, "saml", "refused")
    refused = await okta.call(okta.response())
    check_no_one_got_in(refused, 403, "ACCOUNT_DISABLED")
    check_no_one_got_in(await okta.sign_in(Browser(app)), 403, "ACCOUNT_DISABLED")
    check_no_one_got_in(await okta.call(okta.response(sign="none")))
    check_no_one_got_in(await okta.call(okta.response(audience="https://other.example/")))
    assert sign_ins(app, "saml", "refused") == counted + 2
    assert "sign_in_refused" in [event.event for event in await trail(app, okta.client)]
    await act_on(app, f"{okta.client}/users/{user_id}/restore")
    assert (await okta.call(okta.response())).data["user"]["id"] == user_id


async def test_an_assertion_that_found_a_closed_account_is_used_up(app: App) -> None:
    okta = await provider(app)
    user_id = (await okta.call(okta.response())).data["user"]["id"]
    await act_on(app, f"{okta.client}/users/{user_id}/deactivate")
    response = okta.response()
    check_no_one_got_in(await okta.call(response), 403, "ACCOUNT_DISABLED")
    await act_on(app, f"{okta.client}/users/{user_id}/restore")
    check_no_one_got_in(await okta.call(response))


async def test_of_a_suspended_client_no_one_can_sign_in(app: App) -> None:
    okta = await provider(app)
    keys = Keys.of(await okta.call(okta.response()))
    await act_on(app, f"{okta.client}/suspend")
    assert await opened_by(app, keys) == []
    check_no_one_got_in(await okta.call(okta.response()), 403, "ACCOUNT_DISABLED")
    check_no_one_got_in(await okta.call(okta.response("new@acme.example")), 403, "ACCOUNT_DISABLED")
    check_no_one_got_in(await okta.call(okta.response(sign="none")))
    await act_on(app, f"{okta.client}/restore")
    assert (await okta.call(okta.response())).status == 200


@pytest.mark.parametrize("act", ["/switch-off", ""], ids=["switched off", "deleted"])
async def test_when_a_provider_goes_its_sessions_end_immediately_and_no_others(app: App, act: str) -> None:
    okta, other = await provider(app), await provider(app)
    beside = await saml_provider(app, okta.client)
    gone = [Keys.of(await okta.call(okta.response(f"p{n}@acme.example"))) for n in range(2)]
    code = await one_time_code(okta)
    kept = [Keys.of(await one.call(one.response("kept@acme.example"))) for one in (beside, other)]
    assert (await okta.admin("POST" if act else "DELETE", act)).status == 200
    for keys in gone:
        assert await opened_by(app, keys) == []
    for keys in kept:
        assert await opened_by(app, keys) == ["token", "cookie", "refresh token"]
    check_refusal(await app.post("/api/client/auth/exchange", {"code": code}), 401, "SSO_FAILED")
    refused = await okta.call(okta.response())
    same_but_request_id(refused, await other.call(other.response(sign="none")))
    check_no_one_got_in(await okta.call(okta.response(encrypt_for=okta.certificate)))


async def one_time_code(okta: SamlProvider) -> str:
    browser = Browser(okta.app)
    request_id, state = await okta.start(browser, response="code")
    ended = await okta.post(browser, okta.response("app@acme.example", in_response_to=request_id), state)
    return str(ended.headers["location"].partition("code=")[2])


async def test_turned_on_again_it_signs_people_in_and_old_sessions_stay_ended(app: App) -> None:
    okta = await provider(app)
    keys = Keys.of(await okta.call(okta.response()))
    await okta.admin("POST", "/switch-off")
    await okta.admin("POST", "/switch-on")
    assert await opened_by(app, keys) == []
    assert (await okta.call(okta.response())).status == 200


async def test_a_deleted_providers_people_do_not_come_back_through_its_successor(app: App) -> None:
    """Identities are deleted with the provider, because the next one with its entity ID can belong to another
    company."""
    client = await new_client(app)
    idp = Idp(issuer="http://www.okta.com/exkagain")
    okta = await saml_provider(app, client, idp)
    first = (await okta.call(okta.response("00u1", attributes={"email": "ada@acme.example"}))).data["user"]["id"]
    await okta.admin("DELETE")
    successor = await saml_provider(app, client, idp)
    check_no_one_got_in(await successor.call(successor.response("00u1", attributes={"email": "ada@acme.example"})))
    again = await successor.call(successor.response("00u1", attributes={"email": "grace@acme.example"}))
    assert again.data["user"]["id"] != first


async def test_where_passwords_are_turned_off_saml_goes_on(app: App) -> None:
    okta = await provider(app)
    await settle(app, okta.client, passwordSignIn=False)
    assert (await okta.call(okta.response())).status == 200


async def test_what_is_recorded_of_a_first_sign_in(app: App) -> None:
    okta = await provider(app)
    before, counted = len(await trail(app, okta.client)), sign_ins(app, "saml", "ok")
    user_id = (await okta.call(okta.response("first@acme.example"))).data["user"]["id"]
    events = (await trail(app, okta.client))[before:]
    assert [event.event for event in events] == ["user_created", "identity_linked", "signed_in"]
    assert {event.subject for event in events} == {f"user:{user_id}"}
    assert {event.members["provider"] for event in events} == {okta.made["id"]}
    assert (events[1].members["of"], events[2].members["method"]) == ("first@acme.example", "saml")
    assert {event.address for event in events} == {"192.0.2.1"}
    assert sign_ins(app, "saml", "ok") == counted + 1
    await okta.call(okta.response("first@acme.example"))
    assert [event.event for event in (await trail(app, okta.client))[before:]][3:] == ["signed_in"]


async def test_neither_trail_nor_answer_holds_the_assertion(app: App) -> None:
    okta = await provider(app)
    response = okta.response()
    await okta.call(response)
    refused = await okta.call(response)
    written = "".join(event.detail for event in await trail(app, okta.client)) + refused.text
    assert response[100:140] not in written
    assert "SignatureValue" not in written


async def test_a_person_who_is_not_known_is_turned_away_and_the_trail_says_why(app: App) -> None:
    okta = await saml_provider(app, await new_client(app), createUsers=False)
    refused = await okta.call(okta.response("unknown@acme.example"))
    check_no_one_got_in(refused)
    assert "unknown@acme.example" not in refused.text
    [failure] = await failures(app, okta.client)
    known = {"method": "saml", "provider": okta.made["id"], "email": "unknown@acme.example"}
    assert failure == {**known, "why": failure["why"]}
    assert "creates no users" in failure["why"]
    roleless = await saml_provider(app, await new_client(app), defaultRoles=[], createUsers=True)
    check_no_one_got_in(await roleless.call(roleless.response("roleless@acme.example")))
    assert "no group grants a role" in (await failures(app, roleless.client))[0]["why"]


async def test_without_a_license_no_assertion_opens_anything_nor_is_it_used_up(app: App, database_url: str) -> None:
    okta = await saml_provider(app, await new_client(app))
    response = okta.response()
    async with on_premise(database_url) as premises:
        premises.goes_by_the_clock_of(app)
        here = SamlProvider(premises, okta.idp, okta.client, okta.name, okta.made)
        check_refusal(await here.call(response), 403, "LICENSE_REQUIRED")
        check_refusal(await here.post(Browser(premises), response), 403, "LICENSE_REQUIRED")
        check_refusal(await Browser(premises).start("okta-saml", client=okta.client), 403, "LICENSE_REQUIRED")
        token = await premises.admin_token()
        check_success(
            await premises.post(LICENCE, {"licenseKey": key(premises, full=1000, operate=0, connect=0)}, token=token)
        )
        check_success(await here.call(response))
