"""A matrix is one test: its cells run one after the other, and each wrong cell is reported with its name."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import pytest
from _pytest.mark.structures import ParameterSet

#: Seconds for all cells of one test. It ends a test that hangs, and says nothing about speed.
_LIMIT = 900
_SOME, _OTHERS = "some", "others"
_Test = TypeVar("_Test", bound=Callable[..., Any])


class _Value(NamedTuple):
    arguments: dict[str, Any]
    label: str
    is_long: bool  # left to ./dev endurance


def matrix(
    names: str | Sequence[str], values: Iterable[Any], ids: Callable[[Any], object] | Sequence[str] | None = None
) -> Callable[[_Test], _Test]:
    """Run the test for each of ``values``, as ``pytest.mark.parametrize`` does, but within one test.

    Takes what ``parametrize`` takes: one name or several, values or ``pytest.param``, labels. Two of them make the
    product of both. The cells share the fixtures of the test. A cell that has the mark ``endurance`` is left to
    ``./dev endurance``. Each wrong cell is a failed subtest of its own.
    """
    axis = list(_values(names, values, ids))
    assert axis, f"no {names}"

    def decorate(test: _Test) -> _Test:
        axes: list[list[_Value]] | None = getattr(test, "axes", None)
        if axes is None:
            test = _looping(test, axes := [])
        if any(value.is_long for value in axis) and not any(value.is_long for each in axes for value in each):
            test = pytest.mark.parametrize("cells", [_SOME, pytest.param(_OTHERS, marks=pytest.mark.endurance)])(test)
            _sign(test, lambda given: [*given, inspect.Parameter("cells", inspect.Parameter.KEYWORD_ONLY)])
        axes.insert(0, axis)
        taken = axis[0].arguments.keys()
        _sign(test, lambda given: [each for each in given if each.name not in taken])
        return test

    return decorate


def _values(names: str | Sequence[str], values: Iterable[Any], ids: Any) -> Iterator[_Value]:
    named = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    for place, value in enumerate(values):
        given = ParameterSet.extract_from(value, force_tuple=len(named) == 1)
        marks = {mark.name for mark in given.marks}
        assert marks <= {"endurance"}, marks
        label = given.id or (ids[place] if isinstance(ids, Sequence) else None)
        texts = [str(ids(each)) if callable(ids) else _text(each) for each in given.values]
        yield _Value(dict(zip(named, given.values, strict=True)), str(label or ", ".join(texts)), bool(marks))


def _text(value: object) -> str:
    text = value if isinstance(value, str) else getattr(value, "__name__", None) or repr(value)
    return text if len(text) <= 120 else f"{text[:120]} …"


def _sign(test: Any, change: Callable[[list[inspect.Parameter]], list[inspect.Parameter]]) -> None:
    """Give the test the parameters that pytest is to fill."""
    signature = inspect.signature(test)
    test.__signature__ = signature.replace(parameters=change(list(signature.parameters.values())))


def _looping(test: Any, axes: list[list[_Value]]) -> Any:
    """The test over all cells of ``axes``, which is filled later."""

    def chosen(cells: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
        for cell in itertools.product(*axes):
            if cells is None or (cells == _OTHERS) == any(value.is_long for value in cell):
                arguments = {name: value for each in cell for name, value in each.arguments.items()}
                yield ", ".join(value.label for value in cell), arguments

    if inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        async def looped(*, subtests: pytest.Subtests, cells: str | None = None, **fixtures: Any) -> None:
            for label, arguments in chosen(cells):
                with subtests.test(label):
                    await test(**fixtures, **arguments)
    else:

        @functools.wraps(test)
        def looped(*, subtests: pytest.Subtests, cells: str | None = None, **fixtures: Any) -> None:
            for label, arguments in chosen(cells):
                with subtests.test(label):
                    test(**fixtures, **arguments)

    looped.axes = axes  # type: ignore[attr-defined]
    given = list(inspect.signature(test).parameters.values())
    keyword = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in given]
    subtests = inspect.Parameter("subtests", inspect.Parameter.KEYWORD_ONLY)
    looped.__signature__ = inspect.Signature([*keyword, subtests])  # type: ignore[attr-defined]
    return pytest.mark.timeout(_LIMIT)(looped)
