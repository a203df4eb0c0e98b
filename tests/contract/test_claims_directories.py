"""Microsoft directories that a client claims: the routes, one owner, grants, and what the trail says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.accounts import new_client, trail
from tests.support.claims import REASON
from tests.support.envelope import check_refusal, check_success
from tests.support.house import App, Reply, running
from tests.support.people import member
from tests.support.single_sign_on import add_provider

CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
OWN = "/api/client/directories"


@pytest.fixture(scope="module")
async def app(database_url: str) -> AsyncIterator[App]:
    async with running(database_url) as application:
        yield application


_next = iter(range(1, 1000))


def directory() -> str:
    """One that no other test claims."""
    return f"d0d0d0d0-0000-4000-8000-{next(_next):012d}"


class Client:
    """A client, its Admin, and the system admin."""

    def __init__(self, app: App, name: str, token: str, root: str) -> None:
        self.app, self.name, self.token, self.root = app, name, token, root

    async def own(self, method: str, path: str = "", body: Any = None) -> Reply:
        """The Admin's own request."""
        return await self.app.send(method, OWN + path, body, token=self.token)

    async def admin(self, method: str, path: str = "", body: Any = None) -> Reply:
        """The system admin's about it."""
        return await self.app.send(method, f"/api/admin/clients/{self.name}/directories{path}", body, token=self.root)

    async def vouch(self, which: str) -> Reply:
        return await self.admin("POST", f"/{which}/vouch", {"reason": REASON})

    async def grant(self, which: str, method: str = "PUT") -> Reply:
        body = {"reason": REASON} if method == "PUT" else None
        return await self.app.send(method, f"/api/admin/directories/{which}/clients/{self.name}", body, token=self.root)

    async def events(self) -> list[tuple[str, str, dict[str, Any]]]:
        found = await trail(self.app, self.name)
        return [(e.event, e.subject, e.members) for e in found if e.event.startswith("directory_")]


async def client_of(app: App) -> Client:
    name = await new_client(app)
    admin = await member(app, name, "Admin")
    return Client(app, name, admin.token, await app.admin_token())


async def test_a_claim_gives_nothing_yet_and_can_be_taken_back(app: App) -> None:
    client, which = await client_of(app), directory()
    made = check_success(await client.own("POST", "", {"directory": which.upper()}), 201)
    claimed_at = made["claimedAt"]
    assert made == {
        "directory": which, "cloud": "", "state": "pending", "proof": None, "by": made["by"], "reason": "",
        "provedBy": "", "claimedAt": claimed_at, "provedAt": None,
    }  # fmt: skip
    assert made["by"].startswith("user:")
    assert check_success(await client.own("GET", f"/{which}")) == made
    assert check_success(await client.admin("GET", f"/{which.upper()}")) == made
    assert check_success(await client.own("GET"))["items"] == [made]
    check_refusal(await client.own("POST", "", {"directory": which}), 409, "CONFLICT")
    check_success(await client.own("DELETE", f"/{which}"))
    check_refusal(await client.own("GET", f"/{which}"), 404, "NOT_FOUND")
    check_refusal(await client.own("DELETE", f"/{which}"), 404, "NOT_FOUND")
    subject = f"directory:{which}"
    assert await client.events() == [
        ("directory_claimed", subject, {"cloud": ""}),
        ("directory_released", subject, {"state": "pending", "proof": None}),
    ]


async def test_a_system_admin_does_the_same_for_a_client(app: App) -> None:
    client, which = await client_of(app), directory()
    made = check_success(await client.admin("POST", "", {"directory": which, "cloud": "us-gov"}), 201)
    assert (made["cloud"], made["by"].partition(":")[0]) == ("us-gov", "admin")
    assert check_success(await client.own("GET"))["items"] == [made]
    check_success(await client.admin("DELETE", f"/{which}"))
    assert check_success(await client.admin("GET"))["items"] == []


@pytest.mark.parametrize(
    "body",
    [{}, {"directory": "contoso.example"}, {"directory": "x" * 36}, {"directory": CONSUMERS},
     {"directory": CONSUMERS.upper()}, {"directory": f"{{{CONSUMERS}}}"}],
)  # fmt: skip
async def test_what_is_no_organisations_directory_is_not_claimed(app: App, body: dict[str, str]) -> None:
    client = await client_of(app)
    for send in (client.own, client.admin):
        check_refusal(await send("POST", "", body), 400, "VALIDATION_ERROR")


async def test_a_cloud_that_the_installation_does_not_have(app: App) -> None:
    client = await client_of(app)
    for cloud in ("custom", "mars"):
        refused = await client.own("POST", "", {"directory": directory(), "cloud": cloud})
        check_refusal(refused, 400, "VALIDATION_ERROR")


