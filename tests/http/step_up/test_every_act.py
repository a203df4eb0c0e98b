"""Every sensitive action, with every kind of session: none succeeds without the required re-authentication."""

from __future__ import annotations

from functools import partial

import pytest

from tests.http.apps.relying import relying
from tests.http.bodies import send
from tests.http.step_up.sensitive_acts import ACTS, KINDS, Act, Kind, client, code_of
from tests.support.application import PASSWORD, App
from tests.support.forged_tokens import claims_of
from tests.support.graphql_operations import operations
from tests.support.matrix import matrix
from tests.support.routes import ROUTES
from tests.support.rows import change_rows
from tests.support.rules import rule
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_store

ASKED = "REAUTHENTICATION_REQUIRED"
AUTH = "/api/client/auth"
#: Changes that require no re-authentication.
FREE = [route for route in ROUTES if route.who == "client" and route.method != "GET" and not route.proof]
#: Actions that can complete late, because they end sessions or change nothing here.
HARMLESS = {
    f"POST {AUTH}/sign-out-others", f"DELETE {AUTH}/sessions/{{id}}", "DELETE /api/client/users/{user}/sessions",
    "endUserSessions", f"DELETE {AUTH}/second-factors/trusted", f"POST {AUTH}/passkeys/options",
}  # fmt: skip
#: Kinds of sessions that can only enroll an account's first factor.
FIRST = {"link", "link, and no password", "provider, and there is a password", "provider without a time"}
#: Mutations on users that require no re-authentication.
FREE_MUTATIONS = {"deactivateUser"}


def _of(query: str) -> Act:
    return Act(query, "", "POST", "/api/client/graphql", {"query": query})


def may(kind: Kind, act: Act) -> bool:
    """Whether a session of that kind can perform the action, if the client protects everything."""
    is_first = act.level == "first" and not kind.has_factor
    return kind.opens or (act.level == "factor" and not kind.has_factor) or (is_first and kind.name in FIRST)


def cannot_ever(kind: Kind, act: Act) -> bool:
    """Whether the account lacks the object of the action, which is then rejected differently."""
    return act.name == f"POST {AUTH}/email" and not kind.has_password


@rule("RECENT-PROOF")
@matrix("kind", KINDS, ids=lambda kind: kind.name)
async def test_no_session_acts_past_its_proof(app: App, kind: Kind) -> None:
    acme, wrong = await client(app, "management"), []
    for act in ACTS:
        code = code_of(await acme.do(act, await acme.session(kind)))
        if code == ASKED if may(kind, act) or cannot_ever(kind, act) else code != ASKED:
            wrong.append((act.name, code))
    assert not wrong


@rule("DEVICE-PROVES-NOBODY")
async def test_a_device_does_none_of_them_however_fresh_and_whatever_the_client_guards(app: App) -> None:
    acme, wrong = await client(app, "factors"), []
    kind = next(kind for kind in KINDS if kind.name == "password and code")
    for act in ACTS:
        token = await acme.session(kind)
        await change_rows(app, "sessions", {"id": claims_of(token)["sid"]}, method="device")
        if (code := code_of(await acme.do(act, token))) != "FORBIDDEN":
            wrong.append((act.name, code))
    assert not wrong
    proof = Act("", "", "POST", f"{AUTH}/reauthenticate", {"password": PASSWORD, "otp": "000000"})
    assert code_of(await acme.do(proof, token)) == "CONFLICT"


