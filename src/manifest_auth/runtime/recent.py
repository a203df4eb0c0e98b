"""A cache that keeps what was used last, and is bounded in bytes."""

from __future__ import annotations

from typing import Generic, TypeVar

V = TypeVar("V")

#: Of an entry beside its text: the dictionary's slot, the text's header, and a value of some small objects.
ENTRY_BYTES = 400


class Recent(Generic[V]):
    """Values by text. ``most_bytes``: about what they take in memory at most.

    There are two dictionaries, and new entries go into the first. When it holds half of the bytes, it replaces the
    second, whose entries go; one of the second that is used returns to the first. So an entry that is used is kept, and
    nothing is ever looked for: in a dictionary whose oldest entries are deleted one by one, finding the next takes
    longer with each.
    """

    def __init__(self, most_bytes: int) -> None:
        self._half = most_bytes // 2
        self._used = 0
        self._new: dict[str, V] = {}
        self._old: dict[str, V] = {}

    def __contains__(self, text: str) -> bool:
        return text in self._new or text in self._old

    def get(self, text: str) -> V | None:
        """The value, which then counts as used now."""
        found = self._new.get(text)
        if found is None and (found := self._old.get(text)) is not None:
            self.put(text, found)
        return found

    def put(self, text: str, value: V) -> None:
        """Adds or replaces a value."""
        if self._used >= self._half:
            self._old, self._new, self._used = self._new, {}, 0
        self._new[text] = value
        self._used += len(text) + ENTRY_BYTES

    def drop(self, text: str) -> None:
        """Removes a value, if it is there."""
        self._new.pop(text, None)
        self._old.pop(text, None)
