"""Identity providers put users into groups, which grant roles, and find both with filters."""

from __future__ import annotations

from typing import Any

from tests.http.scim.connecting import BULK, GROUP, USER, Connection, connect, failed, shown
from tests.support.accounts import trail
from tests.support.application import App
from tests.support.people import set_roles
from tests.support.rows import rows

ZOE = {"schemas": [USER], "userName": "zoe@acme.example"}
LINES = [{"group": "Line leads", "roles": ["Operator"]}, {"externalId": "g-7", "roles": ["Author", "Operator"]}]


async def test_groups_grant_roles_and_take_back_only_those(app: App) -> None:
    okta = await connect(app, groupRoles=LINES)
    number = await okta.user("zoe@acme.example")
    leads, other = await okta.group("line LEADS", number), await okta.group("Others", number, externalId="g-7")
    assert await okta.roles(number) == {"Viewer", "Operator", "Author"}
    groups = (await okta.get(f"/Users/{number}"))["groups"]
    assert [(one["value"], one["display"]) for one in groups] == [(leads, "line LEADS"), (other, "Others")]
    member = f'members[value eq "{number}"]'
    assert (await okta.patch(f"/Groups/{other}", {"op": "remove", "path": member})).status == 204
    assert await okta.roles(number) == {"Viewer", "Operator"}
    await set_roles(app, okta.client, int(number), "Viewer", "Operator", "User Admin")
    renamed = {"op": "replace", "path": "displayName", "value": "Former leads"}
    assert (await okta.patch(f"/Groups/{leads}", renamed)).status == 204
    assert await okta.roles(number) == {"Viewer", "User Admin"}
    by_name = {"op": "add", "path": "roles", "value": [{"value": "Line Leads"}]}
    assert (await okta.patch(f"/Users/{number}", by_name)).status == 204
    assert await okta.roles(number) == {"Viewer", "User Admin", "Operator"}
    assert (await okta.send("DELETE", f"/Users/{number}")).status == 204
    assert await okta.roles(number) == {"User Admin"}
    assert "members" not in await okta.get(f"/Groups/{leads}")
    assert (await okta.send("DELETE", f"/Groups/{leads}")).status == 204
    assert failed(await okta.send("GET", f"/Groups/{leads}")) == (404, None)
    before = len(await trail(app, okta.client))
    many = [await okta.user(f"u{one}@acme.example", active=one != 2) for one in range(4)]
    await set_roles(app, okta.client, int(many[1]), "Viewer", "Operator")
    both = await okta.group("Line leads", *many, externalId="g-7")
    assert [await okta.roles(one) for one in many] == [{"Viewer", "Operator", "Author"}] * 4
    assert (await okta.patch(f"/Groups/{both}", {"op": "remove", "path": "externalId"})).status == 204
    assert (await okta.send("DELETE", f"/Groups/{both}")).status == 204
    assert [await okta.roles(one) for one in many] == [{"Viewer"}, {"Viewer", "Operator"}, {"Viewer"}, {"Viewer"}]
    events = [one for one in (await trail(app, okta.client))[before:] if one.event == "user_roles_changed"]
    most = {
        "schemas": [GROUP],
        "displayName": "Line leads",
        "members": [{"value": str(one)} for one in range(1, 10_002)],
    }
    assert failed(await okta.send("POST", "/Groups", most)) == (413, None)
    of = [[set(each.members["after"]) for each in events if each.subject == f"user:{one}"] for one in many]
    three, two, own = {"Viewer", "Operator", "Author"}, {"Viewer", "Operator"}, {"Viewer"}
    assert of == [[three, two, own], [two, three, two], [own, three, two, own], [three, two, own]]