async def test_the_list_goes_on_where_it_stopped(app: App) -> None:
    client = await client_of(app)
    made = [directory() for _ in range(5)]
    for which in made:
        await client.own("POST", "", {"directory": which})
    await client.vouch(made[2])
    seen, cursor = [], ""
    while True:
        page = check_success(await client.own("GET", f"?first=2&after={cursor}"))
        seen += [item["directory"] for item in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == made
    backwards = check_success(await client.own("GET", "?sort=CLAIMED_DESC&first=1"))
    assert (len(backwards["items"]), backwards["nextCursor"] is None) == (1, False)
    proved = check_success(await client.admin("GET", "?state=proved"))["items"]
    assert [item["directory"] for item in proved] == [made[2]]
    found = check_success(await client.own("GET", f"?q={made[3][-6:]}"))["items"]
    assert [item["directory"] for item in found] == [made[3]]


async def test_a_client_claims_a_hundred_at_most(app: App) -> None:
    client = await client_of(app)
    for _ in range(100):
        assert (await client.own("POST", "", {"directory": directory()})).status == 201
    check_refusal(await client.own("POST", "", {"directory": directory()}), 409, "CONFLICT")


async def test_only_who_may_settle_things_sees_or_claims_them(app: App) -> None:
    client, which = await client_of(app), directory()
    await client.own("POST", "", {"directory": which})
    viewer = await member(app, client.name, "Viewer")
    for method, path, body in (
        ("GET", OWN, None), ("POST", OWN, {"directory": directory()}), ("GET", f"{OWN}/{which}", None),
        ("DELETE", f"{OWN}/{which}", None), ("POST", f"{OWN}/{which}/prove", {}),
    ):  # fmt: skip
        check_refusal(await app.send(method, path, body, token=viewer.token), 403, "FORBIDDEN")
        check_refusal(await app.send(method, path, body), 401, "UNAUTHENTICATED")
    for path in (f"/api/admin/clients/{client.name}/directories", "/api/admin/provider-names"):
        check_refusal(await app.get(path, token=client.token), 401, "INVALID_TOKEN")
    for path in (f"/api/admin/directories/{which}/clients/{client.name}",):
        check_refusal(await app.send("PUT", path, {"reason": REASON}, token=client.token), 401, "INVALID_TOKEN")


async def test_no_client_sees_what_another_one_claims(app: App) -> None:
    one, other, which = await client_of(app), await client_of(app), directory()
    await one.own("POST", "", {"directory": which})
    check_refusal(await other.own("GET", f"/{which}"), 404, "NOT_FOUND")
    check_refusal(await other.own("DELETE", f"/{which}"), 404, "NOT_FOUND")
    check_refusal(await other.own("POST", f"/{which}/prove", {}), 404, "NOT_FOUND")
    assert check_success(await other.own("POST", "", {"directory": which}), 201)["state"] == "pending"
    assert [item["directory"] for item in check_success(await one.own("GET"))["items"]] == [which]


async def test_a_system_admins_word_makes_it_count(app: App) -> None:
    client, which = await client_of(app), directory()
    await client.own("POST", "", {"directory": which})
    made = check_success(await client.vouch(which))
    assert (made["state"], made["proof"], made["reason"]) == ("proved", "vouched", REASON)
    assert made["provedAt"] is not None
    assert made["by"].startswith("user:")
    assert (await client.events())[-1] == ("directory_vouched", f"directory:{which}", {"reason": REASON})
    unclaimed = directory()
    assert check_success(await client.vouch(unclaimed))["state"] == "proved"


@pytest.mark.parametrize("reason", [None, "", "too short", "x" * 501, "with a \n line break in it", " " * 20])
async def test_who_vouches_or_grants_says_why(app: App, reason: str | None) -> None:
    client, which = await client_of(app), directory()
    body = {} if reason is None else {"reason": reason}
    check_refusal(await client.admin("POST", f"/{which}/vouch", body), 400, "VALIDATION_ERROR")
    path = f"/api/admin/directories/{which}/clients/{client.name}"
    check_refusal(await app.send("PUT", path, body, token=client.root), 400, "VALIDATION_ERROR")
    assert check_success(await client.own("GET"))["items"] == []


async def test_a_directory_has_one_owner_whom_nobody_names(app: App) -> None:
    one, other, which = await client_of(app), await client_of(app), directory()
    check_success(await one.vouch(which))
    refused = await other.vouch(which)
    error = check_refusal(refused, 409, "CONFLICT")
    assert error["message"] == "Another client of this installation holds this directory"
    assert one.name not in refused.text
    check_success(await one.own("DELETE", f"/{which}"))
    assert check_success(await other.vouch(which))["proof"] == "vouched"


async def test_it_is_granted_to_others_and_taken_back(app: App) -> None:
    one, other, which = await client_of(app), await client_of(app), directory()
    check_refusal(await other.grant(which), 409, "CONFLICT")  # nobody holds it yet
    await one.own("POST", "", {"directory": which, "cloud": "china"})
    check_success(await one.vouch(which))
    check_refusal(await one.grant(which), 409, "CONFLICT")  # it is the client's own
    made = check_success(await other.grant(which))
    assert (made["state"], made["proof"], made["reason"], made["cloud"]) == ("proved", "granted", REASON, "china")
    check_success(await other.grant(which))
    check_success(await other.grant(which, "DELETE"))
    check_refusal(await other.grant(which, "DELETE"), 404, "NOT_FOUND")
    check_refusal(await one.grant(which, "DELETE"), 404, "NOT_FOUND")
    assert check_success(await other.own("GET", f"/{which}"))["state"] == "pending"
    assert check_success(await one.own("GET", f"/{which}"))["proof"] == "vouched"
    assert [event for event, _, _ in await other.events()] == [
        "directory_claimed", "directory_granted", "directory_granted", "directory_revoked",
    ]  # fmt: skip


async def test_a_grant_makes_no_owner(app: App) -> None:
    """The owner may go; the one it was granted to keeps it, and a third one may prove it."""
    one, other, third, which = await client_of(app), await client_of(app), await client_of(app), directory()
    check_success(await one.vouch(which))
    check_success(await other.grant(which))
    check_success(await one.own("DELETE", f"/{which}"))
    assert check_success(await other.own("GET", f"/{which}"))["state"] == "proved"
    check_success(await third.vouch(which))
    check_refusal(await other.vouch(which), 409, "CONFLICT")


def settings_of(kind: str, which: str) -> dict[str, Any]:
    """The settings of a provider that speaks for a directory."""
    application = "0a0a0a0a-1111-4111-8111-0000000000aa"
    found: dict[str, dict[str, Any]] = {
        "entra": {"directory": which, "applications": [application]},
        "dynamics": {"directory": which, "clientId": application, "organization": "https://x.crm.dynamics.com"},
        "oidc": {"issuer": f"https://login.microsoftonline.com/{which}/v2.0", "clientId": application},
    }
    return found[kind]


@pytest.mark.parametrize("kind", ["entra", "dynamics", "oidc"])
async def test_a_provider_claims_its_directory_by_being_saved(app: App, kind: str) -> None:
    client, first, second = await client_of(app), directory(), directory()
    made = await add_provider(app, client.name, **{kind: settings_of(kind, first)})
    assert [item["directory"] for item in check_success(await client.own("GET"))["items"]] == [first]
    await add_provider(app, client.name, **{kind: settings_of(kind, first)})  # a second time is none
    path = f"/api/client/providers/{made['name']}"
    changed = await app.send("PATCH", path, {kind: settings_of(kind, second)}, token=client.token)
    check_success(changed)
    listed = check_success(await client.own("GET"))["items"]
    assert [(item["directory"], item["state"]) for item in listed] == [(first, "pending"), (second, "pending")]
    assert [event for event, _, _ in await client.events()] == ["directory_claimed", "directory_claimed"]


async def test_a_directory_of_another_cloud_is_claimed_there(app: App) -> None:
    client, one, two = await client_of(app), directory(), directory()
    await add_provider(app, client.name, entra={**settings_of("entra", one), "cloud": "china"})
    issuer = f"https://login.partner.microsoftonline.cn/{two}/v2.0"
    await add_provider(app, client.name, oidc={**settings_of("oidc", two), "issuer": issuer})
    clouds = {item["directory"]: item["cloud"] for item in check_success(await client.own("GET"))["items"]}
    assert clouds == {one: "china", two: "china"}


@pytest.mark.parametrize(
    "issuer",
    [
        "https://accounts.google.com",
        "https://login.microsoftonline.com/common/v2.0",
        "https://login.microsoftonline.com.evil.example/d0d0d0d0-0000-4000-8000-00000000ffff/v2.0",
        "https://evil.example/login.microsoftonline.com/d0d0d0d0-0000-4000-8000-00000000ffff/v2.0",
        f"https://login.microsoftonline.com/{CONSUMERS}/v2.0",
    ],
)
async def test_other_providers_claim_none(app: App, issuer: str) -> None:
    client = await client_of(app)
    await add_provider(app, client.name, oidc={"issuer": issuer, "clientId": "x"})
    assert check_success(await client.own("GET"))["items"] == []


@pytest.mark.parametrize("kind", ["entra", "dynamics"])
async def test_no_provider_is_saved_for_personal_accounts(app: App, kind: str) -> None:
    client = await client_of(app)
    body = {"name": "personal", kind: settings_of(kind, CONSUMERS)}
    error = check_refusal(await app.post("/api/client/providers", body, token=client.token), 400, "VALIDATION_ERROR")
    assert error["details"][0]["field"] == f"{kind}.directory"
    assert check_success(await app.get("/api/client/providers", token=client.token))["items"] == []


async def test_an_owner_that_is_deleted_for_good_holds_nothing(app: App) -> None:
    from manifest_auth.operations.deleting import sweep_clients

    one, other, which = await client_of(app), await client_of(app), directory()
    check_success(await one.vouch(which))
    check_success(await app.send("DELETE", f"/api/admin/clients/{one.name}", token=one.root))
    app.clock.advance(31 * 86_400)
    await sweep_clients(app.house)
    other.root = await app.admin_token()
    assert check_success(await other.vouch(which))["state"] == "proved"
