"""Microsoft directories that a client claims, with their routes, single owner, grants, and audit events."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.directory_claims import REASON, client_of, directory
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import member

pytestmark = pytest.mark.one_store

CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
OWN = "/api/client/directories"


async def test_an_unverified_claim_has_no_effect_and_can_be_released(app: App) -> None:
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


@matrix(
    "body",
    [{}, {"directory": "contoso.example"}, {"directory": "x" * 36}, {"directory": CONSUMERS},
     {"directory": CONSUMERS.upper()}, {"directory": f"{{{CONSUMERS}}}"}],
)  # fmt: skip
async def test_an_invalid_organizations_directory_is_not_claimed(app: App, body: dict[str, str]) -> None:
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


async def test_only_settings_managers_see_or_claim_directories(app: App) -> None:
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


async def test_a_system_admins_approval_verifies_it(app: App) -> None:
    client, which = await client_of(app), directory()
    await client.own("POST", "", {"directory": which})
    made = check_success(await client.vouch(which))
    assert (made["state"], made["proof"], made["reason"]) == ("proved", "vouched", REASON)
    assert made["provedAt"] is not None
    assert made["by"].startswith("user:")
    assert (await client.events())[-1] == ("directory_vouched", f"directory:{which}", {"reason": REASON})
    unclaimed = directory()
    assert check_success(await client.vouch(unclaimed))["state"] == "proved"


@matrix("reason", [None, "", "too short", "x" * 501, "with a \n line break in it", " " * 20])
async def test_an_approval_or_grant_needs_a_reason(app: App, reason: str | None) -> None:
    client, which = await client_of(app), directory()
    body = {} if reason is None else {"reason": reason}
    check_refusal(await client.admin("POST", f"/{which}/vouch", body), 400, "VALIDATION_ERROR")
    path = f"/api/admin/directories/{which}/clients/{client.name}"
    check_refusal(await app.send("PUT", path, body, token=client.root), 400, "VALIDATION_ERROR")
    assert check_success(await client.own("GET"))["items"] == []


async def test_a_directory_has_one_owner_who_is_never_revealed(app: App) -> None:
    one, other, which = await client_of(app), await client_of(app), directory()
    check_success(await one.vouch(which))
    refused = await other.vouch(which)
    error = check_refusal(refused, 409, "CONFLICT")
    assert error["message"] == "Another client of this installation has this directory"
    assert one.name not in refused.text
    check_success(await one.own("DELETE", f"/{which}"))
    assert check_success(await other.vouch(which))["proof"] == "vouched"


async def test_it_is_granted_to_others_and_revoked(app: App) -> None:
    one, other, which = await client_of(app), await client_of(app), directory()
    check_refusal(await other.grant(which), 409, "CONFLICT")  # nobody holds it yet
    await one.own("POST", "", {"directory": which, "cloud": "china"})
    check_success(await one.vouch(which))
    check_refusal(await one.grant(which), 409, "CONFLICT")  # the client itself holds it
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


async def test_a_grant_does_not_change_the_owner(app: App) -> None:
    """The owner can release it; the client that it was granted to keeps it, and a third one can verify it."""
    one, other, third, which = await client_of(app), await client_of(app), await client_of(app), directory()
    check_success(await one.vouch(which))
    check_success(await other.grant(which))
    check_success(await one.own("DELETE", f"/{which}"))
    assert check_success(await other.own("GET", f"/{which}"))["state"] == "proved"
    check_success(await third.vouch(which))
    check_refusal(await other.vouch(which), 409, "CONFLICT")
