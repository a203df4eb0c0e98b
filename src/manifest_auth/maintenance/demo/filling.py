"""Fills an empty database and prints how to sign in: the accounts in one transaction, then their activity."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Awaitable, Callable

from sqlalchemy import func, select

from manifest_auth import accounts, tenants
from manifest_auth.accounts import Draft, users
from manifest_auth.accounts.admins import management
from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.audit import AuditFilters
from manifest_auth.clients import audit_views, client_settings
from manifest_auth.errors import Conflict, InvalidCredentials
from manifest_auth.licence import UNCOUNTED
from manifest_auth.maintenance.demo import people
from manifest_auth.maintenance.demo.people import ADMIN, CLIENTS, DAYS, Browser, PastClock, Visit, Writers
from manifest_auth.permissions import Role, mask_of
from manifest_auth.runtime.settings import Settings, SettingsError
from manifest_auth.services import RequestContext, Services
from manifest_auth.sign_in import admin_sign_in, password
from manifest_auth.store import SystemUnit, TenantUnit, global_, installation_values
from manifest_auth.store.migrate import upgrade
from manifest_auth.store.tables import system_admins
from manifest_auth.store.tables import tenants as tenants_table
from manifest_auth.tenants import BrandingChange, TenantSettingsChange
from manifest_auth.tenants.claims import domains
from manifest_auth.work.job_rules import Priority

_WRONG = "winter-gauge-7-open"


class _Story:
    """The demo's activity. ``admin_password`` belongs to the system admin, who signs in like on a real server,
    including the password hash."""

    def __init__(self, services: Services, clock: PastClock, admin_password: str) -> None:
        self._services, self._clock, self._admin_password = services, clock, admin_password
        self._tenants: dict[str, int] = {}
        self._pump = self._forklift = self._paper = 0  # templates

    async def read_clients(self) -> None:
        self._tenants = await self._services.store.read(
            lambda unit: {name: tenants.get_named(unit, name).id for name in CLIENTS}
        )

    def days(self) -> list[tuple[float, Callable[[], Awaitable[None]]]]:
        """The steps in order: how many days before today, and what happens then."""
        special = [
            (13.9, self._rules_are_set),
            (13.4, self._first_templates),
            (11.6, self._first_job),
            (9.5, self._wrong_passwords),
            (8.6, self._next_version),
            (6.5, self._second_job_and_a_cancelled_one),
            (5.5, self._templates_under_way),
            (4.4, self._people_come_and_go),
            (2.5, self._domain_and_export),
            (1.6, self._a_headset_is_lost),
            (0.9, self._work_of_today),
            (0.1, self._browsers_of_today),
        ]
        usual = [(day + 0.3, self._usual_day) for day in range(1, DAYS)]
        return sorted((*special, *usual), key=lambda day: -day[0])

    async def _user(self, email: str) -> users.User:
        tenant = self._tenants[email.partition("@")[2].partition(".")[0]]
        found = await self._services.store.of(tenant).read(lambda unit: users.find_by_email(unit, email))
        assert found is not None, email
        return found

    async def _visit(self, email: str, browser: Browser = people.CHROME) -> Visit:
        user = await self._user(email)
        return await people.sign_in(self._services, user.tenant_id, user.id, browser)

    async def _writers(self) -> Writers:
        return Writers(*[await self._visit(f"{who}@acme.example") for who in ("author", "approver", "publisher")])

    async def _leave(self, *those: Visit) -> None:
        self._clock.move_by(20)
        for visit in those:
            await visit.sign_out()

    async def _usual_day(self) -> None:
        """Has a user view the work and leave."""
        viewer = await self._visit("viewer@acme.example", people.EDGE)
        self._clock.move_by(45)
        manager = await self._visit("user-admin@acme.example", people.FIREFOX)
        await self._leave(viewer, manager)

    async def _rules_are_set(self) -> None:
        admin = await self._visit("admin@globex.example", people.FIREFOX)
        branding = BrandingChange(name="Globex Field Service", accent="#7a3e9d")
        change = TenantSettingsChange(contact="IT help desk, extension 4357", branding=branding)
        ctx, tenant = admin.ctx, self._tenants["globex"]
        await self._services.store.write(
            lambda unit: client_settings.change(unit, ctx, tenants.get(unit, tenant, lock=True), None, change)
        )
        await self._leave(admin)

    async def _first_templates(self) -> None:
        by = await self._writers()
        self._pump = await people.add_template(by, "Pump inspection", "Every pump, once a month.", people.PUMP[:2])
        self._clock.move_by(50)
        await people.publish(by, self._pump, "Short and clear")
        self._forklift = await people.add_template(by, "Forklift daily check", "Before the first use.", people.FORKLIFT)
        await people.submit(by, self._forklift)
        self._clock.move_by(30)
        await people.reject(by, self._forklift, "Which brakes? Say that the parking brake counts too.")
        self._clock.move_by(15)
        await people.publish(by, self._forklift, "It's clear now")
        self._paper = await people.add_template(by, "Gas log on paper", "", people.CONFINED)
        await people.publish(by, self._paper)
        await self._leave(*by)

    async def _first_job(self) -> None:
        operator = await self._visit("operator@acme.example", people.TABLET)
        job = await people.add_job(operator, self._pump, "Pump 7, monthly", "P-7", Priority.MEDIUM)
        await people.start(operator, job)
        self._clock.move_by(5)
        await people.step(operator, job, 1)
        picture = await people.upload(self._services, operator)
        self._clock.move_by(4)
        await people.step(operator, job, 2, {"value": 4.2, "unit": "bar"}, {"file_id": picture})
        await people.complete(operator, job)
        await self._leave(operator)

    async def _wrong_passwords(self) -> None:
        for email in ("operator@acme.example", "operator@acme.example", "olga@acme.example"):
            claim = password.Claim(email, "acme", ())
            with contextlib.suppress(InvalidCredentials):
                await password.sign_in(self._request(people.HEADSET), password.Credentials(claim, _WRONG, None))
            self._clock.move_by(2)
        operator = await self._visit("operator@acme.example", people.HEADSET)
        with contextlib.suppress(InvalidCredentials):
            await admin_sign_in.sign_in(self._request(people.CHROME), ADMIN, _WRONG)
        self._clock.move_by(1)
        await admin_sign_in.sign_in(self._request(people.CHROME), ADMIN, self._admin_password)
        await self._leave(operator)

    def _request(self, browser: Browser) -> RequestContext:
        return people.request(self._services, browser)

    async def _next_version(self) -> None:
        by = await self._writers()
        await people.next_version(by, self._pump, people.PUMP)
        await self._leave(*by)

    async def _second_job_and_a_cancelled_one(self) -> None:
        operator = await self._visit("operator@acme.example", people.TABLET)
        job = await people.add_job(operator, self._forklift, "Forklift 3, Monday", "F-3", Priority.HIGH)
        await people.start(operator, job)
        await people.step(operator, job, 1)
        self._clock.move_by(3)
        await people.step(operator, job, 2, {"boolean": True}, {"text": "The horn is weak, but works"})
        await people.step(operator, job, 3, {"value": 1287.5, "unit": "h"})
        await people.complete(operator, job)
        other = await people.add_job(operator, self._pump, "Pump 2, monthly", "P-2", Priority.LOW)
        await people.cancel(operator, other, "The pump is out for repair")
        await self._leave(operator)

    async def _templates_under_way(self) -> None:
        by = await self._writers()
        boiler = await people.add_template(by, "Boiler start-up", "After a shutdown of a day or more.", people.BOILER)
        await people.submit(by, boiler, "For the coming season")
        await people.approve(by, boiler)
        confined = await people.add_template(by, "Confined space entry", "", people.CONFINED)
        await people.submit(by, confined)
        await people.reject(by, confined, "The rescue plan is missing")
        self._clock.move_by(40)
        await people.submit(by, await people.add_template(by, "Fire extinguishers", "", people.EXTINGUISHERS))
        await people.archive(by, self._paper, "Replaced by the meter's own log")
        await self._leave(*by)

    async def _people_come_and_go(self) -> None:
        admin = await self._visit("admin@globex.example", people.FIREFOX)
        gil = await self._invite(admin, "Gil", "Santos", Role.OPERATOR)
        greta = await self._invite(admin, "Greta", "Lindholm", Role.AUTHOR)
        await self._invite(admin, "Hana", "Mori", Role.VIEWER)
        roles = mask_of([Role.AUTHOR, Role.APPROVER])
        await admin.act(lambda unit, ctx: accounts.set_roles(unit, ctx, greta, roles))
        self._clock.move_by(120)
        await admin.act(lambda unit, ctx: accounts.deactivate(unit, ctx, gil))
        await self._leave(admin)

    async def _invite(self, admin: Visit, first: str, last: str, role: Role) -> int:
        """Creates a user, and returns the ID. The link is shown to the Admin, because no email of the demo ever leaves
        the machine."""
        draft = Draft(f"{first.lower()}@globex.example", role.bit, {"first_name": first, "last_name": last})

        def work(unit: TenantUnit, ctx: RequestContext) -> int:
            user = accounts.add(unit, ctx, draft)
            accounts.make_link(unit, ctx, user, Purpose.INVITATION, is_returned=True)
            return user.id

        self._clock.move_by(3)
        return await admin.act(work)

    async def _domain_and_export(self) -> None:
        admin = await self._visit("admin@acme.example", people.CHROME)
        await admin.act(lambda unit, ctx: domains.claim(unit, ctx, "acme-parts.example", self._services.random))
        self._clock.move_by(10)
        await audit_views.start(admin.ctx, AuditFilters(), "csv")
        await self._leave(admin)

    async def _a_headset_is_lost(self) -> None:
        await self._visit("operator@acme.example", people.HEADSET)
        self._clock.move_by(90)
        operator, manager = await self._user("operator@acme.example"), await self._visit("user-admin@acme.example")
        await manager.act(lambda unit, ctx: accounts.end_sessions(unit, ctx, operator.id))
        given = {"description": "Pumps 1 to 9, late shift"}
        await manager.act(lambda unit, ctx: accounts.change(unit, ctx, operator.id, given))
        await self._leave(manager)

    async def _work_of_today(self) -> None:
        operator = await self._visit("operator@acme.example", people.TABLET)
        me = (await self._user("operator@acme.example")).id
        pump = await people.add_job(operator, self._pump, "Pump 4, monthly", "P-4", Priority.HIGH, me)
        await people.start(operator, pump)
        await people.step(operator, pump, 1)
        await people.record(operator, pump, 2, value=3.9, unit="bar")
        forklift = await people.add_job(operator, self._forklift, "Forklift 1, Friday", "F-1", Priority.MEDIUM, me)
        await people.start(operator, forklift)
        await people.add_job(operator, self._pump, "Pump 9, monthly", "P-9", Priority.MEDIUM, me)
        await people.add_job(operator, self._forklift, "Forklift 5, Friday", "F-5", Priority.LOW)

    async def _browsers_of_today(self) -> None:
        for email, *browsers in (
            ("admin@acme.example", people.CHROME, people.IPHONE, people.FIREFOX),
            ("operator@acme.example", people.HEADSET),
            ("viewer@acme.example", people.EDGE),
            ("admin@globex.example", people.FIREFOX),
        ):
            for browser in browsers:
                await self._visit(email, browser)
                self._clock.move_by(12)


async def happen(
    services: Services, clock: PastClock, admin_password: str, progress: Callable[[str, int, int], None]
) -> None:
    """Runs everything in order. ``services`` must use ``clock``."""
    story = _Story(services, clock, admin_password)
    await story.read_clients()
    days = story.days()
    for done, (at, happens) in enumerate(days):
        progress("demo data, events", done, len(days))
        clock.move_to(at)
        await happens()


#: Progress: what is being created, how many are finished, and the total.
Progress = Callable[[str, int, int], None]
_CLIENTS = global_(select(func.count()).select_from(tenants_table), int)
_ADMINS = global_(select(func.count()).select_from(system_admins), int)


class NotEmpty(Exception):
    """The store contains data that isn't from the demo."""


