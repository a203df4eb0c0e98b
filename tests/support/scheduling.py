"""The xdist scheduler: each file whole on one worker, those that run alone last."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from xdist.scheduler import LoadFileScheduling

_ALONE = re.compile(r"^pytestmark = .*pytest\.mark\.alone", re.MULTILINE)


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # no types
    """Files in the order in which they were collected. Once nothing is left but what runs alone, the first worker waits
    until the others have ended."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0]

    def _reschedule(self, node: Any) -> None:
        if node.shutting_down or not self._is_alone_left:
            super()._reschedule(node)
        elif node is not self.nodes[0]:
            node.shutdown()
        elif len(self.nodes) == 1:
            super()._reschedule(node)

    def remove_node(self, node: Any) -> Any:
        crashed = super().remove_node(node)
        for other in self.nodes:
            self._reschedule(other)
        return crashed

    @property
    def _is_alone_left(self) -> bool:
        return bool(self.workqueue) and next(iter(self.workqueue)) in self._alone

    @cached_property
    def _alone(self) -> set[str]:
        """The files that say so on a line of their own; the tests themselves are known to the workers alone."""
        return {file for file in self.workqueue if _ALONE.search((self.config.rootpath / file).read_text())}

    def _assign_work_unit(self, node: Any) -> None:
        if self._is_alone_left and node is not self.nodes[0]:
            node.shutdown()
            return
        file, tests = self.workqueue.popitem(last=False)
        self.assigned_work[node][file] = tests
        node.send_runtest_some([self._places[test] for test, is_done in tests.items() if not is_done])

    @cached_property
    def _places(self) -> dict[str, int]:
        """All workers have collected the same tests in the same order."""
        assert self.collection is not None
        return {test: place for place, test in enumerate(self.collection)}
