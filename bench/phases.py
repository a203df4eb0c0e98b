"""Measurements on one store, phase by phase; each round measures every part of a phase once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench import driver
from bench.driver import Driver, Request, Session, ask, finish
from bench.machine import CORES, memory_mb
from bench.readings import Broken, Reading, Readings, in_turn, limit
from bench.servers import Server

CLIENTS = (1, 8, 32)
READERS = 16
PACE = 200  # reads per second, sent on a fixed schedule


@dataclass
class Bench:
    """The run of one store."""

    ours: Server
    bare: Server
    driver: Driver
    address: str
    on_postgres: bool
    seconds: float
    rounds: int
    tokens: Sequence[str] = ()  # of sessions that haven't been used yet
    memory: dict[str, float] = field(default_factory=dict)

    def starts(self) -> Readings:
        """Measures starts. Leaves both servers running."""

        def once(server: Server) -> Reading:
            server.stop()
            return Reading(server.start())

        slices = {"manifest-auth": lambda: once(self.ours), "bare server": lambda: once(self.bare)}
        return in_turn("start, s", slices, self.rounds + 1)

    def check(self) -> None:
        """Checks that ``me`` names the user who signed in, and that requests fail after sign-out. Raises Broken."""
        port = self.ours.port
        if (status := ask(port, driver.sign_in(0, "wrong-password"))[0]) != 401:
            raise Broken(f"a wrong password was answered with {status}")
        session = driver.sessions(port, 1)[0]
        reads = [make(session) for make in (driver.me_by_bearer, driver.me_by_cookie, driver.me_by_graphql)]
        for request in reads:
            status, body, _ = ask(port, request)
            if status != 200 or session.email not in str(body):
                raise Broken(f"{request.method} {request.path} was answered with {status}: {body}")
        ask(port, driver.sign_out(session))
        for request in [*reads, driver.refresh(session)]:
            if (status := ask(port, request)[0]) != 401:
                raise Broken(f"{request.method} {request.path} was answered with {status} after sign-out")

    def sign_ins(self) -> Readings:
        requests = [driver.sign_in(number) for number in range(driver.USERS)]
        slices: dict[str, Callable[[], Reading]] = {}
        for count in CLIENTS:
            slices[f"sign-in, {count} clients"] = self._signing_in(requests, count)
            slices[f"hash pool, {count} at once"] = self._hashing("pool", count)
        slices[f"library, same build, {CORES} threads"] = self._hashing("library", CORES)
        slices[f"library, wheel, {CORES} threads"] = self._hashing("wheel", CORES)
        return in_turn("sign-in/s", slices, self.rounds)

    def reads(self) -> Readings:
        found = driver.sessions(self.ours.port, 2 * READERS)
        slices = {
            "me by bearer": self._reading([driver.me_by_bearer(s) for s in found]),
            "bare Starlette route": self._reading([Request("GET", "/me", found[0].bearer)], self.bare),
            "me by cookie": self._reading([driver.me_by_cookie(s) for s in found]),
            "bare ASGI answer": self._reading([Request("GET", "/hello", found[0].bearer)], self.bare),
            "me by GraphQL": self._reading([driver.me_by_graphql(s) for s in found]),
        }
        return in_turn("read/s", slices, self.rounds)

    def refreshes(self) -> Readings:
        def chains() -> Reading:
            requests = [driver.refresh(s) for s in driver.sessions(self.ours.port, READERS)]
            return self.driver.drive(
                self.ours.port, requests, clients=READERS, seconds=self.seconds, member="refreshToken"
            )

        slices = {"refresh, 16 chains": chains}
        for connections in (1, 8) if self.on_postgres else (1,):
            slices[f"commits, {connections} connection{'s'[: connections - 1]}"] = self._committing(connections)
        return in_turn("refresh/s", slices, self.rounds)

    def isolation(self) -> Readings:
        """Measures scheduled reads, sign-ins, and both together."""
        reads = [driver.me_by_bearer(s) for s in driver.sessions(self.ours.port, 2 * READERS)]
        users = [driver.sign_in(number) for number in range(driver.USERS)]
        port, seconds = self.ours.port, 2 * self.seconds
        loaded: list[Reading] = []

        def paced(span: float) -> Reading:
            return self.driver.drive(port, reads, clients=READERS, seconds=span, per_second=PACE)

        def both() -> Reading:
            storm = self.driver.start(port, users, clients=READERS, seconds=seconds + 0.6)
            try:
                reading = paced(seconds)
            finally:
                loaded.append(finish(storm))
            return reading

        slices: dict[str, Callable[[], Reading]] = {
            "paced reads alone": lambda: paced(seconds),
            "sign-ins alone": lambda: self.driver.drive(port, users, clients=READERS, seconds=seconds),
            "paced reads under sign-ins": both,
            "sign-ins under paced reads": lambda: loaded.pop(),
        }
        return in_turn("isolation", slices, self.rounds)

    def many_sessions(self) -> Readings:
        """Measures reads of a few sessions, and of many: once each after a start, repeatedly, and while other sessions
        refresh. Each refresh commits, and each commit is announced."""
        port, few = self.ours.port, [driver.me_by_bearer(s) for s in driver.sessions(self.ours.port, 2 * READERS)]
        many = [Request("GET", f"{driver.AUTH}/me", {"Authorization": f"Bearer {token}"}) for token in self.tokens]

        def first() -> Reading:
            self.ours.stop()
            self.ours.start()
            self.driver.drive(port, few, clients=READERS, seconds=self.seconds)
            return self.driver.drive(port, many, clients=READERS, seconds=self.seconds, warm=0)

        def again() -> Reading:
            self.driver.drive(port, many, clients=READERS, seconds=len(many) / 5000, warm=0)  # all of them once
            return self.driver.drive(port, many, clients=READERS, seconds=self.seconds)

        def beside_writes() -> Reading:
            chains = [driver.refresh(s) for s in driver.sessions(port, 4)]
            writes = self.driver.start(
                port, chains, clients=4, seconds=self.seconds + 0.6, per_second=PACE, member="refreshToken"
            )
            try:
                return self.driver.drive(port, many, clients=READERS, seconds=self.seconds)
            finally:
                finish(writes)

        slices = {
            f"{len(many):,} sessions, each once": first,
            "32 sessions": lambda: self.driver.drive(port, few, clients=READERS, seconds=self.seconds),
            f"{len(many):,} sessions": again,
            f"{len(many):,} sessions beside {PACE} refreshes/s": beside_writes,
        }
        return in_turn("read/s", slices, self.rounds)

    # one slice each

    def _signing_in(self, requests: Sequence[Request], clients: int) -> Callable[[], Reading]:
        def measure() -> Reading:
            sample = threading.Timer(0.3 + self.seconds * 0.7, self._weigh)
            if clients == max(CLIENTS):
                sample.start()
            reading = self.driver.drive(self.ours.port, requests, clients=clients, seconds=self.seconds)
            if clients == max(CLIENTS):
                sample.join()
            return reading

        return measure

    def _weigh(self) -> None:
        self.memory["loaded"] = max(self.memory.get("loaded", 0.0), memory_mb(self.ours.pid))

    def _hashing(self, kind: str, at_once: int) -> Callable[[], Reading]:
        return lambda: limit("bench.hashes", kind, str(at_once), str(self.seconds))

    def _committing(self, connections: int) -> Callable[[], Reading]:
        return lambda: limit("bench.commits", self.address, str(connections), str(self.seconds))

    def _reading(self, requests: Sequence[Request], server: Server | None = None) -> Callable[[], Reading]:
        port = (server or self.ours).port
        return lambda: self.driver.drive(port, requests, clients=READERS, seconds=self.seconds)


def warm_up(bench: Bench, seconds: float) -> None:
    """Sends unmeasured reads to both servers before the first measurement."""
    found: list[Session] = driver.sessions(bench.ours.port, READERS)
    requests = [driver.me_by_bearer(session) for session in found]
    bench.driver.drive(bench.ours.port, requests, clients=READERS, seconds=seconds)
    bench.driver.drive(bench.bare.port, [Request("GET", "/me", {})], clients=READERS, seconds=seconds)