def check_allowed(settings: Settings) -> None:
    """Raises SettingsError for a public address that isn't loopback. If other machines might reach the listener, for
    example in a container with a published port, the operator must allow it."""
    if not (settings.is_local or (settings.is_loopback and settings.insecure_public_url != "refused")):
        raise SettingsError("demo: allowed only on a loopback address (MANIFEST_PUBLIC_URL and --host)")


async def is_filled(services: Services) -> bool:
    """Whether the demo filled the store before. The services must not be open, because opening them creates the signing
    keys, which in a demo store are as old as everything else. Raises NotEmpty."""
    settings = services.settings
    await upgrade(
        settings.database_direct, lambda: services.sealer.keys, may_change=settings.database_upgrade == "start"
    )
    await services.store.open()
    try:
        return await services.store.read(_is_filled)
    finally:
        await services.store.close()


async def fill(services: Services, progress: Progress = lambda _what, _done, _of: None) -> dict[str, str] | None:
    """Fills an empty store. Returns the passwords by account name, or None if the demo filled it before. Raises
    NotEmpty."""
    check_allowed(services.settings)
    if await services.store.read(_is_filled):
        return None
    clock = services.clock if isinstance(services.clock, PastClock) else PastClock(services.clock)
    # No license exists yet. The users will count once a license is installed.
    past = dataclasses.replace(services, clock=clock, seats=UNCOUNTED)
    password = services.settings.demo_password.reveal() if services.settings.demo_password else None
    names = [email for _, email, _ in people.users()] + [ADMIN]
    passwords = {name: password or services.random.text(15) for name in names}
    hashes = {}
    for done, (name, chosen) in enumerate(passwords.items()):
        progress("demo accounts", done, len(passwords))
        hashes[name] = await services.hasher.hash(chosen)

    def work(unit: SystemUnit) -> bool:
        if _is_filled(unit):
            return False  # another process was faster
        if installation_values.lock(unit, "demo"):
            raise Conflict("another process filled it")
        installation_values.put(unit, "demo", "filled")
        people.write(unit, past, hashes)
        return True

    try:
        if not await services.store.write(work):
            return None
    except Conflict:  # another process filled it between the check and the insert
        return None
    await happen(past, clock, passwords[ADMIN], progress)
    return passwords


