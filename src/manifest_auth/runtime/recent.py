"""Cache of recently used values with a limit in bytes."""

from __future__ import annotations

import itertools
from typing import Generic, TypeVar

V = TypeVar("V")

#: Overhead of an entry in addition to its text: the dictionary's slot, the text's header, and a value of several small
#: objects.
ENTRY_BYTES = 400


class Recent(Generic[V]):
    """Values by text. ``most_bytes``: approximate maximum of their memory. When the cache is full, it drops an eighth:
    the oldest entries that were not used since the previous time. It drops them together, because finding the oldest
    entry of a dictionary takes longer with each deleted one."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._taken = 0
        self._values: dict[str, V] = {}
        self._used: set[str] | None = None  # tracked after the cache is full for the first time

    def __contains__(self, text: str) -> bool:
        return text in self._values

    def get(self, text: str) -> V | None:
        """Returns the value, and marks it as used."""
        found = self._values.get(text)
        if self._used is not None and found is not None:
            self._used.add(text)
        return found

    def put(self, text: str, value: V) -> None:
        """Adds or replaces a value."""
        if text not in self._values:
            self._taken += len(text) + ENTRY_BYTES
        self._values[text] = value
        if self._taken > self._most:
            self._make_place()

    def drop(self, text: str) -> None:
        """Removes a value, if it exists."""
        if self._values.pop(text, None) is not None:
            self._taken -= len(text) + ENTRY_BYTES

    def _make_place(self) -> None:
        used, self._used = self._used or set(), set()
        unused = (text for text in self._values if text not in used)
        in_order = itertools.chain(unused, self._values)  # used entries are dropped only after all others
        for text in list(itertools.islice(in_order, len(self._values) // 8 + 1)):
            self.drop(text)
