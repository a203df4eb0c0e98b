"""``python -m bench.work [--store sqlite|postgresql] [--rounds N] [--scale F]``: the speed of large work lists.

Uses two stores. In one, a client has 100,000 users, 20,000 templates, and 50,000 jobs with 1,000,000 recorded values,
among 1,000 other clients. In the other, the same client is alone, with a tenth of the rows. Each query runs on both in
turn, with a different row each time, through the whole application except the network. Prints the medians and their
ratio, and how long the most expensive document that is allowed blocks the event loop. SQLite runs in this process, so
the figure is its processor time, which other load on the machine hardly affects. For PostgreSQL, it is elapsed time.
``--scale`` multiplies all row counts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import bindparam, update

from bench import work_rows as rows
from bench.readings import Broken, say
from bench.work_rows import Client, Size
from manifest_auth.app import Application
from manifest_auth.maintenance.startup import build_services
from manifest_auth.runtime import settings
from manifest_auth.store import cross_tenant, listing
from manifest_auth.store.migrate import upgrade
from manifest_auth.store.tables import users
from tests.support.application import PASSWORD
from tests.support.postgres import Postgres
from tests.support.secret_keys import SECRET_KEY, the_keys

LARGE = Size(users=100_000, templates=20_000, jobs=50_000, records=20)
OTHER = Size(users=20, templates=5, jobs=10, records=10)
OTHERS = 1000
PATH = "/api/client/graphql"
_SET_PASSWORD = cross_tenant(
    update(users).where(users.c.id == bindparam("who")).values(password_hash=bindparam("hash")),
    because="the bench gives one user of one client a password",
)
Variables = Callable[[Client, random.Random], dict[str, Any]]


class Figure(NamedTuple):
    """A query, and its variables for a different row each time."""

    title: str
    document: str
    variables: Variables = lambda _client, _dice: {}
    finds: bool = False  # whether an empty list is an error


def _after(of: str, sort: str, value: Callable[[Client, int], Any]) -> Variables:
    """Variables that start a list at a random row of the client, in the order of ``sort``."""

    def variables(client: Client, dice: random.Random) -> dict[str, Any]:
        number = dice.randrange(getattr(client.size, of))
        first = {"users": client.user, "templates": client.template, "jobs": client.job}[of]
        return {"after": listing.write_cursor(of, sort, value(client, number), first + number)}

    return variables


def _pages(of: str, inner: str, **orders: Callable[[Client, int], Any]) -> Iterator[Figure]:
    kind = {"users": "UserSort", "templates": "TemplateSort", "jobs": "JobSort"}[of]
    for sort, value in orders.items():
        document = f"query($after: String, $sort: {kind} = {sort}) {{ {of}(after: $after, sort: $sort) {{ {inner} }} }}"
        yield Figure(f"{of} by {sort}, first page", document, finds=True)
        yield Figure(f"{of} by {sort}, any page", document, _after(of, sort, value))


def _filtered(of: str, conditions: str, *, finds: bool = False) -> Figure:
    return Figure(f"{of}: {conditions}", f"{{ {of}(filter: {{{conditions}}}) {{ id }} }}", finds=finds)


def _one(title: str, document: str, of: str) -> Figure:
    def variables(client: Client, dice: random.Random) -> dict[str, Any]:
        first = {"users": client.user, "templates": client.template, "jobs": client.job}[of]
        return {"id": first + dice.randrange(getattr(client.size, of))}

    return Figure(title, f"query($id: Int!) {{ {document} }}", variables)


_JOB = """name status template { name } version { number } assignedUsers { email } createdBy { email }
    steps { title completedAt } records(first: 20) { value unit recordedBy { email } } history { move by { email } }"""
FIGURES = [
    Figure("me", "{ me { id email roles { name } } }"),
    *_pages("users", "id email roles { name }", ID=lambda client, n: client.user + n,
            EMAIL=lambda client, n: rows.email(client, n).lower(), LAST_NAME=lambda _client, n: rows.last_name(n)),
    *_pages("templates", "id name createdBy { email } publishedVersion { number }",
            ID=lambda client, n: client.template + n, NAME=lambda _client, n: rows.name(n).lower(),
            CHANGED_AT=lambda _client, n: rows.changed_at(n)),
    *_pages("jobs", "id name template { name } assignedUsers { email }", ID=lambda client, n: client.job + n,
            NAME=lambda _client, n: rows.name(n).lower(), CHANGED_AT=lambda _client, n: rows.changed_at(n)),
    _filtered("users", 'role: "Operator"', finds=True),
    _filtered("users", 'role: "User Admin"', finds=True),
    _filtered("users", 'role: "Admin"'),
    _filtered("users", "isActive: false", finds=True),
    _filtered("templates", "status: DRAFT", finds=True),
    _filtered("templates", "status: SUBMITTED"),
    _filtered("templates", "isArchived: true"),
    _filtered("jobs", "status: IN_PROGRESS", finds=True),
    _filtered("jobs", "status: CANCELED"),
    _filtered("jobs", "priority: HIGH", finds=True),
    Figure("jobs of a template", "query($id: Int) { jobs(filter: {templateId: $id}) { id } }",
           lambda client, dice: {"id": client.template + dice.randrange(client.size.templates)}),
    Figure("jobs of an asset", "query($id: ID) { jobs(filter: {assetId: $id}, sort: CHANGED_AT_DESC) { id } }",
           lambda client, dice: {"id": f"A-{dice.randrange(client.size.jobs // 5)}"}),
    Figure("jobs of a user", "query($id: Int) { jobs(filter: {assignedUserId: $id}, sort: PRIORITY) { id } }",
           lambda client, dice: {"id": client.user + dice.randrange(client.size.users)}),
    Figure("20 jobs with everything", f"{{ jobs(first: 20, sort: CHANGED_AT_DESC) {{ {_JOB} }} }}", finds=True),
    _one("a user", "user(id: $id) { email roles { name } lastSignInAt }", "users"),
    _one("a template with everything", """template(id: $id) { name createdBy { email } latestVersion { steps { title } }
         versions { number status } history { move by { email } } }""", "templates"),
    _one("a job with everything", f"job(id: $id) {{ {_JOB} }}", "jobs"),
    Figure("users: search", 'query($q: String) { users(filter: {search: $q}) { id } }',
           lambda client, dice: {"q": str(dice.randrange(10**6))}),
    Figure("users: total", "{ usersPage(first: 1) { total } }"),
]  # fmt: skip
#: A document that costs just under the limit.
MOST_EXPENSIVE = "{ jobs(first: 100) { id name status records(first: 23) { number kind value unit } } }"


class Side:
    """A store, the application on it, and a user of the client who can see everything."""

    def __init__(self, application: Application, client: Client, clock: Callable[[], float]) -> None:
        self.application, self.client, self.clock, self.token = application, client, clock, ""

    async def call(self, path: str, body: Any, **headers: str) -> Any:
        """Sends a request. Returns the parsed body of the response."""
        content, sent = json.dumps(body).encode(), list[Any]()
        lines = {
            "host": "127.0.0.1",
            "content-type": "application/json",
            "content-length": str(len(content)),
            **headers,
        }
        parts = [{"type": "http.request", "body": content, "more_body": False}]

        async def receive() -> Any:
            return parts.pop() if parts else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode(),
            "query_string": b"", "scheme": "http", "client": ("127.0.0.1", 40000), "server": ("127.0.0.1", 8080),
            "headers": [(name.encode(), value.encode()) for name, value in lines.items()],
        }  # fmt: skip
        await self.application(scope, receive, send)
        return json.loads(b"".join(message["body"] for message in sent[1:]))

    async def ask(self, document: str, variables: dict[str, Any]) -> Any:
        body = {"query": document, "variables": variables}
        answer = await self.call(PATH, body, authorization=f"Bearer {self.token}")
        if "errors" in answer:
            raise Broken(f"{document}: {answer['errors']}")
        return answer["data"]

    async def time(self, figure: Figure, variables: dict[str, Any]) -> float:
        """Measures the response time in milliseconds."""
        began = self.clock()
        [found] = (await self.ask(figure.document, variables)).values()
        took = (self.clock() - began) * 1000
        if figure.finds and not found:
            raise Broken(f"{figure.title}: nothing was found")
        return took


@contextlib.asynccontextmanager
async def side(folder: Path, url: str, clients: list[Client], client: Client) -> AsyncIterator[Side]:
    """Fills a store and serves it."""
    began = time.perf_counter()
    await upgrade(url, the_keys)
    if url.startswith("sqlite"):
        rows.fill_sqlite(url.removeprefix("sqlite:///"), clients)
    else:
        await rows.fill_postgres(url, clients)
    say(f"{len(clients)} clients, one of {client.size}: filled in {time.perf_counter() - began:.0f} s")
    given = {"MANIFEST_DATA_DIR": str(folder), "MANIFEST_DATABASE_URL": url, "MANIFEST_LOG_LEVEL": "error",
             "MANIFEST_SECRET_KEY": SECRET_KEY}  # fmt: skip
    services = build_services(settings.load(given))
    application = Application(services)
    async with application.running():
        hashed = await services.hasher.hash(PASSWORD)
        await services.store.write(lambda unit: unit.change(_SET_PASSWORD, who=client.user, hash=hashed))
        found = Side(application, client, time.process_time if url.startswith("sqlite") else time.perf_counter)
        who = {"email": rows.email(client, 0), "password": PASSWORD}
        found.token = (await found.call("/api/client/auth/sign-in", who))["data"]["token"]
        yield found


async def longest_gap(work: Any) -> float:
    """Measures the longest time that ``work`` blocks the event loop, in milliseconds of its thread's processor time."""
    worst, last = 0.0, time.thread_time()

    async def tick() -> None:
        nonlocal worst, last
        while True:
            await asyncio.sleep(0)
            worst, last = max(worst, time.thread_time() - last), time.thread_time()

    ticking = asyncio.create_task(tick())
    await work
    ticking.cancel()
    return worst * 1000