def _is_filled(unit: SystemUnit) -> bool:
    is_empty = not (unit.first(_CLIENTS) or unit.first(_ADMINS))
    # Checked last, because each statement can see more than the previous one, and another process might have filled the
    # store in the meantime.
    if installation_values.get(unit, "demo"):
        return True
    if not is_empty:
        raise NotEmpty("demo: the database isn't empty, and the demo didn't fill it")
    return False


_OTHERS = [(email, client) for client, email, _ in people.users()[1:]]


def welcome(base: str, passwords: dict[str, str]) -> str:
    """The text to show after filling the store: the addresses to open, the accounts, and commands to paste."""
    width = max(map(len, passwords))
    return "\n".join(
        [
            *_addresses(base),
            *(f"  {name.ljust(width)}  {password}" for name, password in passwords.items()),
            "",
            f"  `{ADMIN}` is the system admin; all others are users. These passwords are shown only once.",
            "",
            *_curl(base, passwords["author@acme.example"]),
            "",
        ]
    )


def welcome_again(base: str, command: str) -> str:
    """The text for a store that was filled before. ``command`` is how to call the command line here."""
    return "\n".join(
        [
            *_addresses(base),
            "The database was filled before, and its passwords were shown then. To sign in again:",
            "",
            f"  {command} user link admin@acme.example --client acme",
            f"  {command} admin reset {ADMIN} --new-password",
            "",
            "The first command prints a link to set a user's new password, the second a new "
            "password of the system admin.",
            "The other users, with their clients:",
            "",
            *(f"  {email} --client {client}" for email, client in _OTHERS),
            "",
            f"# Docs and all routes: {base}/docs/",
            "",
        ]
    )


