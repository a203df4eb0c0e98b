"""Secrets, assertions, and tokens never appear in database, log, or audit trail, and secrets are returned only once."""

from __future__ import annotations

import re

import pytest

from tests.support.accounts import trail
from tests.support.application import App, Reply
from tests.support.logged import logged
from tests.support.machines import SCANNER, new_account, of_client
from tests.support.oauth_callers import GRANT, INTROSPECT, REVOKE, TOKEN, Machine, basic, form
from tests.support.rows import all_that_rests
from tests.support.rules import rule

pytestmark = pytest.mark.settings(MANIFEST_LOG_REQUESTS="all")


@rule("OAUTH-NO-SECRET")
async def test_what_is_secret_is_in_one_answer_alone(app: App, client: str) -> None:
    with logged(app) as lines:
        answers, shown = await a_day_of_a_machine(app, client)
        log = lines.getvalue().decode()
    assert len(shown) == 8
    assert not [reply.text for reply in answers if re.search(SCANNER, reply.text)]
    stored = "\n".join(str(value) for _, value in await all_that_rests(app))
    told = "\n".join(event.detail for event in await trail(app, client))
    assert log.count("/oauth2/token") >= 6
    for text in (stored, told, log):
        assert not re.search(SCANNER, text)
        assert not [secret for secret in shown if secret in text]


async def a_day_of_a_machine(app: App, client: str) -> tuple[list[Reply], list[str]]:
    """Send every kind of request, valid and invalid; returns the responses without secrets, and all secrets."""
    answers, admin = [], await app.admin_token()
    account = await new_account(app, client, mayIntrospect=True)
    base = f"{of_client(client)}/{account['id']}"
    made = [await app.post(f"{base}/{kind}", {}, token=admin) for kind in ("secrets", "secrets", "keys")]
    secrets = [found[0] for reply in made if (found := re.search(SCANNER, reply.text))]
    assert len(set(secrets)) == 3
    who = Machine(app, account["id"], client, secrets[0])
    for headers in (who.basic, basic(who.client_id, secrets[1]), basic(who.client_id, secrets[2]), basic("x", "y")):
        answers.append(await form(app, TOKEN, GRANT, headers))
    tokens = [reply.json["access_token"] for reply in answers if reply.status == 200]
    assert len(tokens) == 2
    fields = {**GRANT, **who.signed()}
    answers.append(await form(app, TOKEN, fields))
    answers.append(await form(app, TOKEN, {**GRANT, "client_id": who.client_id, "client_secret": secrets[0]}))
    for token in (*tokens, *secrets):
        answers.append(await form(app, INTROSPECT, {"token": token}, who.basic))
        answers.append(await app.get("/api/client/auth/me", token=token))
        answers.append(await app.graphql("{ jobs { id } }", token))
    for path in (base, f"{base}/secrets", f"{base}/keys", "/api/admin/audit?first=100"):
        answers.append(await app.get(path, token=admin))
    for token in (*tokens, *secrets):
        answers.append(await form(app, REVOKE, {"token": token}, who.basic))
    return answers, [*secrets, *tokens, fields["client_assertion"], *(token.split(".")[2] for token in tokens)]
