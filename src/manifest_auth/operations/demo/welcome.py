"""The texts for the terminal."""

from __future__ import annotations

from manifest_auth.accounts.admins import console
from manifest_auth.operations.demo.accounts import ADMIN, users

_OTHERS = [(email, client) for client, email, _ in users()[1:]]


def welcome(base: str, passwords: dict[str, str]) -> str:
    """After the store was filled: what to open, the accounts, and commands to paste."""
    width = max(map(len, passwords))
    return "\n".join(
        [
            *_addresses(base),
            *(f"  {name.ljust(width)}  {password}" for name, password in passwords.items()),
            "",
            f"  `{ADMIN}` is the system admin; all others are users. Shown only now.",
            "",
            *_curl(base, passwords["author@acme.example"]),
            "",
        ]
    )


def welcome_again(base: str, command: str) -> str:
    """For a store that was filled before. ``command``: how the command line is called here."""
    return "\n".join(
        [
            *_addresses(base),
            "The store was filled before; its passwords were shown then. To get in again:",
            "",
            f"  {command} user link admin@acme.example --client acme",
            f"  {command} admin reset {ADMIN} --new-password",
            "",
            "The first prints a link to set a user's new password, the second a new password of the system admin.",
            "The other users, each with the client:",
            "",
            *(f"  {email} --client {client}" for email, client in _OTHERS),
            "",
            f"# Description of all routes: {base}/docs",
            "",
        ]
    )


def _addresses(base: str) -> list[str]:
    return [
        "",
        "Manifest Auth with demo data",
        "",
        f"Open {base}/sign-in in a browser and sign in as one of the users,",
        f"or {base}{console.PATH}, the console of the installation, as `{ADMIN}`.",
        "",
    ]


def _curl(base: str, password: str) -> list[str]:
    json = "-H 'Content-Type: application/json'"
    auth = f"{base}/api/client/auth"
    body = f'{{"email":"author@acme.example","password":"{password}"}}'
    pick = "python3 -c 'import json,sys; print(json.load(sys.stdin)[\"data\"][sys.argv[1]])'"
    bearer = '-H "Authorization: Bearer $TOKEN"'
    return [
        "# Sign in; the cookie goes into a file, the tokens into variables",
        f"ANSWER=$(curl -s -c cookies.txt {auth}/sign-in {json} -d '{body}'); echo \"$ANSWER\"",
        f'TOKEN=$(echo "$ANSWER" | {pick} token); REFRESH=$(echo "$ANSWER" | {pick} refreshToken)',
        "",
        "# Ask: by token, by cookie, by GraphQL",
        f"curl -s {auth}/me {bearer}",
        f"curl -s {auth}/me -b cookies.txt",
        f'curl -s {base}/api/client/graphql {bearer} {json} -d \'{{"query":"query {{ users {{ id email }} }}"}}\'',
        "",
        "# Refresh",
        f'curl -s {auth}/refresh {json} -d "{{\\"refreshToken\\":\\"$REFRESH\\"}}"',
        "",
        "# Sign out; token, refresh token and cookie are dead from then on",
        f"curl -s -X POST {auth}/sign-out {bearer}",
        "",
        f"# Description of all routes: {base}/docs",
    ]
