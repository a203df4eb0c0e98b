"""``serve --demo``: fills an empty store with two clients and a user for each role, and prints how to sign in.

Refuses a store with other data, and a public address that other machines can reach. Passwords are random and printed
once, or ``MANIFEST_DEMO_PASSWORD`` for all.
"""

from __future__ import annotations

from sqlalchemy import func, select

from manifest_auth import audit
from manifest_auth.accounts import users
from manifest_auth.accounts.admins import management
from manifest_auth.audit import Event, Origin
from manifest_auth.errors import Conflict
from manifest_auth.licence import UNCOUNTED
from manifest_auth.operations import client_lifecycle
from manifest_auth.permissions import Role, mask_of
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import Settings, SettingsError, is_loopback_host
from manifest_auth.services import Services
from manifest_auth.store import SystemUnit, global_, installation_values
from manifest_auth.store.tables import system_admins
from manifest_auth.store.tables import tenants as tenants_table
from manifest_auth.tenants import TenantSettings
from manifest_auth.tenants.claims import domains

ADMIN = "admin"
_NAMES = {
    Role.ADMIN: ("Ada", "Admin"),
    Role.USER_ADMIN: ("Uma", "Users"),
    Role.AUTHOR: ("Arthur", "Author"),
    Role.OPERATOR: ("Olga", "Operator"),
    Role.APPROVER: ("April", "Approver"),
    Role.PUBLISHER: ("Paul", "Publisher"),
    Role.VIEWER: ("Vera", "Viewer"),
}


class NotEmpty(Exception):
    """The store contains data that is not from the demo."""


_CLIENTS = global_(select(func.count()).select_from(tenants_table), int)
_ADMINS = global_(select(func.count()).select_from(system_admins), int)


def check_allowed(settings: Settings) -> None:
    """Raises SettingsError for an address that is not loopback."""
    if not settings.is_loopback or not is_loopback_host(settings.host):
        raise SettingsError("--demo: only on a loopback address (MANIFEST_PUBLIC_URL and --host)")


def accounts() -> list[tuple[str, str, Role]]:
    """(client, e-mail, role) of every demo user."""
    slug = {role: role.value.lower().replace(" ", "-") for role in _NAMES}
    return [("acme", f"{slug[role]}@acme.example", role) for role in _NAMES] + [
        ("globex", "admin@globex.example", Role.ADMIN)
    ]


async def fill(services: Services) -> dict[str, str] | None:
    """Fills an empty store. The passwords by account name, or None when the demo filled it before. Raises NotEmpty."""
    check_allowed(services.settings)
    if await services.store.read(_is_filled):
        return None
    password = services.settings.demo_password.reveal() if services.settings.demo_password else None
    names = [email for _, email, _ in accounts()] + [ADMIN]
    passwords = {name: password or services.random.text(15) for name in names}
    hashes = {name: await services.hasher.hash(password) for name, password in passwords.items()}

    def work(unit: SystemUnit) -> bool:
        if _is_filled(unit):
            return False  # another process was faster
        _write(unit, hashes, services.random, services.clock.now_ms())
        return True

    try:
        return passwords if await services.store.write(work) else None
    except Conflict:  # another process filled it between the check and the insert
        return None


def _is_filled(unit: SystemUnit) -> bool:
    if installation_values.get(unit, "demo"):
        return True
    if unit.first(_CLIENTS) or unit.first(_ADMINS):
        raise NotEmpty("--demo: the store is not empty and was not filled by --demo")
    return False


def _write(unit: SystemUnit, hashes: dict[str, str], random: Random, now: int) -> None:
    origin = Origin(now, "system", "", "demo")
    if installation_values.lock(unit, "demo"):
        raise Conflict("another process filled it")
    installation_values.put(unit, "demo", "filled")
    for identifier, name in (("acme", "Acme Corporation"), ("globex", "Globex Corporation")):
        bound = unit.of(client_lifecycle.create(unit, origin, identifier, name, TenantSettings()).id)
        for client, email, role in accounts():
            if client == identifier:
                first, last = _NAMES[role]
                user = users.create(
                    bound,
                    UNCOUNTED,  # no licence exists yet; from then on they count
                    email=email,
                    first_name=first,
                    last_name=last,
                    title=role.value,
                    roles=mask_of([role]),
                    password_hash=hashes[email],
                    now=now,
                )
                audit.record(bound, origin, Event.USER_CREATED, f"user:{user.id}", email=email)
        # Otherwise no e-mail address could link an account when a provider is tried out: these domains are not in DNS.
        domains.vouch(bound, origin, f"{identifier}.example", "a made-up name of the demo", random)
    management.create(unit, origin, ADMIN, hashes[ADMIN])


def welcome(base: str, passwords: dict[str, str] | None) -> str:
    """The text for the terminal: accounts, and commands to paste."""
    lines = ["", "Manifest Auth with demo data", ""]
    if passwords is None:
        lines += ["The store was filled before; its passwords were shown then.", ""]
        password = "YOUR-PASSWORD"  # noqa: S105 - a place-holder for the reader
    else:
        width = max(map(len, passwords))
        lines += [f"  {name.ljust(width)}  {password}" for name, password in passwords.items()]
        lines += ["", f"  `{ADMIN}` is the system admin; all others are users. Shown only now.", ""]
        password = passwords["author@acme.example"]
    return "\n".join([*lines, *_curl(base, password), ""])


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
