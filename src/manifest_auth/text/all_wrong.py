"""Collects what several checks refuse, so that one refusal names every member that is wrong."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from manifest_auth.errors import ValidationError
from manifest_auth.text.models import MOST


class AllWrong:
    """``with AllWrong() as each:`` around checks, and ``with each:`` around every one of them, which may be within
    another one. What they refuse is raised at the end, as one ValidationError with the details of all, 20 at most; a
    single refusal is raised as it is. Any other exception goes through at once.

    What comes after a refused check in its own ``with each:`` is not run.
    """

    def __init__(self) -> None:
        self._refused: list[ValidationError] = []
        self._depth = 0

    def __enter__(self) -> Self:
        self._depth += 1
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        self._depth -= 1
        if isinstance(error, ValidationError):
            self._refused.append(error)
        elif error is not None:
            return False
        if not self._depth:
            self._raise()
        return isinstance(error, ValidationError)

    def _raise(self) -> None:
        if len(self._refused) == 1:
            raise self._refused[0]
        if self._refused:
            details = [one for error in self._refused for one in error.details or (("body", error.message),)]
            raise ValidationError(details=list(dict.fromkeys(details))[:MOST])
