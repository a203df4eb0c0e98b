"""A user who becomes an Admin must sign in again, and nothing that a User Admin planted gives access to the account."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.http.accounts.planted_accounts import ADMIN_GROUP, CHOSEN, PATHS, PlantedAccount, plant_all, planted_account
from tests.http.providers.test_group_roles_rank import own_provider
from tests.support.accounts import new_client, new_user, trail
from tests.support.application import App, Reply
from tests.support.domain_claims import domain_counts
from tests.support.matrix import matrix
from tests.support.oidc_op import provider
from tests.support.people import OidcProvider, oidc_provider, user_of
from tests.support.rules import rule
from tests.support.server import REAL_CLOCK
from tests.support.team import Team
from tests.support.user_management import RENEW, RESET, accept, events, reset

pytestmark = [pytest.mark.processes, pytest.mark.one_store]

EVERY_PATH = matrix("path", PATHS)
WITHOUT_GROUPS = matrix("path", [path for path in PATHS if path != "groups"])


@contextlib.asynccontextmanager
async def company_of(app: App) -> AsyncIterator[tuple[Team, OidcProvider]]:
    """A client with a verified domain, and its own provider with this domain."""
    client = await new_client(app)
    await domain_counts(app, client)
    async with oidc_provider(app, client, vouches=True, groupRoles=ADMIN_GROUP, defaultRoles=["Viewer"]) as company:
        yield Team(app, client), company


async def gets_in(planted: PlantedAccount, path: str) -> bool:
    """Whether the person can sign in through the company's provider, as an Admin."""
    groups = ["bosses"] if path == "groups" else []
    browser = await planted.company.sign_in("rising", planted.email, groups=groups)
    me = (await browser.me()).data
    return me["user"]["id"] == planted.user_id and "Admin" in me["roles"]


@rule("RANK")
@EVERY_PATH
async def test_no_planted_credential_works_and_the_new_admin_can_sign_in(app: App, path: str, tmp_path: Path) -> None:
    async with company_of(app) as (team, company), oidc_provider(app, team.client) as public:
        clerk = await team.member("User Admin")
        with provider(app.clock, alg="ES256") as op:
            mine = await own_provider(app, team.client, clerk.token, op, domains=[f"{team.client}.example"])
            planted = await planted_account(team, company)
            await plant_all(planted, public, mine)
            assert await planted.left() > (0, 0)
            link = await PATHS[path](planted, tmp_path)
            assert await planted.left() == ((0, 2) if path == "groups" else (0, 0))  # the sign-in's own device
            assert await planted.opened() == set()
            assert await planted.identities() == ["rising"]
            assert await gets_in(planted, path)
            assert link is None  # an identity was kept


THINGS = [
    "session", "password", "code", "an Admin's link", "linking under way", "invitation under way",
    "identity at the planter's provider", "invitation taken, right provider", "invitation taken, public",
]  # fmt: skip


@matrix("thing", THINGS)
async def test_planted_credentials_work_before_the_promotion(app: App, thing: str) -> None:
    """Otherwise, the test above wouldn't prove anything."""
    async with company_of(app) as (team, company), oidc_provider(app, team.client) as public:
        clerk = await team.member("User Admin")
        with provider(app.clock, alg="ES256") as op:
            mine = await own_provider(app, team.client, clerk.token, op, domains=[f"{team.client}.example"])
            planted = await planted_account(team, company)
            await plant_all(planted, public, mine)
            assert set(planted.things) == {*THINGS, "link"}  # the link waits until there is no password
            assert await planted.things[thing]()


@EVERY_PATH
async def test_the_audit_trail_lists_the_promotion_and_voided_credentials(app: App, path: str, tmp_path: Path) -> None:
    async with company_of(app) as (team, company):
        planted = await planted_account(team, company)
        await reset(app, await planted.link("User Admin", RESET), CHOSEN)
        await planted.link("User Admin", RESET)
        await PATHS[path](planted, tmp_path)
        [gain] = await events(team, "admin_gained")
        client_admin = f"user:{(await team.member('Admin')).id}"
        by = {"admin_plane": "admin:1", "groups": f"provider:{company.made['id']}", "command_line": "system"}
        assert (gain.subject, gain.members["path"]) == (f"user:{planted.user_id}", path)
        assert gain.members["by"] == by.get(path, client_admin)
        before = path == "restored"  # the deactivation already ended everything else
        void = {"sessions": 0 if before else 1, "links": 0 if before else 1, "password": True, "identities": 0}
        assert {name: gain.members["void"][name] for name in void} == void
        assert gain.members["identities_kept"] == 1


