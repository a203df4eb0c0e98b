"""No process uses cached data more than 0.8 seconds after a change was announced, in any order of commits and crashes.

It models PostgreSQL with overlapping transactions, and a process that reads, caches, and sends heartbeats.
"""

from __future__ import annotations

import math
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_auth.store import RESET, Announcement
from manifest_auth.store.postgres_beat import VALID_S, CacheValidity

KEYS = "abc"
A_MOMENT = 0.02
WALKS, STEPS = 10, 300


class Installation:
    """One server and one process. Every step takes a moment, and does nothing if it isn't possible."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = 1000.0
        self.next_xid = self.next_id = 1
        self.running: dict[int, dict[int, str]] = {}  # announcements of open transactions, by ID
        self.rows: dict[int, tuple[int, str]] = {}  # committed rows by ID, with their transaction
        self.changed_at: dict[str, list[float]] = {key: [] for key in KEYS}  # times of committed changes
        self.has_node = False
        self.belief = CacheValidity(lambda: self.now)
        self.sent: tuple[float, int] | None = None  # a heartbeat in progress, and its position
        self.answer: tuple[int, bool, dict[int, Announcement]] | None = None
        self.memory: dict[str, int] = {}  # by key: the number of committed changes when it was read
        self.generation = 0
        self.reading: tuple[str, int, int, bool] | None = None

    def step(self) -> None:
        """Take one step. Steps that clear the whole cache are rare, or it would always be empty."""
        self.now += A_MOMENT
        rarely = (self.server_crashes, self.node_is_swept, self.old_rows_are_swept, self.beat_fails)
        often = (self.announce, self.announce_more, self.end, self.end, self.beat, self.beat, self.pass_time)
        self.random.choice(rarely if self.random.random() < 0.005 else (*often, self.read, self.read, self.read))()
        if self.belief.holds():
            for key, changes in self.memory.items():
                for at in self.changed_at[key][changes:]:
                    assert self.now < at + VALID_S or math.isclose(self.now, at + VALID_S)

    def announce(self) -> None:
        self.running[self.next_xid] = {}
        self.next_xid += 1
        self.announce_more()

    def announce_more(self) -> None:
        if self.running:
            self.random.choice(list(self.running.values()))[self.next_id] = self.random.choice(KEYS)
            self.next_id += 1

    def end(self) -> None:
        """Commit a transaction, or roll it back."""
        if self.running:
            xid = self.random.choice(list(self.running))
            announced = self.running.pop(xid)
            for number, key in announced.items() if self.random.random() < 0.7 else ():
                self.rows[number] = (xid, key)
                self.changed_at[key].append(self.now)

    def server_crashes(self) -> None:
        self.running.clear()
        self.beat_fails()

    def node_is_swept(self) -> None:
        self.has_node = False

    def old_rows_are_swept(self) -> None:
        """Pause the process for longer than rows are kept, with or without a heartbeat in progress."""
        self.now += 1300
        self.rows.clear()

    def pass_time(self) -> None:
        self.now += self.random.choice((0.0, 0.1, 0.2))

    def beat(self) -> None:
        """Send a heartbeat, let the server process it, or deliver the response."""
        if self.sent is None:
            self.sent = (self.now, self.belief.since)
        elif self.answer is None:
            oldest = min(self.running, default=self.next_xid)
            shown = {n: Announcement("session", key) for n, (xid, key) in self.rows.items() if xid >= self.sent[1]}
            self.answer = (oldest, self.has_node, shown)
            self.has_node = True  # inserted by the next statement
        else:
            for announcement in self.belief.take(*self.answer, self.sent[0])[1]:
                self.generation += 1
                if announcement == RESET:
                    self.memory.clear()
                else:
                    self.memory.pop(announcement.key, None)
            self.sent = self.answer = None

    def beat_fails(self) -> None:
        self.sent = self.answer = None
        self.belief.end()

    def read(self) -> None:
        """Read the store for a request, or cache the result, as `sessions/principals.py` does."""
        if self.reading is None:
            key = self.random.choice(KEYS)
            self.reading = (key, len(self.changed_at[key]), self.generation, self.belief.holds())
            return
        key, changes, generation, held = self.reading
        if held and self.generation == generation and self.belief.holds():
            self.memory.setdefault(key, changes)
        self.reading = None


@settings(max_examples=100, database=None)
@given(st.randoms(use_true_random=False))
def test_nothing_is_remembered_for_longer_in_any_order(random: Random) -> None:
    for _ in range(WALKS):
        installation = Installation(Random(random.getrandbits(64)))
        for _ in range(STEPS):
            installation.step()


def test_lower_numbers_of_transactions_are_another_servers() -> None:
    belief = CacheValidity(lambda: 0.5)
    assert belief.take(70, True, {}, 0.4) == ("start", [RESET])
    assert belief.take(70, True, {}, 0.4) == (None, [])
    assert belief.take(69, True, {}, 0.4) == ("server", [RESET])


def test_nothing_holds_before_the_first_beat_or_after_one_that_failed() -> None:
    belief = CacheValidity(lambda: 0.5)
    assert not belief.holds()
    belief.take(70, True, {}, 0.4)
    assert belief.holds()
    belief.end()
    assert not belief.holds()
    assert belief.take(70, True, {}, 0.4) == ("gap", [RESET])