async def compare(small: Side, large: Side, rounds: int) -> None:
    say(f"\n{'':34} {'small':>9} {'large':>9}  ratio")
    for figure in FIGURES:
        dice = random.Random(figure.title)
        taken: list[tuple[float, float]] = []
        for number in range(rounds + 1):
            turn = (small, large) if number % 2 else (large, small)
            pair = {one: await one.time(figure, figure.variables(one.client, dice)) for one in turn}
            if number:  # the first run compiles and caches
                taken.append((pair[small], pair[large]))
        medians = [statistics.median(column) for column in zip(*taken, strict=True)]
        ratio = statistics.median(there / here for here, there in taken)
        say(f"{figure.title:34} {medians[0]:6.2f} ms {medians[1]:6.2f} ms  {ratio:5.2f}")
    most_expensive = Figure("", MOST_EXPENSIVE)
    times = [await large.time(most_expensive, {}) for _ in range(rounds)]
    gaps = [await longest_gap(large.ask(MOST_EXPENSIVE, {})) for _ in range(rounds)]
    say(f"\nthe most expensive document: {statistics.median(times):.0f} ms, with the loop blocked for "
        f"{statistics.median(gaps):.0f} ms at a stretch")  # fmt: skip


def shrunk(size: Size, by: float) -> Size:
    users, templates, jobs = (max(100, int(number * by)) for number in size[:3])
    return Size(users, templates, jobs, size.records)


async def run(store: str, rounds: int, scale: float) -> None:
    size = shrunk(LARGE, scale)
    others = int(OTHERS * scale)
    before = rows.layout([OTHER] * (others // 2) + [size] + [OTHER] * (others - others // 2))
    alone = rows.layout([shrunk(size, 0.1)])
    with tempfile.TemporaryDirectory(prefix="manifest-auth-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        if store == "postgresql":
            server = Postgres()
            stack.callback(server.stop)
            urls = [server.fresh_database() for _ in range(2)]
        else:
            urls = [f"sqlite:///{folder / side}.db" for side in ("small", "large")]
        async with contextlib.AsyncExitStack() as sides:
            small = await sides.enter_async_context(side(folder / "a", urls[0], alone, alone[0]))
            large = await sides.enter_async_context(side(folder / "b", urls[1], before, before[others // 2]))
            await compare(small, large, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--scale", type=float, default=1.0)
    given = parser.parse_args()
    asyncio.run(run(given.store, given.rounds, given.scale))


if __name__ == "__main__":
    main()
