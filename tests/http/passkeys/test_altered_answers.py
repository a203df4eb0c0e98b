"""A passkey response with a defect in any of thirty places is rejected and changes nothing, in passkey-only sign-ins.

Each response is correct except for one place, and is signed again if that place is signed.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.passkeys.altered_passkeys import SIGNED, UNDERWAY
from tests.support.accounts import trail
from tests.support.application import App
from tests.support.authenticator import Altered
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.passkeys import PUBLIC, Holder, with_passkey
from tests.support.rules import rule

pytestmark = [pytest.mark.settings(**PUBLIC), pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@pytest.fixture(scope="module")
async def ada(app: App) -> Holder:
    return await with_passkey(app, counts=True)


@rule("PASSKEY-VERIFIED")
@matrix("what", SIGNED)
async def test_an_answer_that_was_made_wrong_is_rejected(ada: Holder, what: str) -> None:
    await _refused(ada, ada.browser.get(await ada.options(), SIGNED[what]))


@rule("PASSKEY-VERIFIED")
@matrix("what", UNDERWAY)
async def test_an_answer_that_was_altered_on_the_way_is_rejected(ada: Holder, what: str) -> None:
    credential = ada.browser.get(await ada.options())
    UNDERWAY[what](credential)
    await _refused(ada, credential)


async def test_thirty_places_are_altered() -> None:
    assert len(SIGNED) + len(UNDERWAY) >= 30


async def test_the_same_answer_unaltered_is_accepted(ada: Holder) -> None:
    check_success(await ada.sign_in())


async def _refused(ada: Holder, credential: dict[str, Any]) -> None:
    """Check that it's rejected without a session or cookie, and that the passkey still works."""
    before = await _opened(ada)
    reply = await ada.send(credential)
    check_refusal(reply, 401, "INVALID_CREDENTIALS")
    assert not reply.headers.get_list("set-cookie")
    assert await _opened(ada) == before
    counter = ada.browser.made[0].counter
    assert counter is not None
    check_success(await ada.sign_in(Altered(counter=counter)))  # the rejected response's counter, which wasn't stored


async def _opened(ada: Holder) -> list[str]:
    """The account's trail, except blocked attempts."""
    return [event.event for event in await trail(ada.app, ada.person.client) if event.event != "sign_in_failed"]
