"""``python -m bench.pages [--renders N] [--rounds N] [--seconds S]``: the cost of pages and limits of the same run.

Compares the processor time of a page, through the whole application except the network, with a read of the caller's
account; the first page after a start with the import of the page modules; memory after showing every page once with the
idle server; and bearer reads during 20 pages per second with the same reads alone. Uses SQLite and one process.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import http.cookiejar
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from lxml import html

from bench import machine
from bench.driver import Driver, Request, finish
from bench.readings import Broken, say
from bench.servers import Server, environment, free_port
from tests.support import run_folder
from tests.support.application import running
from tests.support.routes import PAGES, filled
from tests.support.server import DEMO_PASSWORD
from tests.support.visitor import Visitor

ADMIN = {"email": "admin@acme.example", "password": DEMO_PASSWORD}
PAGES_A_SECOND = 20
#: Takes as long as the ``doctor`` checks that it shows.
DOCTORS = "/installation/health"
#: The host that ``drive.c`` sends, whatever the port.
PUBLIC = "http://127.0.0.1"
_HOST = {"Host": "127.0.0.1"}


def addresses() -> list[str]:
    """The addresses of all page routes that render a template."""
    return [filled(route.path, client="acme", id=1) for route in PAGES if route.method == "GET" and route.template]


async def renders(folder: Path, count: int) -> None:
    """Measures the processor time of pages and of reads in turn, in milliseconds."""
    url = f"sqlite:///{folder / 'renders.db'}"
    async with running(url) as app:
        visitor = await (await Visitor(app).signed_in(ADMIN["email"])).system_admin()
        token = (await app.sign_in(ADMIN["email"])).data["token"]
        shown = [path for path in addresses() if (await visitor.get(path)).status == 200 and path != DOCTORS]
        pages, reads = [], []
        for number in range(count):
            began = time.process_time()
            await visitor.get(shown[number % len(shown)])
            pages.append((time.process_time() - began) * 1000)
            began = time.process_time()
            await app.me(token=token)
            reads.append((time.process_time() - began) * 1000)
    page, read = statistics.median(pages), statistics.median(reads)
    say(
        f"a page: median {page:.2f} ms of processor time (2 at most), worst {max(pages):.2f} (5 at most); "
        f"a read of one's own account: median {read:.2f}, worst {max(reads):.2f}; ratio {page / read:.2f}, "
        f"of the worst {max(pages) / max(reads):.2f}; {count} of each, over {len(shown)} pages, with what asks for them"
    )


class Browser:
    """Keeps cookies and submits forms to a server in another process."""

    def __init__(self, base: str) -> None:
        self._base = base
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def get(self, path: str) -> str:
        try:
            with self._opener.open(urllib.request.Request(self._base + path, headers=_HOST), timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as refused:
            if refused.code >= 500:
                raise Broken(f"{path} was answered with {refused.code}") from None
            return ""

    def submit(self, path: str, action: str, **typed: str) -> None:
        """Submits the form of a page that posts to ``action``. Raises Broken if it is rejected."""
        page: Any = html.fromstring(self.get(path))
        [form] = page.xpath(f"//form[@action='{action}']")
        fields = {each.get("name"): each.get("value", "") for each in form.xpath(".//input")}
        body = urllib.parse.urlencode(fields | typed).encode()
        try:
            request = urllib.request.Request(self._base + action, body, _HOST | {"Origin": PUBLIC})
            self._opener.open(request, timeout=30).close()
        except urllib.error.HTTPError as refused:
            raise Broken(f"{action} was answered with {refused.code}") from None


def demo(folder: Path) -> tuple[Server, str]:
    """Runs a server with demo data. Returns its address."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    settings = {
        **environment(folder, f"sqlite:///{folder / 'demo.db'}"),
        "MANIFEST_DEMO_PASSWORD": DEMO_PASSWORD,
        "MANIFEST_PUBLIC_URL": PUBLIC,
    }
    command = [sys.executable, "-m", "manifest_auth", "serve", "--demo", "--port", str(port)]
    server = Server(command, "/healthz", settings, folder / "demo.log")
    server.port = port
    return server, base


