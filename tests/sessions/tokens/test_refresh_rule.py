"""The rule for refresh tokens: random histories are compared with its description."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from manifest_auth.maintenance.startup import build_services
from manifest_auth.runtime.settings import load
from manifest_auth.sessions import Chain
from manifest_auth.sessions.tokens import RefreshToken, rotate
from manifest_auth.sessions.tokens.issue import Decision, decide
from tests.support.application import FAST
from tests.support.matrix import matrix

GRACE = 10_000
TOOLS = build_services(load({**FAST, "MANIFEST_DATABASE_URL": "sqlite:////nonexistent/never-opened.db"})).tokens
NAMES = st.sampled_from(["a", "b", "c", "d", "e"])


class Story(RuleBasedStateMachine):
    """One session. Holders send any token ever issued, at any time. The test keeps a separate record of commits and
    their times, and never uses the server's decision."""

    strict = False
    tokens: Bundle[RefreshToken] = Bundle("tokens")

    @initialize(target=tokens)
    def sign_in(self) -> RefreshToken:
        self.now = 1_800_000_000_000
        self.chain = Chain("first", None, self.now)
        self.committed = ["first"]
        self.changed_at = self.now
        self.alive = True
        self.reused = False
        return RefreshToken("session", "first", "-", 0)

    def advance(self, before: str, after: str) -> bool:
        """The database's conditional update."""
        if self.chain.current != before:
            return False
        self.chain = Chain(after, before, self.now)
        return True

    @rule(seconds=st.sampled_from([0.001, 1, 9.999, 10, 10.001, 60, 86_400]))
    def wait(self, seconds: float) -> None:
        self.now += int(seconds * 1000)

    def is_good(self, shown: RefreshToken) -> bool:
        """The documented rule, based on the history of commits."""
        in_force = self.committed[-1]
        if shown.own == in_force:
            return True
        if shown.parent == in_force:
            return True
        just_now = self.now - self.changed_at <= GRACE
        before = self.committed[-2] if len(self.committed) > 1 else None
        return just_now and before is not None and before in (shown.own, shown.parent)

    @precondition(lambda self: self.alive)
    @rule(target=tokens, shown=tokens)
    def show(self, shown: RefreshToken) -> RefreshToken:
        good = self.is_good(shown)
        was = self.chain
        given_ids = rotate(TOOLS, shown, lambda: self.chain, self.advance, self.now, strict=self.strict)
        assert (given_ids is not None) == good
        if given_ids is None:
            self.alive = False  # the server ends the session
            assert self.chain == was
            return shown
        if self.chain != was:
            self.committed.append(self.chain.current)
            self.changed_at = self.now
        return RefreshToken("session", given_ids[0], given_ids[1] or "-", 0)

    @invariant()
    def the_chain_says_what_was_committed(self) -> None:
        if hasattr(self, "committed"):
            assert self.chain.current == self.committed[-1]
            assert self.chain.previous == (self.committed[-2] if len(self.committed) > 1 else None)
            assert len(set(self.committed)) == len(self.committed)


class StrictStory(Story):
    strict = True


@matrix("machine", [Story, StrictStory])
@matrix("examples", [pytest.param(100, id="few"), pytest.param(300, id="many", marks=pytest.mark.endurance)])
def test_every_history_follows_the_rule(machine: type[RuleBasedStateMachine], examples: int) -> None:
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=25))


@given(
    own=NAMES, parent=NAMES, current=NAMES, previous=st.none() | NAMES, age=st.integers(0, 30_000), strict=st.booleans()
)
def test_what_is_neither_in_force_nor_its_child_lives_ten_seconds_at_most(
    own: str, parent: str, current: str, previous: str | None, age: int, strict: bool
) -> None:
    verdict = decide(RefreshToken("s", own, parent, 0), Chain(current, previous, 0), age, GRACE, strict=strict)
    if current not in (own, parent):
        relative = previous is not None and previous in (own, parent)
        assert verdict is (Decision.AGAIN if relative and age <= GRACE else Decision.REUSED)
    else:
        assert verdict not in (Decision.AGAIN, Decision.REUSED)


@given(own=NAMES, previous=st.none() | NAMES, age=st.integers(0, 10**12))
def test_the_token_in_force_never_grows_old_by_itself(own: str, previous: str | None, age: int) -> None:
    chain = Chain(own, previous, 0)
    assert decide(RefreshToken("s", own, "p", 0), chain, age, GRACE, strict=False) is Decision.CHILD
    assert decide(RefreshToken("s", own, "p", 0), chain, age, GRACE, strict=True) is Decision.SUCCEED


def test_without_grace_nothing_replaced_is_answered_a_moment_later() -> None:
    chain = Chain("b", "a", 1000)
    for shown in (RefreshToken("s", "a", "-", 0), RefreshToken("s", "c", "a", 0)):
        assert decide(shown, chain, 1001, 0, strict=False) is Decision.REUSED


def test_a_grandparent_has_no_mercy_at_all() -> None:
    chain = Chain("c", "b", 1000)
    assert decide(RefreshToken("s", "a", "-", 0), chain, 1000, GRACE, strict=False) is Decision.REUSED


def test_of_all_children_exactly_one_commits_in_any_order() -> None:
    class Row:
        chain = Chain("first", None, 0)
        commits = 0

        def advance(self, before: str, after: str) -> bool:
            if self.chain.current != before:
                return False
            self.chain = Chain(after, before, 0)
            self.commits += 1
            return True

    row = Row()
    first = RefreshToken("s", "first", "-", 0)
    children = []
    for _ in range(20):
        ids = rotate(TOOLS, first, lambda: row.chain, row.advance, 0, strict=False)
        assert ids is not None
        children.append(RefreshToken("s", ids[0], ids[1] or "-", 0))
    assert row.commits == 0
    answers = [rotate(TOOLS, child, lambda: row.chain, row.advance, 0, strict=False) for child in children]
    assert row.commits == 1
    assert all(answer is not None for answer in answers)
    assert row.chain == Chain(children[0].own, "first", 0)


def test_a_lost_race_is_judged_by_what_the_winner_left() -> None:
    """Another child commits between the check and the update, so the loser is a sibling, and gets the same result."""
    looks = [Chain("first", None, 0), Chain("winner", "first", 0)]
    ids = rotate(
        TOOLS,
        RefreshToken("s", "loser", "first", 0),
        lambda: looks.pop(0) if len(looks) > 1 else looks[0],
        lambda before, after: False,
        0,
        strict=False,
    )
    assert ids == ("winner", "first")
