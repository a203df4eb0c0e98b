"""People of the demo: their accounts, their sessions, and the clock that moves forward for them."""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar

from manifest_auth import accounts, sessions
from manifest_auth.accounts import Draft
from manifest_auth.accounts.admins import management
from manifest_auth.clients import client_lifecycle
from manifest_auth.context import ANONYMOUS, SYSTEM, Caller
from manifest_auth.permissions import Role
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.settings import DAY, MINUTE
from manifest_auth.services import RequestContext, Services
from manifest_auth.sign_in import completion, session_lifecycle
from manifest_auth.sign_in.browser_identity import BrowserCookies, Identity
from manifest_auth.sign_in.password import METHOD
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import TenantSettings
from manifest_auth.tenants.claims import domains
from manifest_auth.work import Actor, actor_of, files, job_operations, records, template_operations, templates
from manifest_auth.work.job_rules import Priority, value_of
from manifest_auth.work.versions import NewStep

ADMIN = "admin"
CLIENTS = {"acme": "Acme Corporation", "globex": "Globex Corporation"}
_NAMES = {
    Role.ADMIN: ("Ada", "Admin"),
    Role.USER_ADMIN: ("Uma", "Users"),
    Role.AUTHOR: ("Arthur", "Author"),
    Role.OPERATOR: ("Olga", "Operator"),
    Role.APPROVER: ("April", "Approver"),
    Role.PUBLISHER: ("Paul", "Publisher"),
    Role.VIEWER: ("Vera", "Viewer"),
}


def users() -> list[tuple[str, str, Role]]:
    """The client, email, and role of every demo user with a password."""
    slug = {role: role.value.lower().replace(" ", "-") for role in _NAMES}
    return [("acme", f"{slug[role]}@acme.example", role) for role in _NAMES] + [
        ("globex", "admin@globex.example", Role.ADMIN)
    ]


def write(unit: SystemUnit, services: Services, hashes: dict[str, str]) -> None:
    """Creates all clients and accounts. ``hashes`` contains the password hashes by account name."""
    by = RequestContext(services, "demo", "", "", SYSTEM)
    for identifier, name in CLIENTS.items():
        bound = unit.of(client_lifecycle.create(unit, by, identifier, name, TenantSettings()).id)
        for client, email, role in users():
            if client == identifier:
                first, last = _NAMES[role]
                draft = Draft(email, role.bit, {"first_name": first, "last_name": last, "title": role.value})
                accounts.add(bound, by, draft, hashes[email])
        # Otherwise, no email address could link an account when trying out a provider, because these domains aren't in
        # DNS.
        domains.vouch(bound, by, f"{identifier}.example", "a made-up name of the demo", services.random)
    management.create(unit, by, ADMIN, hashes[ADMIN])


DAYS = 14


class PastClock(Clock):
    """A clock that stands still unless it is moved, and never passes the time of its creation. ``present`` is the real
    clock."""

    def __init__(self, present: Clock) -> None:
        self._present = present.now_ms()
        self._now = self._present - DAYS * DAY * 1000

    def now_ms(self) -> int:
        return self._now

    def move_to(self, days_ago: float) -> None:
        """Moves the clock forward to this many days before today. An earlier time changes nothing."""
        self._now = max(self._now, self._present - int(days_ago * DAY * 1000))

    def move_by(self, minutes: int) -> None:
        self._now = min(self._now + minutes * MINUTE * 1000, self._present)


# Sessions are opened by the code that completes every sign-in, without verifying a password, which would cost a hash
# each.


T = TypeVar("T")


class Browser(NamedTuple):
    address: str
    user_agent: str