def _addresses(base: str) -> list[str]:
    return [
        "",
        "Manifest Auth with demo data",
        "",
        f"Open {base}/sign-in in a browser and sign in as one of the users,",
        f"or open {base}{management.PATH}, the installation console, and sign in as `{ADMIN}`.",
        "",
    ]


def _curl(base: str, password: str) -> list[str]:
    json = "-H 'Content-Type: application/json'"
    auth = f"{base}/api/client/auth"
    body = f'{{"email":"author@acme.example","password":"{password}"}}'
    pick = "python3 -c 'import json,sys; print(json.load(sys.stdin)[\"data\"][sys.argv[1]])'"
    bearer = '-H "Authorization: Bearer $TOKEN"'
    return [
        "# Sign in; the cookie goes into a file, and the tokens into variables",
        f"ANSWER=$(curl -s -c cookies.txt {auth}/sign-in {json} -d '{body}'); echo \"$ANSWER\"",
        f'TOKEN=$(echo "$ANSWER" | {pick} token); REFRESH=$(echo "$ANSWER" | {pick} refreshToken)',
        "",
        "# Make requests: by token, by cookie, with GraphQL",
        f"curl -s {auth}/me {bearer}",
        f"curl -s {auth}/me -b cookies.txt",
        f'curl -s {base}/api/client/graphql {bearer} {json} -d \'{{"query":"query {{ users {{ id email }} }}"}}\'',
        "",
        "# Refresh",
        f'curl -s {auth}/refresh {json} -d "{{\\"refreshToken\\":\\"$REFRESH\\"}}"',
        "",
        "# Sign out; token, refresh token, and cookie no longer work",
        f"curl -s -X POST {auth}/sign-out {bearer}",
        "",
        f"# Docs and all routes: {base}/docs/",
    ]
