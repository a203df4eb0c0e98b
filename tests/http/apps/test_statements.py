"""A sign-in through an app needs few SQL statements."""

from __future__ import annotations

import pytest

from tests.http.apps.relying import relying, told
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.people import member
from tests.support.statements import beats_are_in_time, counted_statements, sent_to_postgres
from tests.support.visitor import Visitor

pytestmark = pytest.mark.still


async def test_a_code_and_its_tokens_take_few_statements(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A code needs the session with its provider, the user, and the code. Tokens need the app, the code, the user,
    marking the code as used, noting that the browser's session has children, that session, the grant (stored once a
    minute), and on PostgreSQL all writes immediately."""
    beats_are_in_time(monkeypatch)
    client = await new_client(app)
    web = await relying(app, client, scopes=["openid", "profile"])
    visitor = Visitor(app, cookies={"session": (await member(app, client)).cookie})
    counts = []
    for _ in range(2):
        with counted_statements() as asked, sent_to_postgres() as sent:
            code = told(await web.authorize(visitor, scope="openid profile"))
            first, first_sent = len(asked), _own(sent)
            assert (await web.redeem(code)).status == 200
        counts.append((first, len(asked) - first, first_sent, _own(sent) - first_sent))
    assert counts[-1] in [(3, 9, 0, 0), (3, 6, 4, 8)], counts


def _own(sent: list[str]) -> int:
    """The number of statements, without the look for changed signing keys, which is due from time to time."""
    return sum(not text.startswith(("SELECT keys.id", "SELECT installation.value")) for text in sent)