async def test_members_are_exact_and_only_users_of_the_connection(app: App) -> None:
    okta, entra = await connect(app), await connect(app)
    one, two, three = [await okta.user(f"{name}@acme.example") for name in ("one", "two", "three")]
    foreign = await entra.user("foreign@acme.example")
    path = f"/Groups/{await okta.group('All', one, two)}"

    async def members() -> list[str]:
        return [each["value"] for each in (await okta.get(path)).get("members", [])]

    steps: list[tuple[dict[str, Any], list[str]]] = [
        ({"op": "Add", "path": "members", "value": [{"value": three}, {"value": one}]}, [one, two, three]),
        ({"op": "Remove", "path": "members", "value": [{"value": one}, {"value": two}]}, [three]),
        ({"op": "add", "value": {"members": [{"value": one}], "displayName": "Everyone"}}, [one, three]),
        ({"op": "remove", "path": f'members[value eq "{three}"]'}, [one]),
        ({"op": "replace", "path": "members", "value": [{"value": two}, {"value": three}]}, [two, three]),
        ({"op": "remove", "path": f'urn:ietf:params:scim:schemas:core:2.0:Group:members[value eq "{two}"]'}, [three]),
        ({"op": "remove", "path": "members"}, []),
    ]
    for operation, wanted in steps:
        assert (await okta.patch(path, operation)).status == 204
        assert await members() == wanted, operation
    assert (await okta.get(path))["displayName"] == "Everyone"
    for bad in (foreign, str(okta.admin.id), "99999999", "x", ""):
        adding = {"op": "add", "path": "members", "value": [{"value": two}, {"value": bad}]}
        reply = await okta.patch(path, {"op": "replace", "path": "displayName", "value": "No"}, adding)
        assert failed(reply)[0] == 400
        assert f'"{bad}" isn\'t the ID' in shown(reply, 400)["detail"]
    assert (await members(), (await okta.get(path))["displayName"]) == ([], "Everyone")
    asked = shown(
        await okta.patch(f"{path}?attributes=members", {"op": "add", "path": "members", "value": [{"value": one}]})
    )
    assert [each["value"] for each in asked["members"]] == [one]
    body = {"schemas": [GROUP], "displayName": "Put", "members": [{"value": two}]}
    assert [each["value"] for each in shown(await okta.send("PUT", path, body))["members"]] == [two]
    assert "members" not in await okta.get(f"{path}?excludedAttributes=members")


async def test_versions_and_bulk_requests(app: App) -> None:
    okta = await connect(app)
    number = await okta.user("zoe@acme.example")
    path, title = f"/Users/{number}", {"op": "replace", "path": "title", "value": "Lead"}
    first = (await okta.get(path))["meta"]["version"]
    assert (await okta.send("GET", path, headers={"If-None-Match": first})).status == 304
    reply = await okta.patch(path, title, headers={"If-Match": first})
    assert (reply.status, reply.headers["etag"]) == (204, 'W/"2"')
    for method in ("PATCH", "PUT", "DELETE"):
        sent = {"schemas": [USER], "userName": "else"}
        old = {"If-Match": first}
        done = okta.patch(path, title, headers=old) if method == "PATCH" else okta.send(method, path, sent, headers=old)
        assert failed(await done) == (412, None)
    operations: list[dict[str, Any]] = [
        {
            "method": "POST",
            "path": "/Groups",
            "bulkId": "g",
            "data": {"schemas": [GROUP], "displayName": "Both", "members": [{"value": "bulkId:u"}, {"value": number}]},
        },
        {"method": "POST", "path": "/Users", "bulkId": "u", "data": {"schemas": [USER], "userName": "b@acme.example"}},
        {"method": "POST", "path": "/Users", "bulkId": "v", "data": {"schemas": [USER], "userName": "b@acme.example"}},
        {"method": "PATCH", "path": path, "version": first, "data": {"Operations": [title]}},
        {"method": "PUT", "path": path, "data": {**ZOE, "id": 1, "meta": "x", "groups": "x"}},
        {"method": "DELETE", "path": "/Users/99999999"},
    ]
    done = shown(await okta.send("POST", "/Bulk", {"schemas": [BULK], "Operations": operations}))["Operations"]
    assert [one["status"] for one in done] == ["201", "201", "409", "412", "200", "404"]
    assert len((await okta.get("/Groups"))["Resources"][0]["members"]) == 2
    many = {"schemas": [BULK], "Operations": [operations[-1]] * 101}
    assert failed(await okta.send("POST", "/Bulk", many)) == (413, None)