def seconds_of(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def first_page(server: Server, base: str, rounds: int) -> None:
    """Measures the milliseconds until the first page after a start, and for the same page again."""
    firsts, agains, imports = [], [], []
    for _ in range(rounds):
        server.start()
        times = []
        for _ in range(2):
            began = time.perf_counter()
            Browser(base).get("/sign-in?client=acme")
            times.append((time.perf_counter() - began) * 1000)
        server.stop()
        firsts.append(times[0])
        agains.append(times[1])
        imports.append((seconds_of("import jinja2, gettext") - seconds_of("pass")) * 1000)
    first, limit = statistics.median(firsts), statistics.median(imports)
    say(
        f"the first page after a start: {first:.0f} ms (250 at most); the same again {statistics.median(agains):.1f}; "
        f"the import of Jinja2 alone {limit:.0f}; ratio {first / limit:.2f}; {rounds} starts"
    )


def memory(server: Server, base: str) -> None:
    """Measures the memory of the process that renders pages, in MB, before and after each page is shown once. Processes
    that check passwords grow when they get their first one."""
    server.start()
    _session(server.port)
    time.sleep(1)
    idle = machine.memory_mb(server.pid, alone=True)
    browser = Browser(base)
    browser.submit("/sign-in?client=acme", "/sign-in/password", **ADMIN)
    browser.submit("/installation/sign-in", "/installation/sign-in", username="admin", password=DEMO_PASSWORD)
    for path in addresses():
        browser.get(path)
    grown = machine.memory_mb(server.pid, alone=True) - idle
    say(f"memory: {idle:.1f} MB before the first page, {grown:.1f} more after each was shown once (14.7 at most, which "
        f"are 14 MiB); ratio {grown / idle:.2f}")  # fmt: skip


def reads(server: Server, folder: Path, rounds: int, seconds: float) -> None:
    """Measures reads per second and their p99, with and without concurrent pages, in turn."""
    answer, cookie = _session(server.port)
    bearer = {"Authorization": f"Bearer {answer}"}
    read = Request("GET", "/api/client/auth/me", bearer)
    shown = Request("GET", "/account", {"Cookie": f"session={cookie}"})
    driver = Driver(folder)
    driver.drive(server.port, [read], clients=8, seconds=seconds)
    rates, tails = [], []
    for _ in range(rounds):
        alone = driver.drive(server.port, [read], clients=8, seconds=seconds)
        beside = driver.start(server.port, [shown], clients=2, seconds=seconds + 1, per_second=PAGES_A_SECOND)
        with_pages = driver.drive(server.port, [read], clients=8, seconds=seconds)
        finish(beside)
        rates.append(with_pages.value / alone.value)
        tails.append(with_pages.p99 / alone.p99)
    say(f"reads by bearer while {PAGES_A_SECOND} pages a second are shown: {statistics.median(rates):.2f} × of those "
        f"without (0.95 at least), p99 {statistics.median(tails):.2f} × (1.25 at most); {rounds} rounds")  # fmt: skip


def _session(port: int) -> tuple[str, str]:
    """Returns an access token and a session cookie."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/api/client/auth/sign-in", json.dumps(ADMIN), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    lines = [value for name, value in answer.getheaders() if name.lower() == "set-cookie"]
    cookies = dict(line.partition(";")[0].split("=", 1) for line in lines)
    return json.loads(answer.read())["data"]["token"], cookies["session"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--renders", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one measured slice of reads")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_folder.begin()
        try:
            asyncio.run(renders(folder, given.renders))
        finally:
            run_folder.end()
        server, base = demo(folder)
        try:
            first_page(server, base, given.rounds)
            memory(server, base)
            reads(server, folder, given.rounds, given.seconds)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
