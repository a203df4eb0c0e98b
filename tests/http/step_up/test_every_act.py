"""Every sensitive act by every kind of session: none acts past the proof that its account needs."""

from __future__ import annotations

from functools import partial

import pytest

from tests.http.step_up.sensitive_acts import ACTS, KINDS, Act, Kind, client, code_of
from tests.support.application import PASSWORD, App
from tests.support.forged_tokens import claims_of
from tests.support.matrix import matrix
from tests.support.routes import ROUTES
from tests.support.rows import change_rows
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

ASKED = "REAUTHENTICATION_REQUIRED"
AUTH, USERS = "/api/client/auth", "/api/client/users/{user}"
MACHINE = "/api/client/service-accounts/{account}"
#: Changes of users that need no recent proof.
FREE = {
    ("POST", f"{AUTH}/sign-out"), ("POST", f"{AUTH}/sign-out-all"), ("PATCH", f"{AUTH}/me"),
    ("POST", f"{AUTH}/reauthenticate"), ("POST", f"{AUTH}/reauthenticate/provider"),  # which give one
    ("POST", f"{AUTH}/reauthenticate/options"),
    ("POST", "/api/client/graphql"),  # by mutation, see below
    ("POST", "/api/client/files"),
    ("POST", "/api/client/providers/{provider}/test"), ("POST", "/api/client/domains/{domain}/check"),  # only look
    ("PUT", "/api/client/branding/logo"), ("DELETE", "/api/client/branding/logo"),
    ("POST", f"{MACHINE}/disable"), ("DELETE", f"{MACHINE}/keys/{{secret}}"),  # which take away
    ("DELETE", f"{MACHINE}/secrets/{{secret}}"),
    ("DELETE", f"{USERS}/badges/{{badge}}"), ("DELETE", "/api/client/devices/{device}"),  # which take away too
    ("DELETE", "/api/client/devices/enrolments/{enrolment}"),
    ("POST", f"{AUTH}/devices/lookup"), ("POST", f"{AUTH}/devices/deny"),
    *(("POST", f"{AUTH}/devices/pairings/{{id}}/{act}") for act in ("renew", "deny")),
}  # fmt: skip
#: Acts that may come late: they end sessions, or change nothing here.
HARMLESS = {"others", "another one", "all own as a manager", "endUserSessions", "end all trust", "begin a passkey"}
#: Kinds that may enrol the first factor of an account, and nothing else.
FIRST = {"link", "link, and no password", "provider, and there is a password", "provider without a time"}
FREE_MUTATIONS = {
    "deactivateUser",
    "addTemplate", "updateTemplate", "addTemplateVersion", "updateTemplateVersion", "submitTemplateVersion",
    "approveTemplateVersion", "rejectTemplateVersion", "publishTemplateVersion", "archiveTemplate", "restoreTemplate",
    "addJob", "updateJob", "assignUserToJob", "unassignUserFromJob", "startJob", "recordData", "completeStep",
    "completeJob", "cancelJob",
}  # fmt: skip


def may(kind: Kind, act: Act) -> bool:
    """Whether a session of that kind may do it, where the client guards everything."""
    is_first = act.level == "first" and not kind.has_factor
    return kind.opens or (act.level == "factor" and not kind.has_factor) or (is_first and kind.name in FIRST)


def cannot_ever(kind: Kind, act: Act) -> bool:
    """Whether the account has not what the act changes: it is refused in another way."""
    return act.name == "email" and not kind.has_password


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


@rule("ACT-OF-OPEN-SESSION")
async def test_none_follows_the_end_of_its_session(app: App) -> None:
    """The head of the request comes while the session is open, and the body later."""
    acme, done, wrong = await client(app, "management"), set(), []
    for act in ACTS:
        token = await acme.session(KINDS[0])
        late = await acme.do(act, token, meanwhile=partial(app.post, f"{AUTH}/sign-out", token=token))
        if code_of(await acme.do(act, await acme.session(KINDS[0]))) == "":
            done.add(act.name)
            if code_of(late) != "INVALID_TOKEN" and act.name not in HARMLESS:
                wrong.append(act.name)
    assert not wrong
    assert done >= {"begin an app", "switch off", "make a machine", "claim", "rules", "inviteUser", "setUserRoles"}


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
        assert code_of(await acme.do(Act("", "", "POST", "/api/client/graphql", {"query": query}), token)) == "", query
    branding = Act("", "", "PATCH", "/api/client/settings", {"branding": {"accent": "#123456"}})
    assert code_of(await acme.do(branding, token)) == ""


@rule("RECENT-PROOF")
def test_every_route_of_users_is_known_to_be_sensitive_or_not() -> None:
    acts = {(act.method, act.route or act.path) for act in ACTS} - {("POST", "/api/client/graphql")}
    changing = {(one.method, one.path) for one in ROUTES if one.who == "client" and one.method != "GET"}
    assert changing | {("GET", "/api/client/audit/export")} == acts | FREE
    assert not acts & FREE


async def test_every_mutation_is_known_to_be_sensitive_or_not(app: App) -> None:
    acme = await client(app, "factors")
    token = await acme.session(KINDS[0])
    reply = await app.graphql("{ __schema { mutationType { fields { name } } } }", token)
    acts = {act.name for act in ACTS if act.path == "/api/client/graphql"}
    assert {
        field["name"] for field in reply.json["data"]["__schema"]["mutationType"]["fields"]
    } == acts | FREE_MUTATIONS
    assert not acts & FREE_MUTATIONS
