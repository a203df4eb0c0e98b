"""Test data: the people who have an account at a provider."""

from __future__ import annotations

from dataclasses import dataclass, replace

PASSWORD = "correct horse battery"
#: Members of this group can't use our server, and the provider rejects them.
BARRED = "Barred"


@dataclass(frozen=True)
class Person:
    """A person as known to their company's directory."""

    login: str
    first_name: str
    last_name: str
    email: str
    groups: tuple[str, ...] = ()
    password: str = PASSWORD

    def moved_to(self, *groups: str) -> Person:
        """The same person in other groups."""
        return replace(self, groups=groups)


ALICE = Person("alice", "Alice", "Liddell", "alice@looking-glass.example", ("Everyone", "Operators"))
BOB = Person("bob", "Bob", "Builder", "bob@looking-glass.example", ("Everyone",))
ZOE = Person("zoë", "Zoë", "Ünïcode", "zoe@looking-glass.example", ("Operators",))
PEOPLE = (ALICE, BOB, ZOE)
