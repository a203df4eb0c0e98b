"""Pages for a user with only one passkey, created for a former address of the server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.http.pages.sign_in.test_enrolment import codes_of
from tests.support.accounts import settle
from tests.support.application import PASSWORD, App, running
from tests.support.envelope import check_success
from tests.support.passkeys import PUBLIC, Holder, with_passkey
from tests.support.rows import change_rows
from tests.support.second_factors import CODES, ENROL, FACTOR, code, password_typed
from tests.support.system_admins import Phone
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.settings(**PUBLIC), pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
PATH = "/account/passkeys"


@pytest.fixture(scope="module")
async def there(database_url: str, app: App) -> AsyncIterator[App]:
    async with running(database_url, MANIFEST_PUBLIC_URL="https://auth.other.example") as node:
        node.goes_by_the_clock_of(app)
        yield node


@pytest.fixture
async def ada(app: App, there: App) -> Holder:
    """A user with such a passkey and ten recovery codes."""
    holder = await with_passkey(app)
    holder.person.app = there
    return holder


async def typed(ada: Holder) -> tuple[Visitor, Page]:
    return await password_typed(ada.person, visitor=Visitor(ada.app, headers={"Host": "auth.other.example"}))


def ways_of(page: Page) -> set[str]:
    return {name for name, href in page.links().items() if "way=" in href}


async def test_a_recovery_code_is_asked_for_and_the_account_shows_what_is_void(ada: Holder) -> None:
    visitor, page = await typed(ada)
    assert page.heading == "Enter a recovery code"
    assert ways_of(page) == set()
    assert (await visitor.submit(page, FACTOR, recoveryCode=ada.recovery_codes[0])).location == "/account"
    page = await visitor.get(PATH)
    assert [badge.text for badge in page.tree.xpath("//main//*[contains(@class, 'badge')]")] == [
        "Created for a previous address"
    ]
    assert page.tree.xpath("//@data-passkeys-accepted")
    ada.app.clock.advance(601)
    page = await visitor.get("/reauthenticate?returnTo=/account/email")
    assert page.tree.xpath("//input[@name='recoveryCode']")
    assert ways_of(page) == set()


async def test_where_nothing_can_answer_any_longer_the_page_says_so(ada: Holder) -> None:
    """Another sign-in used the last code in the meantime. Starting again leads further."""
    visitor, page = await typed(ada)
    await change_rows(ada.app, "recovery_codes", {"user_id": ada.person.id}, used_at=1)
    page = await visitor.get(FACTOR)
    assert page.heading == "Second step"
    assert "You can't use any of your second factors here." in page.text
    page = await visitor.get(page.links()["Start again"])
    page = await visitor.submit(page, "/sign-in/password", email=ada.person.email, password=PASSWORD)
    assert page.location.startswith(f"{ENROL}?s=")


async def test_without_codes_another_factor_is_set_up_and_new_codes_are_shown(ada: Holder) -> None:
    await change_rows(ada.app, "recovery_codes", {"user_id": ada.person.id}, used_at=1)
    await settle(ada.app, ada.person.client, secondFactor={"policy": "off"})
    visitor, page = await typed(ada)
    assert page.heading == "Set up a second factor"
    page = await visitor.follow(await visitor.submit(page, ENROL))
    ada.person.phone = Phone(ada.app, page.tree.get_element_by_id("secret").text_content().replace(" ", ""))
    page = await visitor.submit(page, ENROL, otp=code(ada.person))
    assert page.location == CODES
    assert len(codes_of(await visitor.get(CODES))) == 10
    check_success(await ada.app.me(cookie=visitor.cookies["session"]))
