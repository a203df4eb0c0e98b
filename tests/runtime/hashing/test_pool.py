"""The pool of hash workers has a maximum size, low priority, and separate processes, and replaces dead workers."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from argon2.low_level import Type, hash_secret_raw

from manifest_auth.errors import Overloaded
from manifest_auth.runtime.hashing import builds, hasher
from manifest_auth.runtime.hashing.builds import Build
from manifest_auth.runtime.hashing.hasher import DEPTH, NICE, HashFailed, HashPool

SALT = b"somesaltsomesalt"


@pytest.fixture
async def pool() -> AsyncIterator[HashPool]:
    made = HashPool(builds.choose().folders, lambda: False, workers=2, limit=4, buffer_kib=64)
    await made.start()
    yield made
    await made.close()


async def tag(pool: HashPool, password: bytes = b"password", memory: int = 64, passes: int = 1) -> bytes:
    return await pool.tag(password, SALT, memory=memory, passes=passes, lanes=1, length=32)


async def test_the_tag_is_argon2id(pool: HashPool) -> None:
    for password in (b"password", b"", "\u00fc\U0001f511".encode() * 100):
        assert await tag(pool, password) == hash_secret_raw(password, SALT, 1, 64, 1, 32, Type.ID)


async def test_hashes_are_made_in_other_processes_of_lower_priority(pool: HashPool) -> None:
    await asyncio.gather(*(tag(pool) for _ in range(4)))  # so that each has responded
    pids = [w.process.pid for w in pool._workers]
    assert len(set(pids)) == 2
    assert os.getpid() not in pids
    here = os.getpriority(os.PRIO_PROCESS, 0)
    assert [os.getpriority(os.PRIO_PROCESS, pid) for pid in pids] == [min(19, here + NICE)] * 2


async def test_there_are_as_many_workers_as_were_needed_at_the_same_time(pool: HashPool) -> None:
    counts = [len(pool._workers)]
    for at_once in (1, 1, 2, 6, 1):
        await asyncio.gather(*(tag(pool) for _ in range(at_once)))
        counts.append(len(pool._workers))
    assert counts == [1, 1, 1, 2, 2, 2]


async def test_more_than_the_queue_holds_is_overloaded_and_the_rest_is_answered(pool: HashPool) -> None:
    jobs = [asyncio.ensure_future(tag(pool, b"%d" % i, 4096, 4)) for i in range(40)]
    done = await asyncio.gather(*jobs, return_exceptions=True)
    refused = [d for d in done if isinstance(d, Overloaded)]
    assert 0 < len(refused) < 40
    assert all(r.retry_after for r in refused)
    assert sum(isinstance(d, bytes) for d in done) == 40 - len(refused) >= 4
    assert not pool.is_full
    assert await tag(pool)


async def test_what_waits_is_rejected_once_it_is_in_vain_and_taken_again_later() -> None:
    is_in_vain = False
    pool = HashPool(builds.choose().folders, lambda: is_in_vain, workers=1, limit=10, buffer_kib=64)
    await pool.start()
    [worker] = pool._workers
    try:
        worker.process.send_signal(signal.SIGSTOP)
        jobs = [asyncio.ensure_future(tag(pool)) for _ in range(6)]
        await asyncio.sleep(0)
        is_in_vain = True
        worker.process.send_signal(signal.SIGCONT)
        done = await asyncio.gather(*jobs, return_exceptions=True)
        assert [type(each) for each in done] == [bytes] * DEPTH + [Overloaded] * (6 - DEPTH)
        is_in_vain = False
        assert await tag(pool)
    finally:
        worker.process.send_signal(signal.SIGCONT)
        await pool.close()


async def test_a_worker_that_is_killed_is_replaced_and_its_job_answered(pool: HashPool) -> None:
    await tag(pool)
    jobs = [asyncio.ensure_future(tag(pool, b"%d" % i, 8192, 8)) for i in range(4)]
    await asyncio.sleep(0)
    killed = pool._workers[0].process.pid
    os.kill(killed, signal.SIGKILL)
    done = await asyncio.gather(*jobs)
    assert done == [hash_secret_raw(b"%d" % i, SALT, 8, 8192, 1, 32, Type.ID) for i in range(4)]
    for _ in range(3000):
        if len(pool._workers) == 2:
            break
        await asyncio.sleep(0.01)
    assert len(pool._workers) == 2
    assert killed not in {w.process.pid for w in pool._workers}


async def test_parameters_that_argon2_rejects_fail_that_job_alone(pool: HashPool) -> None:
    with pytest.raises(HashFailed):
        await pool.tag(b"password", SALT, memory=8, passes=1, lanes=16, length=32)
    assert await tag(pool)


async def test_one_who_gives_up_waiting_harms_no_one(pool: HashPool) -> None:
    jobs = [asyncio.ensure_future(tag(pool, b"%d" % i, 4096, 4)) for i in range(6)]
    await asyncio.sleep(0)
    jobs[0].cancel()
    jobs[5].cancel()
    done = await asyncio.gather(*jobs, return_exceptions=True)
    assert [isinstance(d, bytes) for d in done[1:5]] == [True] * 4
    assert await tag(pool)


async def test_the_loop_goes_on_while_hashes_are_made(pool: HashPool) -> None:
    job = asyncio.ensure_future(tag(pool, memory=65536, passes=8))
    turns = 0
    while not job.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100


def test_the_build_that_is_chosen_computes_the_known_answer() -> None:
    assert builds.works(builds.choose())


def test_a_build_is_tried_again_once_its_files_are_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel = builds.candidates()[-1]
    name = "_argon2_cffi_bindings"
    shutil.copytree(Path(wheel.folders[0]) / name, tmp_path / name)
    build = Build("copy", (str(tmp_path), wheel.folders[1]))
    assert builds.works(build)
    with monkeypatch.context() as patched:
        patched.setattr(builds.subprocess, "Popen", None)
        assert builds.works(build)  # without a process
    [library] = (tmp_path / name).glob("*.so")
    library.unlink()
    library.write_bytes(b"damaged")
    assert not builds.works(build)


def test_the_fastest_of_several_builds_is_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel = builds.candidates()[-1]
    monkeypatch.setattr(builds, "BUILT", tmp_path)
    slow = (
        "import time\nfrom ._ffi import ffi, lib as fast\nclass lib:\n"
        "    def argon2_ctx(*given):\n        time.sleep(0.5)\n        return fast.argon2_ctx(*given)\n"
    )
    for name, text in (("a", slow), ("b", "from ._ffi import ffi, lib\n"), ("c", slow), ("d", "broken")):
        folder = tmp_path / name / "_argon2_cffi_bindings"
        shutil.copytree(Path(wheel.folders[0]) / "_argon2_cffi_bindings", folder)
        (folder / "__init__.py").write_text(text)
    assert [build.name for build in builds.candidates()] == ["a", "b", "c", "d", "wheel"]
    fastest = builds.choose()
    assert fastest.name == "b"
    shutil.rmtree(tmp_path / "b")
    assert builds.works(fastest)  # for new workers of a server that runs with it
    assert builds.choose().name in ("a", "c")
    for name in ("a", "c"):
        shutil.rmtree(tmp_path / name)
    assert builds.choose() == wheel


def test_a_build_that_does_not_work_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "_argon2_cffi_bindings"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise SystemExit(1)\n")
    wheel = builds.candidates()[-1]
    bad = Build("broken", (str(tmp_path), wheel.folders[1]))
    monkeypatch.setattr(builds, "candidates", lambda: [bad, wheel])
    assert builds.choose() == wheel
    monkeypatch.setattr(builds, "candidates", lambda: [bad])
    with pytest.raises(RuntimeError):
        builds.choose()


async def test_a_job_that_kills_its_workers_is_rejected_after_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise, it would restart workers endlessly, while others wait."""
    script, deaths = tmp_path / "worker.py", tmp_path / "deaths"
    dies = f"open({str(deaths)!r}, 'a').write('x')"
    lines = ("import socket", "channel = socket.socket(fileno=0)", "channel.recv(65536)", dies)
    script.write_text("\n".join(lines), "utf-8")
    monkeypatch.setattr(hasher, "_WORKER", script)
    pool = HashPool((), lambda: False, workers=1, limit=4, buffer_kib=64)
    await pool.start()
    with pytest.raises(HashFailed):
        await tag(pool)
    assert deaths.read_text("utf-8") == "xx"
    await pool.close()