_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
# Addresses from RFC 5737 and RFC 3849, which no machine has.
CHROME = Browser("192.0.2.10", f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36")
EDGE = Browser("192.0.2.24", f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0")
FIREFOX = Browser("198.51.100.7", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0")
IPHONE = Browser(
    "2001:db8:12::5",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 "
    "Mobile/15E148 Safari/604.1",
)
TABLET = Browser(
    "203.0.113.41",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
)
HEADSET = Browser(
    "203.0.113.42",
    "Mozilla/5.0 (X11; Linux x86_64; Quest 3) AppleWebKit/537.36 (KHTML, like Gecko) OculusBrowser/40.2.0 "
    "Chrome/138.0.0.0 VR Safari/537.36",
)


def request(services: Services, browser: Browser, caller: Caller = ANONYMOUS) -> RequestContext:
    """Creates a separate request from that browser."""
    return RequestContext(services, services.random.text(12), *browser, caller=caller)


class Visit:
    """A session of a user in one browser."""

    def __init__(self, services: Services, browser: Browser, caller: Caller) -> None:
        self._services, self._browser, self._caller = services, browser, caller

    @property
    def ctx(self) -> RequestContext:
        """The context of the session's next request."""
        return request(self._services, self._browser, self._caller)

    async def act(self, work: Callable[[TenantUnit, RequestContext], T]) -> T:
        """Runs one request that writes."""
        ctx = self.ctx
        return await ctx.store.write(lambda unit: work(unit, ctx))

    async def work(self, work: Callable[[TenantUnit, Actor], T]) -> T:
        """Runs one request that changes templates or jobs."""
        return await self.act(lambda unit, ctx: work(unit, actor_of(ctx)))

    async def sign_out(self) -> None:
        await session_lifecycle.sign_out(self.ctx)


async def sign_in(services: Services, tenant_id: int, user_id: int, browser: Browser) -> Visit:
    """Opens a session."""
    ctx = request(services, browser)
    identity = Identity(METHOD, user_id, ("pwd",), authenticated_at=ctx.now)
    signed_in = await services.store.write_quickly(
        lambda unit: completion.complete_sign_in(unit, ctx, tenant_id, identity, BrowserCookies(None, ()))
    )
    principal, _ = await sessions.look_up_with_chain(services.store, signed_in.session_id)
    assert principal is not None, "it was opened just now"
    return Visit(services, browser, principal)


# The picture that the demo's job has as evidence: a gauge. It is drawn here, so that the program needs no file.


SIZE = 160  # width and height in pixels
_WHITE, _DARK, _RED = b"\xff\xff\xff", b"\x2b\x34\x3f", b"\xc6\x28\x28"
_NEEDLE = math.radians(-50)


def gauge() -> bytes:
    """Returns a PNG file."""
    rows = b"".join(b"\0" + b"".join(_pixel(x - SIZE / 2, y - SIZE / 2) for x in range(SIZE)) for y in range(SIZE))
    head = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in parts)


def _pixel(x: float, y: float) -> bytes:
    distance, angle = math.hypot(x, y), math.atan2(y, x)
    along = math.cos(angle - _NEEDLE) * distance
    if distance < 7 or (0 < along < 52 and abs(math.sin(angle - _NEEDLE)) * distance < 2):
        return _RED
    is_mark = 54 < distance < 66 and abs(math.degrees(angle) % 30 - 15) > 13 and not 60 < math.degrees(angle) < 120
    return _DARK if is_mark or 70 < distance < 76 else _WHITE


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


async def add_job(by: Visit, template_id: int, name: str, asset: str, priority: Priority, *users: int) -> int:
    """Creates a job, and returns its ID."""
    made = await by.work(
        lambda unit, actor: job_operations.add(
            unit, actor, template_id=template_id, name=name, asset_id=asset, priority=priority, assigned_user_ids=users
        )
    )
    return made.id


async def start(by: Visit, job_id: int) -> None:
    await by.work(lambda unit, actor: job_operations.start(unit, actor, job_id))


async def step(by: Visit, job_id: int, number: int, *recorded: dict[str, Any]) -> None:
    """Records these values for a step and completes it."""
    for given in recorded:
        await record(by, job_id, number, **given)
    await by.work(lambda unit, actor: records.complete_step(unit, actor, job_id, number))


async def record(by: Visit, job_id: int, number: int, **given: Any) -> None:
    await by.work(lambda unit, actor: records.add(unit, actor, job_id, number, value_of(**given)))


async def complete(by: Visit, job_id: int) -> None:
    await by.work(lambda unit, actor: job_operations.complete(unit, actor, job_id))


async def cancel(by: Visit, job_id: int, comment: str) -> None:
    await by.work(lambda unit, actor: job_operations.cancel(unit, actor, job_id, comment))


async def upload(services: Services, by: Visit) -> int:
    """Stores the picture like an upload. Returns the file's ID."""
    data, key, quota = gauge(), services.random.bytes(20).hex(), services.settings.upload_quota
    size = len(data)
    await by.work(
        lambda unit, actor: files.reserve(
            unit, actor, key=key, declared=size, largest=size, quota=quota, expires_at=actor.at + 1
        )
    )
    with TemporaryDirectory() as folder:
        path = Path(folder, "gauge.png")
        path.write_bytes(data)
        await services.files.store(path, key)
    added = await by.work(
        lambda unit, actor: files.add(
            unit,
            actor,
            key=key,
            name="gauge.png",
            media_type="image/png",
            size=size,
            sha256=hashlib.sha256(data).hexdigest(),
            quota=quota,
        )
    )
    return added.id


PUMP = (
    NewStep("Close the inlet valve", "Turn clockwise until it stops, then hang the lock on it."),
    NewStep("Read the pressure gauge", "In bar, with a picture of the gauge.", requires_evidence=True),
    NewStep("Listen for cavitation", "Anything that sounds like gravel?", requires_evidence=True),
    NewStep("Open the inlet valve"),
)
FORKLIFT = (
    NewStep("Check tires and forks", "Cuts, cracks, bent tips."),
    NewStep("Test horn and brakes", requires_evidence=True),
    NewStep("Record the hour meter reading", requires_evidence=True),
)
BOILER = (
    NewStep("Check the water level"),
    NewStep("Start the feed pump"),
    NewStep("Raise the pressure slowly", "At most 1 bar in ten minutes.", requires_evidence=True),
)
EXTINGUISHERS = (NewStep("Seal and pin are in place"), NewStep("Pressure is in the green", requires_evidence=True))
CONFINED = (NewStep("Measure oxygen", "At least 19.5 %.", requires_evidence=True), NewStep("Name the attendant"))


class Writers(NamedTuple):
    """The signed-in people who work on templates."""

    author: Visit
    approver: Visit
    publisher: Visit


async def add_template(by: Writers, name: str, about: str, steps: tuple[NewStep, ...]) -> int:
    """Creates a draft, and returns the template's ID."""
    made = await by.author.work(lambda unit, actor: template_operations.add(unit, actor, name, about, steps))
    return made.id


async def move(visit: Visit, operation: Callable[..., Any], template_id: int, *more: object) -> None:
    """Changes the state of the latest version."""
    await visit.work(
        lambda unit, actor: operation(unit, actor, template_operations.read_latest(unit, template_id), *more)
    )


async def submit(by: Writers, template_id: int, comment: str = "") -> None:
    """Submits the latest version, as the author."""
    await move(by.author, template_operations.submit, template_id, comment)


async def approve(by: Writers, template_id: int, comment: str = "") -> None:
    """Approves the latest version, as the approver."""
    await move(by.approver, template_operations.approve, template_id, comment)


async def reject(by: Writers, template_id: int, comment: str) -> None:
    """Rejects the latest version, as the approver."""
    await move(by.approver, template_operations.reject, template_id, comment)


async def publish(by: Writers, template_id: int, comment: str = "") -> None:
    """Submits, approves, and publishes the draft."""
    await submit(by, template_id)
    await approve(by, template_id, comment)
    await move(by.publisher, template_operations.publish, template_id)


async def next_version(by: Writers, template_id: int, steps: tuple[NewStep, ...]) -> None:
    """Creates and publishes a new version with other steps."""
    await move(by.author, template_operations.add_version, template_id)
    await move(by.author, template_operations.edit, template_id, 1, steps)
    await publish(by, template_id)


async def archive(by: Writers, template_id: int, comment: str) -> None:
    """Archives the template, as the publisher."""
    await by.publisher.work(
        lambda unit, actor: template_operations.archive(unit, actor, templates.get(unit, template_id), comment)
    )
