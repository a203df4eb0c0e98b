"""Every way in which a user can require a seat, on an on-premise installation with Microsoft."""

from __future__ import annotations

import contextlib
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

from manifest_auth.licence import Seats
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, setup_on
from tests.interop.microsoft.people import Person
from tests.licence.vendor import PATH, PUBLIC, install, key
from tests.support.accounts import new_user
from tests.support.application import App, Reply
from tests.support.people import oidc_provider
from tests.support.single_sign_on import saml_provider

FULL_SENTENCE = "The license has no free seat for these roles"
_numbers = itertools.count(1)
#: Make one more user appear, and return the response.
Attempt = Callable[[], Awaitable[Reply]]
#: Prepare this many attempts, in a separate client.
Way = Callable[[MicrosoftSetup, str, int], Awaitable[list[Attempt]]]


@contextlib.asynccontextmanager
async def premises(database_url: str) -> AsyncIterator[MicrosoftSetup]:
    """An installation with a license for many seats."""
    async with setup_on(database_url, MANIFEST_DEPLOYMENT="on-premise", MANIFEST_LICENSE_PUBLIC_KEY=PUBLIC) as setup:
        await grant(setup.app, full=1000)
        yield setup


async def shown(app: App) -> dict[str, Any]:
    """The license as the admin API returns it."""
    found: dict[str, Any] = (await app.get(PATH, token=await app.admin_token())).data
    return found


async def grant(app: App, **seats: int) -> None:
    """Replace the license by one with these seats."""
    text = key(app, id=f"L-{next(_numbers)}", seats=Seats(**seats))
    assert (await install(app, text)).status == 200


async def fit(app: App, **spare: int) -> None:
    """Install a license with as many seats as are taken, plus ``spare`` ones."""
    used = (await shown(app))["seatsUsed"]
    await grant(app, **{kind: used[kind] + spare.get(kind, 0) for kind in used})


class Outcome(NamedTuple):
    """``code`` is the error code, of REST or GraphQL, or empty."""

    code: str
    sentence: str


def outcome(reply: Reply) -> Outcome:
    if reply.json.get("errors"):
        [error] = reply.json["errors"]
        return Outcome(error["extensions"]["code"], error["message"])
    error = reply.json.get("error") or {"code": "", "message": ""}
    return Outcome(error["code"], error["message"])


async def _created(setup: MicrosoftSetup, client: str, number: int) -> list[Attempt]:
    app, token = setup.app, await setup.app.admin_token()

    def one() -> Attempt:
        body = {"email": f"made-{next(_numbers)}@{client}.example", "roles": ["Viewer"]}
        return lambda: app.post(f"/api/admin/clients/{client}/users", body, token=token)

    return [one() for _ in range(number)]


def _by_graphql(mutation: str) -> Way:
    async def way(setup: MicrosoftSetup, client: str, number: int) -> list[Attempt]:
        app = setup.app
        _, email = await new_user(app, client, roles=["Admin"], password="kestrel-harbor-21-violet")
        token = (await app.sign_in(email, client=client)).data["token"]

        def one() -> Attempt:
            query = mutation % f"new-{next(_numbers)}@{client}.example"
            return lambda: app.graphql(query, token)

        return [one() for _ in range(number)]

    return way


async def _restored(setup: MicrosoftSetup, client: str, number: int) -> list[Attempt]:
    app, token = setup.app, await setup.app.admin_token()
    paths = []
    for _ in range(number):
        user_id, _ = await new_user(app, client)
        paths.append(f"/api/admin/clients/{client}/users/{user_id}")
        assert (await app.post(f"{paths[-1]}/deactivate", token=token)).status == 200
    return [lambda path=path: app.post(f"{path}/restore", token=token) for path in paths]  # type: ignore[misc]


async def _by_saml(setup: MicrosoftSetup, client: str, number: int) -> list[Attempt]:
    okta = await saml_provider(setup.app, client)

    def one() -> Attempt:
        name = f"saml-{next(_numbers)}@{client}.example"
        return lambda: okta.call(okta.response(name))

    return [one() for _ in range(number)]


async def _by_openid(setup: MicrosoftSetup, client: str, number: int) -> list[Attempt]:
    company = await setup.open.enter_async_context(oidc_provider(setup.app, client))

    def one() -> Attempt:
        name = f"oidc-{next(_numbers)}"
        return lambda: company.among_others(name, f"{name}@{client}.example")

    return [one() for _ in range(number)]


async def _by_dynamics(setup: MicrosoftSetup, client: str, number: int) -> list[Attempt]:
    provider, contoso = await setup.dynamics(client), setup.microsoft.named("contoso")

    def one() -> Attempt:
        name = f"dynamics-{next(_numbers)}"
        address = f"{name}@contoso.example"
        contoso.people[name] = Person(str(uuid.uuid4()), address, "Dyna", "Mic", address, str(uuid.uuid4()))

        async def attempt() -> Reply:
            return (await provider.sign_in(name))[1]

        return attempt

    return [one() for _ in range(number)]


async def _by_entra(setup: MicrosoftSetup, client: str, number: int) -> list[Attempt]:
    await setup.entra_of_ours(client, defaultRoles=["Viewer"])

    def one() -> Attempt:
        claims = {"oid": str(uuid.uuid4()), "email": None, "upn": f"entra-{next(_numbers)}@{client}.example"}
        claims["preferred_username"] = claims["upn"]
        token = setup.microsoft.mint("api", claims=claims)
        return lambda: setup.app.me(token)

    return [one() for _ in range(number)]


#: Each way to add a user who requires a connect seat.
WAYS: dict[str, Way] = {
    "by a system admin": _created,
    "by addUser": _by_graphql('mutation { addUser(input: {email: "%s", roles: ["Viewer"]}) { id } }'),
    "by inviteUser": _by_graphql('mutation { inviteUser(input: {email: "%s", roles: ["Viewer"]}) { user { id } } }'),
    "restored": _restored,
    "by SAML": _by_saml,
    "by OpenID": _by_openid,
    "by Dynamics": _by_dynamics,
    "by Entra ID": _by_entra,
}
