"""A matrix runs its cells one after the other within one test, and reports each failed cell by name."""

from __future__ import annotations

import inspect
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import pytest
from _pytest.mark.structures import ParameterSet

#: Seconds for all cells of a test without its own ``timeout``. It ends tests that hang, and doesn't measure speed.
_LIMIT = 900
_SOME, _OTHERS = "some", "others"
_Test = TypeVar("_Test", bound=Callable[..., Any])


class _Value(NamedTuple):
    arguments: dict[str, Any]
    label: str
    is_long: bool  # runs only in ./dev endurance


def matrix(
    names: str | Sequence[str], values: Iterable[Any], ids: Callable[[Any], object] | Iterable[object] | None = None
) -> Callable[[_Test], _Test]:
    """Run the test for each of ``values``, as ``pytest.mark.parametrize`` does, but within one test.

    Takes the arguments of ``parametrize``: one or more names, values or ``pytest.param``, and labels. Stacking two
    makes their product. Like a test, each cell gets new function-scoped fixtures. Cells with the mark ``endurance`` run
    only in ``./dev endurance``. Each failed cell is reported as a failed subtest.
    """
    axis = list(_values(names, values, ids))
    assert axis, f"no {names}"
    labels = Counter(value.label for value in axis)
    for place, value in enumerate(axis):
        if labels[value.label] > 1:
            axis[place] = value._replace(label=f"{value.label} ({place})")

    def decorate(test: _Test) -> _Test:
        if not hasattr(test, "axes"):
            vars(test)["axes"] = []
            if not any(mark.name == "timeout" for mark in getattr(test, "pytestmark", ())):
                test = pytest.mark.timeout(_LIMIT)(test)
        axes: list[list[_Value]] = vars(test)["axes"]
        if any(value.is_long for value in axis) and not any(value.is_long for each in axes for value in each):
            test = pytest.mark.parametrize("cells", [_SOME, pytest.param(_OTHERS, marks=pytest.mark.endurance)])(test)
            _sign(test, lambda given: [*given, inspect.Parameter("cells", inspect.Parameter.KEYWORD_ONLY)])
        axes.insert(0, axis)
        taken = axis[0].arguments.keys()
        _sign(test, lambda given: [each for each in given if each.name not in taken])
        return test

    return decorate


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cells", metavar="TEXT", default="", help="of matrices, only cells whose name has that text")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the cells of a matrix."""
    axes = getattr(pyfuncitem.function, "axes", None)
    if axes is None:
        return None
    test = pyfuncitem.obj  # for an asynchronous test, the wrapper that runs it on the loop of its fixtures
    subtests: pytest.Subtests = pyfuncitem._request.getfixturevalue("subtests")
    wanted = pyfuncitem.config.getoption("--cells")
    chosen = [cell for cell in _chosen(axes, pyfuncitem.funcargs.get("cells")) if wanted in cell[0]]
    for place, (label, arguments) in enumerate(chosen):
        with subtests.test(label):
            if place:
                _renew(pyfuncitem)
            given = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames if name != "cells"}
            test(**given, **arguments)
    return True


def _chosen(axes: list[list[_Value]], cells: object) -> Iterator[tuple[str, dict[str, Any]]]:
    for cell in itertools.product(*axes):
        if cells is None or (cells == _OTHERS) == any(value.is_long for value in cell):
            arguments = {name: value for each in cell for name, value in each.arguments.items()}
            yield ", ".join(value.label for value in cell), arguments


def _renew(item: pytest.Function) -> None:
    """End the function-scoped fixtures of the previous cell, and create new ones."""
    state = item.session._setupstate
    assert item.parent is not None
    state.teardown_exact(item.parent)  # type: ignore[arg-type]  # it asks for the nodes above alone
    item._initrequest()
    state.setup(item)


def _values(names: str | Sequence[str], values: Iterable[Any], ids: Any) -> Iterator[_Value]:
    named = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    labels = [] if ids is None or callable(ids) else [str(each) for each in ids]
    for place, value in enumerate(values):
        given = ParameterSet.extract_from(value, force_tuple=len(named) == 1)
        marks = {mark.name for mark in given.marks}
        assert marks <= {"endurance"}, marks
        label = given.id or (labels[place] if labels else None)
        texts = [str(ids(each)) if callable(ids) else _text(each) for each in given.values]
        yield _Value(dict(zip(named, given.values, strict=True)), str(label or ", ".join(texts)), bool(marks))


def _text(value: object) -> str:
    text = str(getattr(value, "__name__", value))
    text = text if text.strip() and text.isprintable() else repr(value)
    return text if len(text) <= 120 else f"{text[:80]} … {text[-40:]}"


def _sign(test: Any, change: Callable[[list[inspect.Parameter]], list[inspect.Parameter]]) -> None:
    """Give the test the parameters that pytest must fill."""
    signature = inspect.signature(test)
    test.__signature__ = signature.replace(parameters=change(list(signature.parameters.values())))


def some_of(values: Iterable[Any], *quick: Any) -> list[Any]:
    """All ``values``; those that aren't ``quick`` run only in ``./dev endurance``."""
    values = list(values)
    assert all(value in values for value in quick), quick
    return [value if value in quick else pytest.param(value, marks=pytest.mark.endurance) for value in values]


def few_and_many(few: int, many: int) -> list[Any]:
    """The number of examples; ``many`` applies only in ``./dev endurance``."""
    return [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.endurance)]
