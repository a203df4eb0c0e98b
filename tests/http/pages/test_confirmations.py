"""Before actions that affect many people or can't be undone, a page describes their effects."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.support.accounts import new_client, new_user, settle
from tests.support.application import PASSWORD, App
from tests.support.forged_tokens import right_token
from tests.support.matrix import matrix
from tests.support.people import member, oidc_provider, session_of
from tests.support.single_sign_on import add_provider
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.one_store, pytest.mark.usefixtures("another_day")]

USER, CLIENT, PROVIDER = "/console/users/{id}", "/installation/clients/{client}", "/console/providers/okta"


class Case(NamedTuple):
    """``says`` are the page's texts in order, with ``{name}`` for the user; ``typed`` is the input, empty for a
    click."""

    path: str
    fields: dict[str, str]
    says: tuple[str, ...]
    event: str
    typed: str = ""


ENDS = "Ends 2 open sessions."
CASES = {
    "make Admin": Case(
        USER,
        {"act": "roles", "roleAdmin": "on"},
        ("Make {name} an Admin?", ENDS, "Removes the password", "Make Admin", "Cancel"),
        "user_roles_changed",
    ),
    "deactivate": Case(
        USER, {"act": "deactivate"}, ("Deactivate {name}?", ENDS, "Deactivate user", "Cancel"), "user_deactivated"
    ),
    "end sessions": Case(
        USER, {"act": "end-sessions"}, ("Sign out {name} everywhere?", ENDS, "End all sessions"), "signed_out_all"
    ),
    "reset factors": Case(
        USER,
        {"act": "reset-factors", "reason": "Lost the phone"},
        ("Reset the second factors of {name}?", ENDS, "Cancels pending links", "Reset second factors"),
        "second_factor_reset",
    ),
    "end own sessions": Case(
        "/account/sessions",
        {"id": ""},
        ("Sign out everywhere else?", "Ends 1 other open session.", "End all other sessions"),
        "signed_out_all",
    ),
    "suspend": Case(
        CLIENT,
        {"act": "suspend"},
        ("Suspend", "Ends 4 open sessions.", "2 users can no longer sign in.", "Nothing is deleted.", "Suspend client"),
        "client_suspended",
    ),
    "delete": Case(
        CLIENT,
        {"act": "delete"},
        ("Delete", "Ends 4 open sessions.", "2 users can no longer sign in.", "You can restore", "To confirm, enter"),
        "client_deletion_started",
        "{client}",
    ),
    "delete a provider": Case(
        f"{PROVIDER}/delete",
        {},
        ("Delete", "Unlinks 0 people", "To confirm, enter okta", "Delete provider"),
        "provider_deleted",
        "okta",
    ),
}


class World(NamedTuple):
    """``visitor`` is a client's Admin with two sessions, and a system admin. ``names`` are those of the client and of a
    user with two sessions."""

    app: App
    visitor: Visitor
    names: dict[str, str]

    async def events(self) -> list[str]:
        found = await self.app.get("/api/admin/audit?first=20", token=await self.app.admin_token())
        return [one["event"] for one in found.data["items"]]

    async def ask(self, case: Case) -> Page:
        """Submit the form on a page."""
        path = case.path.format(**self.names)
        return await self.visitor.post(path, case.fields | {"form": await right_token(self.visitor, path)})


async def world(app: App) -> World:
    client = await new_client(app)
    _, admin = await new_user(app, client, password=PASSWORD, roles=["Admin"])
    number, email = await new_user(app, client, password=PASSWORD)
    await add_provider(app, client, name="okta", oidc={"issuer": "https://x.okta.example", "clientId": "c"})
    for _ in range(2):
        assert (await app.sign_in(email, PASSWORD, client=client)).status == 200
        cookie = (await app.sign_in(admin, PASSWORD, client=client)).cookie("session")
    visitor = await Visitor(app, {"session": cookie}, language="nl").system_admin()  # not a language of the pages
    return World(app, visitor, {"client": client, "id": str(number), "name": email})


@matrix("name", CASES)
async def test_nothing_happens_before_it_is_confirmed(app: App, name: str) -> None:
    case, one = CASES[name], await world(app)
    before = await one.events()
    asked = await one.ask(case)
    assert asked.status == 200, asked.reply.text
    text, at = asked.tree.xpath("string(//main)"), 0
    text = " ".join(text.split())
    for said in case.says:
        at = text.find(said.format(**one.names), at)
        assert at >= 0, (said, text)
    assert await one.events() == before
    there = await one.visitor.get(asked.links()["Cancel"])
    assert there.status == 200
    [form] = [each for each in asked.forms() if "confirmed" in each.fields]
    answer = {"confirmed": case.typed.format(**one.names)} if case.typed else {}
    if case.typed:
        for wrong in ("", case.typed.format(**one.names).upper()):
            refused = await one.visitor.post(form.action, form.fields | {"confirmed": wrong})
            assert (refused.status, len(refused.problems)) == (400, 1)
            form = next(each for each in refused.forms() if "confirmed" in each.fields)
    assert await one.events() == before
    done = await one.visitor.post(form.action, form.fields | answer)
    assert done.status == 303, done.reply.text
    assert case.event in await one.events()


async def test_a_recent_proof_does_not_ask_again(app: App) -> None:
    one = await world(app)
    await settle(app, one.names["client"], stepUp="management")
    app.clock.advance(601)
    asked = await one.ask(CASES["make Admin"])
    [form] = [each for each in asked.forms() if "confirmed" in each.fields]
    proof = await one.visitor.follow(await one.visitor.post(form.action, form.fields))
    assert proof.form("/reauthenticate").fields["returnTo"].startswith("/account/continue?form=")
    proved = await one.visitor.submit(proof, "/reauthenticate", currentPassword=PASSWORD)
    done = await one.visitor.get(proved.location, Sec_Fetch_Site="same-origin")
    assert done.status == 303, done.reply.text
    assert "admin_gained" in await one.events()


async def test_an_admin_is_reactivated_after_a_question_and_others_are_immediately(app: App) -> None:
    one = await world(app)
    path, client = USER.format(**one.names), one.names["client"]
    for roles, asks in (["Viewer"], False), (["Admin"], True):
        user = f"/api/admin/clients/{client}/users/{one.names['id']}"
        assert (await app.send("PUT", f"{user}/roles", {"roles": roles}, token=await app.admin_token())).status == 200
        assert (await app.post(f"{user}/deactivate", token=await app.admin_token())).status == 200
        page = await one.visitor.post(path, (await one.visitor.get(path)).form(path, act="restore").fields)
        assert (page.status == 200 and "as an Admin?" in page.heading) is asks
        assert (await one.visitor.shown(page)).status in (200, 303)
        assert (await app.get(user, token=await app.admin_token())).data["deactivatedAt"] is None


async def test_who_must_not_do_it_learns_no_number(app: App) -> None:
    one = await world(app)
    client, path = one.names["client"], USER.format(**one.names)
    _, email = await new_user(app, client, password=PASSWORD, roles=["User Admin"])
    lower = Visitor(app, {"session": (await app.sign_in(email, PASSWORD, client=client)).cookie("session")})
    form = (await lower.get(path)).form(path, act="deactivate").fields
    roles = f"/api/admin/clients/{client}/users/{one.names['id']}/roles"
    assert (await app.send("PUT", roles, {"roles": ["Admin"]}, token=await app.admin_token())).status == 200
    page = await lower.post(path, form)
    assert (page.status, page.problems) == (403, ["Only an Admin can manage an Admin's account"])


async def test_a_provider_that_is_turned_off_and_an_account_there_that_is_unlinked(app: App) -> None:
    async with oidc_provider(app, vouches=True, createUsers=True) as company:
        admin = await member(app, company.client, "Admin")
        person = await session_of(await company.sign_in("ada", f"ada@{company.client}.example"))
        visitor = Visitor(app, {"session": admin.cookie})
        user, off = f"/console/users/{person['user']['id']}", f"/console/providers/{company.name}/switch-off"
        for path, page, holds, title in (
            (user, user, {"act": "unlink"}, "Unlink an account of"),
            (off, "/console/providers", {}, "Turn off"),
        ):
            form = (await visitor.get(page)).form(path, **holds)
            asked = await visitor.post(path, form.fields)
            assert (asked.status, asked.heading.startswith(title)) == (200, True), asked.reply.text
            assert "Ends 1 open session." in asked.text
            if path == off:
                assert "1 person can't sign in with it until you turn it on again." in asked.text
                assert (await visitor.submit(asked, off)).location == "/console/providers"
                assert "1 open session" not in (await visitor.post(path, form.fields)).text  # it's already turned off


ON, RULES = f"{PROVIDER}/switch-on", f"{PROVIDER}/rules"
EVERYONE = {"everyone.Admin": "on", "createUsers": "on"}


async def test_a_provider_that_makes_everyone_an_admin_is_named_first(app: App) -> None:
    """Also if the role is added to an active provider."""
    one = await world(app)
    visitor = one.visitor
    rules = await visitor.get(f"{PROVIDER}?step=rules")
    boxes = rules.tree.xpath("//input[starts-with(@name, 'everyone.')]/@name")
    assert (boxes[0], boxes[-1]) == ("everyone.Viewer", "everyone.Admin")
    assert (await visitor.submit(await visitor.get(PROVIDER), f"{PROVIDER}/switch-off", None)).status == 303
    assert (await visitor.submit(rules, RULES, None, **EVERYONE)).status == 303
    asked = await visitor.submit(await visitor.get(f"{PROVIDER}?step=live"), ON, None)
    assert "becomes an Admin" in asked.text
    assert "No domain is selected, so this includes everyone who has an account there." in asked.text
    refused = await visitor.submit(asked, ON, None, confirmed="yes")
    assert (refused.status, refused.problems) == (400, ["Enter okta exactly as shown"])
    assert "To confirm" not in refused.tree.xpath("string(//*[@role='alert'])")  # the error message names the field
    assert (await visitor.submit(refused, ON, None, confirmed="okta")).status == 303
    assert (await visitor.submit(await visitor.get(f"{PROVIDER}?step=rules"), RULES, None)).status == 303  # no change
    page = await visitor.get(f"{PROVIDER}?step=rules")
    without = {name: text for name, text in page.form(RULES).fields.items() if name != "everyone.Admin"}
    assert (await visitor.post(RULES, without)).status == 303
    again = await visitor.submit(await visitor.get(f"{PROVIDER}?step=rules"), RULES, None, **EVERYONE)
    assert "To confirm, enter okta" in again.text
