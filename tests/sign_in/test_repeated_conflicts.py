"""A sign-in that another one of the same new person overtook is repeated, up to three times."""

from __future__ import annotations

import pytest

from manifest_auth.errors import Conflict, Forbidden
from manifest_auth.sign_in.providers.provider_flow import retry_conflicts
from tests.support.matrix import matrix


@matrix(
    ("fails", "tries", "raised"),
    [
        ([], 1, None),
        ([Conflict()], 2, None),
        ([Conflict()] * 3, 4, None),
        ([Conflict()] * 4, 4, Conflict),
        ([Conflict(), Forbidden()], 2, Forbidden),
    ],
    ids=["none", "one", "three", "four", "another error"],
)
async def test_only_a_conflict_is_repeated(fails: list[Exception], tries: int, raised: type[Exception] | None) -> None:
    left, made = list(fails), list[int]()

    async def work() -> str:
        made.append(len(made))
        if left:
            raise left.pop(0)
        return "done"

    if raised is None:
        assert await retry_conflicts(work) == "done"
    else:
        with pytest.raises(raised):
            await retry_conflicts(work)
    assert len(made) == tries