@WITHOUT_GROUPS
async def test_without_a_verified_identity_the_granting_user_sees_a_link_once(
    app: App, path: str, tmp_path: Path
) -> None:
    async with company_of(app) as (team, _company), oidc_provider(app, team.client) as public:
        user_id, email = await _with_password(team)
        planted = PlantedAccount(team, public, user_id, email)
        with as_the_command_line_reads_it(app):
            link = await PATHS[path](planted, tmp_path)
            assert link is not None
            assert not await planted.is_theirs(await app.sign_in(email, CHOSEN, team.client))
            app.clock.advance(71 * 3600)
            assert await planted.is_theirs(await reset(app, link.partition("#")[2], CHOSEN))
            assert "Admin" in (await user_of(app, team.client, user_id))["roles"]


async def test_without_passwords_the_link_leads_to_a_provider(app: App, tmp_path: Path) -> None:
    client = await new_client(app, passwordSignIn=False)
    async with oidc_provider(app, client) as public:
        planted = PlantedAccount(Team(app, client), public, *await new_user(app, client))
        token = (await PATHS["admin_plane"](planted, tmp_path) or "").partition("#")[2]
        assert (await accept(app, token, CHOSEN)).code == "CONFLICT"
        assert await planted.attempt(public, "rising", query={"invitation": token})


@contextlib.contextmanager
def as_the_command_line_reads_it(app: App) -> Iterator[None]:
    """Move the clock to the current time inside the block."""
    before, app.clock.ms = app.clock.ms, REAL_CLOCK.now_ms()
    try:
        yield
    finally:
        app.clock.ms = before


async def _with_password(team: Team) -> tuple[int, str]:
    return await new_user(team.app, team.client, password=CHOSEN)


async def test_a_first_sign_in_with_the_group_links_and_promotes_in_one_step(app: App) -> None:
    async with company_of(app) as (team, company):
        user_id, email = await _with_password(team)
        browser = await company.sign_in("rising", email, groups=["bosses"])
        me = (await browser.me()).data
        assert (me["user"]["id"], me["roles"]) == (user_id, ["Admin", "Viewer"])
        assert (await app.sign_in(email, CHOSEN, team.client)).status == 401
        names = [event.event for event in await trail(app, team.client)]
        assert names.index("credentials_dropped") < names.index("identity_linked") < names.index("admin_gained")


async def test_a_user_created_as_admin_is_not_promoted(app: App) -> None:
    async with company_of(app) as (team, company):
        _, email = await new_user(app, team.client, roles=["Admin"], password=CHOSEN)
        assert (await app.sign_in(email, CHOSEN, team.client)).status == 200
        await company.sign_in("new", f"new@{team.client}.example", groups=["bosses"])
        assert await events(team, "admin_gained") == []


async def test_an_existing_admin_keeps_everything(app: App, tmp_path: Path) -> None:
    async with company_of(app) as (team, company):
        planted = await planted_account(team, company, roles=["Admin"])
        await reset(app, await planted.link("Admin", RESET), CHOSEN)
        for path in ("set_user_roles", "groups"):
            await PATHS[path](planted, tmp_path)
        assert (await app.sign_in(planted.email, CHOSEN, team.client)).status == 200
        assert await events(team, "admin_gained") == []


@rule("RANK")
async def test_no_session_from_before_survives_fifty_concurrent_sign_ins(app: App) -> None:
    """They use the password, and an identity that a planter linked; both give access until the promotion."""
    async with company_of(app) as (team, company):
        planted = await planted_account(team, company)
        invitation = {"invitation": await planted.link("User Admin", RENEW)}
        assert await planted.attempt(company, "planter", "planter@mail.example", query=invitation)
        await reset(app, await planted.link("User Admin", RESET), CHOSEN)
        admin, client = await team.member("Admin"), team.client
        app.clock.advance(3600)

        def sign_in(number: int) -> Coroutine[Any, Any, Reply]:
            if number % 2:
                return company.among_others("planter", "planter@mail.example")
            return app.sign_in(planted.email, CHOSEN, client)

        signing = [asyncio.create_task(sign_in(number)) for number in range(25)]
        gaining = asyncio.ensure_future(PATHS["set_user_roles"](planted, Path()))
        signing += [asyncio.create_task(sign_in(number)) for number in range(25)]
        replies = await asyncio.gather(*signing)
        await gaining
        for reply in replies:
            assert not await planted.is_theirs(reply)
            if reply.status == 200:
                assert (await app.me(reply.data["token"])).status == 401
                assert (await app.refresh(reply.data["refreshToken"])).status == 401
        assert {reply.status for reply in replies} <= {200, 302, 401, 429, 503}
        assert (await app.me(admin.token)).status == 200