#: Filters of users and groups, and the names that they find. The first ones run in the database.
FILTERS: dict[str, tuple[str, str]] = {
    'userName eq "ZOE@acme.example"': ("Users", "zoe"),
    'urn:ietf:params:scim:schemas:core:2.0:User:userName eq "zoe@acme.example"': ("Users", "zoe"),
    'externalId eq "e-2"': ("Users", "ben"),
    'externalId eq "E-2"': ("Users", ""),
    'id eq "{zoe}"': ("Users", "zoe"),
    'id eq "x"': ("Users", ""),
    "active eq true": ("Users", "zoe ben"),
    'active eq false and userName eq "ann@acme.example"': ("Users", "ann"),
    'emails.value eq "ZOE@home.example"': ("Users", "zoe"),
    'emails eq "zoe@work.example" and active eq true': ("Users", "zoe"),
    'emails[type eq "work"].value eq "zoe@home.example"': ("Users", ""),
    'emails[type eq "Work" and value eq "zoe@work.example"]': ("Users", "zoe"),
    'userName sw "zoe" or title pr': ("Users", "zoe ben"),
    'not (name.familyName eq "fox") and userName ew ".example"': ("Users", "ben ann"),
    'userName eq "zoe@acme.example" and userName eq "ben@acme.example"': ("Users", ""),
    'displayName eq "ALL"': ("Groups", "all"),
    'members.value eq "{ben}"': ("Groups", "all"),
    'members eq "{ann}"': ("Groups", ""),
    'displayName co "o" and members pr': ("Groups", "some"),
}


async def test_filters_find_what_they_describe(app: App) -> None:
    okta = await _three_users(app)
    ids = {one["userName"].partition("@")[0].lower(): one["id"] for one in (await okta.get("/Users"))["Resources"]}
    for wanted, (kind, names) in FILTERS.items():
        asked = wanted.format(**ids) if "{" in wanted else wanted
        found = await okta.found(kind, asked)
        shown_names = [
            (one.get("userName") or one["displayName"]).partition("@")[0].lower() for one in found["Resources"]
        ]
        assert (shown_names, found["totalResults"]) == (names.split(), len(names.split())), wanted
    searched = await okta.send("POST", "/Users/.search", {"filter": "active eq true", "startIndex": 2, "count": 1})
    assert [one["id"] for one in shown(searched)["Resources"]] == [ids["ben"]]
    page = await okta.get("/Users?startIndex=2&count=1&attributes=userName")
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (3, 2, 1)
    assert set(page["Resources"][0]) == {"schemas", "id", "userName"}
    for bad in ("userName eq zoe", 'nothing eq "x"', "userName", 'userName gt 5 and "'):
        assert (
            failed(await okta.send("GET", f"/Users?filter={bad.replace(' ', '%20').replace(chr(34), '%22')}"))[0] == 400
        )


async def _three_users(app: App) -> Connection:
    okta = await connect(app)
    emails = [{"value": "zoe@work.example", "type": "work"}, {"value": "zoe@home.example", "type": "home"}]
    zoe = await okta.user("Zoe@acme.example", emails=emails, name={"familyName": "Fox"}, externalId="e-1")
    ben = await okta.user("ben@acme.example", externalId="e-2", title="Lead")
    await okta.user("ann@acme.example", active=False)
    await okta.group("All", zoe, ben)
    await okta.group("Some", zoe)
    assert len(await rows(app, "scim_emails", "email_key", user_id=int(zoe))) == 2
    return okta
