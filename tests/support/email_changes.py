"""Changes of an email address: helpers for their requests and their emails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

from manifest_auth.accounts import users
from manifest_auth.accounts.users import User
from tests.support.accounts import keys_of, new_user, store_of
from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_success
from tests.support.mail_server import MailServer, Received
from tests.support.team import Team

ADDRESS, CONFIRM, UNDO, LOOK = (f"/api/client/auth/{path}" for path in ("email", "email/confirm", "email/undo", "link"))
DAY = 86_400
#: The response to undoing a change when nothing was added to the account shortly before.
NOTHING_REMOVED = {"app": False, "passkeys": 0, "recoveryCodes": False, "identities": 0, "badges": 0, "pin": False}
PENDING = "query($id: Int!) { user(id: $id) { email pendingEmail } }"


async def until_idle(app: App) -> None:
    """Wait until nothing is in progress in the background."""
    while app.services.mail._tasks:
        await asyncio.sleep(0.01)


async def mails_by_recipient(app: App, mail_server: MailServer) -> dict[str, Received]:
    """The emails that arrived since the last call, by recipient."""
    await until_idle(app)
    found = {received.recipients[0]: received for received in mail_server.mails}
    assert len(found) == len(mail_server.mails)
    mail_server.mails.clear()
    return found


async def person(team: Team, **members: Any) -> tuple[int, str, str]:
    """A user with a password: id, address, access token."""
    user_id, email = await new_user(team.app, team.client, password=PASSWORD, **members)
    return user_id, email, (await keys_of(team.app, email, client=team.client)).token


async def ask_own(app: App, token: str, new: str, password: str = PASSWORD) -> Reply:
    return await app.post(ADDRESS, {"newEmail": new, "currentPassword": password}, token=token)


async def confirm(app: App, token: str, **options: Any) -> Reply:
    return await app.post(CONFIRM, {"token": token}, **options)


async def undo(app: App, token: str, **options: Any) -> Reply:
    return await app.post(UNDO, {"token": token}, **options)


async def stored(team: Team, user_id: int) -> User:
    """The user as stored in the database."""
    return await (await store_of(team.app, team.client)).read(lambda unit: users.get(unit, user_id))


async def is_proved(team: Team, user_id: int) -> tuple[bool, bool]:
    """Whether the address is verified, and whether the password is."""
    user = await stored(team, user_id)
    return user.email_proved_at is not None, users.password_is_proved(user)


async def changed(team: Team, mail_server: MailServer, token: str, new: str) -> str:
    """Change the user's own address to ``new``; returns the token that undoes the change."""
    check_success(await ask_own(team.app, token, new))
    check_success(await confirm(team.app, (await mails_by_recipient(team.app, mail_server))[new].token))
    [received] = (await mails_by_recipient(team.app, mail_server)).values()
    return received.token


@contextlib.contextmanager
def random_texts(app: App) -> Iterator[list[str]]:
    """Collect the random texts that the server creates inside the block: tokens, and names of sessions and requests."""
    made: list[str] = []
    original = app.services.random.text

    def text(count: int = 16) -> str:
        made.append(original(count))
        return made[-1]

    with mock.patch.object(app.services.random, "text", text):
        yield made
