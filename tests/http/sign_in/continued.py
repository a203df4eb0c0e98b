"""Sessions derived from another session, such as an app's after "Continue as …" in a browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from tests.support.accounts import Keys
from tests.support.application import App, Reply
from tests.support.envelope import check_success
from tests.support.second_factors import Person, person
from tests.support.visitor import Page, Visitor

AUTH, APP_ADDRESS = "/api/client/auth", "com.acme.app:/in"
#: From RFC 7636, appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
LISTED: dict[str, Any] = {"returnAddresses": [APP_ADDRESS]}
Child = dict[str, Any]  # the response to an exchange


async def signed_in(app: App, **settings: Any) -> tuple[Person, Keys, Visitor]:
    """A new person, and the browser that they are signed in to."""
    ada = await person(app, **LISTED, **settings)
    keys = Keys.of(await ada.sign_in())
    return ada, keys, Visitor(app, {"session": keys.cookie})


async def asked(visitor: Visitor, client: str) -> Page:
    """The page that an app sends the browser to."""
    query = f"response=code&returnTo={quote(APP_ADDRESS, safe='')}&codeChallenge={CHALLENGE}"
    return await visitor.get(f"/sign-in?client={client}&{query}")


async def pressed(visitor: Visitor, client: str) -> Page:
    """The target after clicking "Continue as …", even if the page doesn't offer it, for an app."""
    page = await asked(visitor, client)
    of_app = next(form.fields["s"] for form in page.forms() if "s" in form.fields)
    page = await visitor.get(f"/sign-in?client={client}")
    return await visitor.submit(page, "/sign-in/done", s=of_app)


async def code_for(visitor: Visitor, client: str) -> str:
    page = await pressed(visitor, client)
    assert page.location.startswith("/sign-in/done?s="), page.location
    [address] = (await visitor.get(page.location)).links().values()
    return parse_qs(urlsplit(address).query)["code"][0]


async def exchange(app: App, code: str, **options: Any) -> Reply:
    return await app.post(f"{AUTH}/exchange", {"code": code, "codeVerifier": VERIFIER}, **options)


async def child_of(visitor: Visitor, client: str) -> Child:
    """The session that an app gets from the browser's session."""
    child: Child = check_success(await exchange(visitor.app, await code_for(visitor, client)))
    return child


async def is_open(app: App, child: Child) -> bool:
    """Whether an app's session is still open, for both of its tokens."""
    opens = (await app.me(child["token"])).status, (await app.refresh(child["refreshToken"])).status
    assert opens in ((200, 200), (401, 401))
    return opens == (200, 200)


async def id_of(app: App, token: str) -> str:
    return str((await app.me(token)).data["session"]["id"])
