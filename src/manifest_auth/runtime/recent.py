"""A cache of what was added last, bounded in bytes."""

from __future__ import annotations

import itertools
from typing import Generic, TypeVar

V = TypeVar("V")

#: Of an entry beside its text: the dictionary's slot, the text's header, and a value of some small objects.
ENTRY_BYTES = 400


class Recent(Generic[V]):
    """Values by text. ``most_bytes``: about what they take in memory at most.

    When it is full, the eighth that was added first goes, used or not: what is used is then made anew, once in so many
    others. It goes at once, since finding the oldest entry of a dictionary takes longer with each that was deleted.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._used = 0
        self._values: dict[str, V] = {}
        #: The value, or None.
        self.get = self._values.get

    def __contains__(self, text: str) -> bool:
        return text in self._values

    def put(self, text: str, value: V) -> None:
        """Adds or replaces a value."""
        if text not in self._values:
            self._used += len(text) + ENTRY_BYTES
        self._values[text] = value
        if self._used > self._most:
            for oldest in list(itertools.islice(self._values, len(self._values) // 8 + 1)):
                self.drop(oldest)

    def drop(self, text: str) -> None:
        """Removes a value, if it is there."""
        if self._values.pop(text, None) is not None:
            self._used -= len(text) + ENTRY_BYTES