@rule("APP-TOKENS")
@matrix("step_up", ["factors", "management"])
async def test_an_app_does_none_of_them_however_fresh_the_proof_of_who_signed_in(app: App, step_up: str) -> None:
    acme, wrong = await client(app, step_up), []
    scopes = ["openid", "users:manage", "settings:manage"]
    web = await relying(app, acme.name, scopes=scopes)
    link = _of("mutation { renewInvitation(userId: <viewer>) { link } }")  # returned, because mail isn't set up
    for act in (*ACTS, link):
        token = (await web.tokens(Visitor(app), acme.email, scope=" ".join(scopes)))["access_token"]
        if (code := code_of(await acme.do(act, token))) != "FORBIDDEN":
            wrong.append((act.name, code))
    ends = [("DELETE /api/client/users/{user}/sessions", ""), ("endUserSessions", "")]  # the Admin's own sessions
    one = ("DELETE /api/client/users/{user}/sessions/{session}", "NOT_FOUND")
    assert sorted(wrong) == (sorted([*ends, one]) if step_up == "factors" else [])
    named = _of('mutation { updateUser(id: <viewer>, input: {title: "Dr"}) { id } }')
    assert code_of(await acme.do(named, token)) == ""


@rule("ACT-OF-OPEN-SESSION")
async def test_none_follows_the_end_of_its_session(app: App) -> None:
    """The head of the request arrives while the session is open, and the body later."""
    acme, done, wrong = await client(app, "management"), set(), []
    for act in ACTS:
        token = await acme.session(KINDS[0])
        late = await acme.do(act, token, meanwhile=partial(app.post, f"{AUTH}/sign-out", token=token))
        if code_of(await acme.do(act, await acme.session(KINDS[0]))) == "":
            done.add(act.name)
            if code_of(late) != "INVALID_TOKEN" and act.name not in HARMLESS:
                wrong.append(act.name)
    assert not wrong
    assert done >= {
        f"POST {AUTH}/second-factors/totp", "POST /api/client/providers/{provider}/switch-off",
        "POST /api/client/service-accounts", "POST /api/client/domains", "PATCH /api/client/settings", "inviteUser",
        "setUserRoles",
    }  # fmt: skip


async def test_a_client_that_guards_factors_alone_asks_for_no_more(app: App) -> None:
    acme = await client(app, "factors")
    old = next(kind for kind in KINDS if kind.name == "old password and code")
    asked = {act.name for act in ACTS if code_of(await acme.do(act, await acme.session(old))) == ASKED}
    assert asked == {act.name for act in ACTS if act.level != "management"}


async def test_who_becomes_no_manager_is_added_without_it(app: App) -> None:
    acme = await client(app, "management")
    old = next(kind for kind in KINDS if kind.name == "old password")
    token = await acme.session(old)
    for query in (
        'mutation { inviteUser(input: {email: "a@x.example", roles: ["Viewer", "Author"]}) { user { id } } }',
        'mutation { addUser(input: {email: "b@x.example", roles: ["Operator"]}) { id } }',
        'mutation { setUserRoles(userId: <manager>, roles: ["Viewer"]) { id } }',
        "mutation { renewInvitation(userId: <viewer>) { user { id } } }",
        'mutation { updateUser(id: <viewer>, input: {title: "Fitter"}) { id } }',
    ):
        assert code_of(await acme.do(_of(query), token)) == "", query
    branding = Act("", "", "PATCH", "/api/client/settings", {"branding": {"accent": "#123456"}})
    assert code_of(await acme.do(branding, token)) == ""


@rule("RECENT-PROOF")
async def test_no_other_route_asks(app: App) -> None:
    acme, asked = await client(app, "management"), []
    old = next(kind for kind in KINDS if kind.name == "old password")
    for route in FREE:
        code = code_of(await send(app, route, await acme.session(old), user=acme.numbers["viewer"]))
        assert code not in ("UNAUTHENTICATED", "INVALID_TOKEN"), str(route)
        if code == ASKED:
            asked.append(str(route))
    assert not asked
    assert len(FREE) > 20


def test_every_mutation_of_those_who_manage_users_is_known_to_be_sensitive_or_not() -> None:
    acts = {act.name for act in ACTS if act.path == "/api/client/graphql"}
    managing = {
        name
        for name, (word, field) in operations().items()
        if word == "mutation" and field.extensions["permission"].value == "users:manage"
    }
    assert managing == acts | FREE_MUTATIONS
    assert not acts & FREE_MUTATIONS
