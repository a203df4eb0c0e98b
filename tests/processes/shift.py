"""Many jobs that are worked on at once over the wire, and a memory of every answer that came."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.processes.wire import Node, bearer
from tests.support import jobs as j
from tests.support import templates as t

PATH = "/api/client/graphql"
STEPS = len(j.STEPS)
#: The demo's Admin may do everything, so one session tells the whole story.
ADMIN = "admin@acme.example"


def ask(node: Node, token: str, document: str, **variables: Any) -> Any:
    """What the only field at the root answers."""
    answer = node.post(PATH, {"query": document, "variables": variables}, token).json()
    assert "errors" not in answer, answer
    [found] = answer["data"].values()
    return found


@dataclass
class Told:
    """What was answered of one job."""

    id: int
    records: dict[int, str] = field(default_factory=dict)  # by number
    done: int = 0
    is_completed: bool = False


@dataclass
class Shift:
    """Jobs that are each brought from their start to their end: two records at once and a completion for each step."""

    base: str
    token: str
    jobs: list[Told]
    answers: int = 0
    errors: list[Any] = field(default_factory=list)
    half: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def acts(self) -> int:
        return len(self.jobs) * (3 * STEPS + 1)

    async def run(self) -> None:
        limits = httpx2.Limits(max_connections=32)
        async with httpx2.AsyncClient(base_url=self.base, timeout=20, limits=limits) as http:
            await asyncio.gather(*(self._work(job, http) for job in self.jobs))

    async def _work(self, job: Told, http: httpx2.AsyncClient) -> None:
        try:
            for step in range(1, STEPS + 1):
                outcomes = await asyncio.gather(*(self._record(job, step, side, http) for side in "ab"))
                if not all(outcomes):
                    return
                found = await self._post(http, j.STEP_DONE, id=job.id, step=step)
                if found is None:
                    return
                job.done = step
            job.is_completed = await self._post(http, j.COMPLETE, id=job.id) is not None
        except httpx2.HTTPError:
            return

    async def _record(self, job: Told, step: int, side: str, http: httpx2.AsyncClient) -> bool:
        text = f"{job.id} {step} {side}"
        try:
            found = await self._post(http, j.RECORDS, id=job.id, step=step, input={"text": text})
        except httpx2.HTTPError:
            return False
        if found is not None:
            assert found["number"] not in job.records, "no number is given twice"
            job.records[found["number"]] = text
        return found is not None

    async def _post(self, http: httpx2.AsyncClient, document: str, **variables: Any) -> Any:
        body = {"query": document, "variables": variables}
        answer = (await http.post(PATH, json=body, headers=bearer(self.token))).json()
        if "errors" in answer:
            self.errors += answer["errors"]
            return None
        self.answers += 1
        if self.answers >= self.acts // 3:
            self.half.set()
        [found] = answer["data"].values()
        return found


def begin(node: Node, count: int = 30) -> Shift:
    """Jobs of one template, started."""
    token = str(node.sign_in(ADMIN)["token"])
    template = ask(node, token, t.ADD, input={"name": "Valve check", "steps": j.STEPS})
    for document in (t.SUBMIT, t.APPROVE, t.PUBLISH):
        ask(node, token, document, id=template["latestVersion"]["id"])
    jobs = [ask(node, token, j.ADD, input={"templateId": template["id"]})["id"] for _ in range(count)]
    for job in jobs:
        ask(node, token, j.START, id=job)
    return Shift(node.server.base, token, [Told(job) for job in jobs])


def is_there(told: Shift, node: Node) -> None:
    """All that was answered is there, at ``node``; what was not answered is there whole or not at all."""
    for job in told.jobs:
        found, history = (ask(node, told.token, document, id=job.id) for document in (j.READ, j.HISTORY))
        kept = {record["number"]: record["text"] for record in found["records"]}
        assert job.records.items() <= kept.items()
        assert list(kept) == list(range(1, len(kept) + 1))
        assert len(set(kept.values())) == len(kept), "nothing was recorded twice"
        done = [step["isCompleted"] for step in found["steps"]]
        assert done == sorted(done, reverse=True)
        assert sum(done) >= job.done
        assert found["status"] == "COMPLETED" or not job.is_completed
        moves = [event["move"] for event in history["history"]]
        assert moves.count("STEP_COMPLETED") == sum(done)
        assert ("COMPLETED" in moves) == (found["status"] == "COMPLETED")


def goes_on(told: Shift, node: Node) -> None:
    """A job that was under way comes to its end from where it was left."""
    job_id = next(job.id for job in told.jobs if not job.is_completed)
    while step := (found := ask(node, told.token, j.READ, id=job_id))["currentStep"]:
        ask(node, told.token, j.RECORDS, id=job_id, step=step["number"], input=j.PRESSURE)
        ask(node, told.token, j.STEP_DONE, id=job_id, step=step["number"])
    if found["status"] == "IN_PROGRESS":
        found = ask(node, told.token, j.COMPLETE, id=job_id)
    assert found["status"] == "COMPLETED"
