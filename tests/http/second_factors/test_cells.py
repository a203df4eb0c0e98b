"""Every policy, role, factor, and sign-in method: whether a session opens, or a factor or an enrollment is required.

Each sign-in method uses a new user with factors that are inserted as rows. `test_cells_of_passkeys.py` covers sign-in
with only a passkey.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Awaitable, Callable

import pytest

from tests.http.second_factors.factor_cells import ENROLLED, POLICIES, Cell, cells_of
from tests.support.accounts import number_of, settle
from tests.support.application import App, Reply
from tests.support.matrix import matrix
from tests.support.people import OidcProvider, oidc_provider, set_roles
from tests.support.rows import add_row, change_rows
from tests.support.second_factors import Person, person
from tests.support.single_sign_on import Browser, query_of
from tests.support.user_management import reset

#: An address where browsers support passkeys.
PUBLIC_URL = "http://localhost:8080"
pytestmark = [
    pytest.mark.settings(MANIFEST_PUBLIC_URL=PUBLIC_URL),
    pytest.mark.usefixtures("another_day"),
    pytest.mark.one_store,
]
COOKIE = "trust=" + "t" * 43
_numbers = itertools.count(1)


def found(reply: Reply) -> str:
    """The result of a response; checks that an error grants nothing."""
    if reply.status == 200:
        assert reply.data["token"]
        assert reply.cookie("session")
        return "in, due" if "secondFactorDue" in reply.data else "in"
    assert (reply.status, reply.code) == (401, "MFA_REQUIRED"), reply.text
    assert "set-cookie" not in reply.headers
    assert "token" not in reply.text.lower()
    return " ".join(detail["field"] for detail in reply.json["error"]["details"])


async def has(app: App, client: str, user_id: int, enrolled: str) -> str:
    """Give the user these factors; returns the cookies of the user's browser."""
    await change_rows(app, "users", {"id": user_id}, factors=ENROLLED[enrolled])
    if ENROLLED[enrolled] & 2:
        await add_row(
            app, "passkeys", tenant_id=await number_of(app, client), id=f"passkey-{user_id}", user_id=user_id,
            credential_id=f"credential-{user_id}", public_key=b"", algorithm=-7, counter=0, transports="", aaguid="",
            name="", backup_eligible=0, backup_state=0, rp_id="localhost", created_at=1,
        )  # fmt: skip
    if enrolled != "trusted":
        return ""
    await add_row(
        app, "trusted_browsers", tenant_id=await number_of(app, client), id=f"trusted-{user_id}", user_id=user_id,
        key=hashlib.sha256(b"t" * 43).hexdigest(), user_agent="", address="",
        created_at=app.clock.now_ms(), ends_at=2_000_000_000_000,
    )  # fmt: skip
    return COOKIE


async def by_password(cell: Cell, idp: OidcProvider) -> Reply:
    ada = await person(idp.app, idp.client, cell.role)
    return await ada.sign_in(cookies=await has(idp.app, idp.client, ada.id, cell.enrolled))


async def by_link(cell: Cell, idp: OidcProvider) -> Reply:
    ada: Person = await person(idp.app, idp.client, cell.role)
    cookies = await has(idp.app, idp.client, ada.id, cell.enrolled)
    return await reset(idp.app, await ada.reset_link(), headers={"cookie": cookies} if cookies else {})


async def _at_the_provider(cell: Cell, idp: OidcProvider) -> tuple[Browser, str]:
    """A browser that signed in through the provider once, as a user with the role."""
    sub = f"sub-{next(_numbers)}"
    browser = await idp.sign_in(sub, f"{sub}@{idp.client}.example")
    user_id = (await browser.me()).data["user"]["id"]
    await set_roles(idp.app, idp.client, user_id, cell.role)
    again = Browser(idp.app)
    if cookies := await has(idp.app, idp.client, user_id, cell.enrolled):
        again.cookies["trust"] = cookies.partition("=")[2]
    return again, sub


async def by_provider(cell: Cell, idp: OidcProvider) -> Reply:
    browser, sub = await _at_the_provider(cell, idp)
    await idp.sign_in(sub, browser=browser)
    me = await browser.me()
    assert me.data["session"]["amr"] == ["provider"]
    me.json["data"]["token"] = "in a cookie"
    me.headers["set-cookie"] = f"session={browser.cookies['session']}"
    return me


async def by_exchange(cell: Cell, idp: OidcProvider) -> Reply:
    browser, sub = await _at_the_provider(cell, idp)
    _, ended = await idp.attempt(sub, browser=browser, query={"response": "code"})
    return await idp.app.post("/api/client/auth/exchange", {"code": query_of(ended)["code"]})


WAYS: dict[str, Callable[[Cell, OidcProvider], Awaitable[Reply]]] = {
    "password": by_password,
    "link": by_link,
    "provider": by_provider,
    "exchange": by_exchange,
}


@matrix("way", WAYS)
@matrix("policy", POLICIES)
async def test_every_cell_has_its_answer(app: App, policy: str, way: str) -> None:
    async with oidc_provider(app, vouches=True) as idp:
        await settle(app, idp.client, secondFactor=POLICIES[policy])
        cells = cells_of(policy, way)
        answers = {}
        for cell in cells:
            app.clock.advance(3600)
            answers[cell] = found(await WAYS[way](cell, idp))
    assert answers == {cell: cell.expected for cell in cells}
