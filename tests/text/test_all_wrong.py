"""Failed checks within ``ErrorCollector`` are reported together, and other exceptions propagate."""

from __future__ import annotations

import pytest

from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.text.models import ErrorCollector


def refuse(name: str) -> None:
    raise ValidationError(details=[(name, "wrong")], reason="of its own")


def test_all_that_is_rejected_is_told_in_one() -> None:
    with pytest.raises(ValidationError) as caught, ErrorCollector() as each:  # noqa: PT012
        with each:
            refuse("a")
        with each:
            pass
        with each, ErrorCollector() as inner:
            with inner:
                refuse("b")
            with inner:
                refuse("c")
        with each:
            raise ValidationError("Some sentence")
    assert caught.value.details == (("a", "wrong"), ("b", "wrong"), ("c", "wrong"), ("body", "Some sentence"))


def test_a_refusal_alone_is_raised_as_it_is() -> None:
    with pytest.raises(ValidationError) as caught, ErrorCollector() as each, each:
        refuse("a")
    assert caught.value.reason == "of its own"


def test_another_exception_goes_through_immediately() -> None:
    with pytest.raises(NotFound), ErrorCollector() as each:  # noqa: PT012
        with each:
            refuse("a")
        with each:
            raise NotFound


def test_twenty_are_told_at_most_and_each_once() -> None:
    with pytest.raises(ValidationError) as caught, ErrorCollector() as each:  # noqa: PT012
        for number in (*range(30), 0):
            with each:
                refuse(f"{number}")
    assert [name for name, _ in caught.value.details] == [f"{number}" for number in range(20)]


def test_nothing_is_raised_where_nothing_is_rejected() -> None:
    with ErrorCollector() as each:
        with each:
            pass
        found = 1
    assert found
