"""Log lines are in order, never lost while there are few, and never make a caller wait for their reader."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator

import orjson
import pytest

from manifest_auth.runtime import logs
from manifest_auth.runtime.logs import MOST_WAITING, Lines

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(writer)
    os.close(reader)


def lines_of(pipe: Pipe) -> Lines:
    return Lines(pipe[1], lambda count: b"dropped %d" % count)


def read_until(reader: int, last: bytes) -> list[bytes]:
    """All lines up to the one that starts with these bytes. Gives up after ten seconds without a byte."""
    found = bytearray()
    while not (found.endswith(b"\n") and found.startswith(last, found.rfind(b"\n", 0, len(found) - 1) + 1)):
        assert select.select([reader], [], [], 10)[0], found[-200:]
        found += os.read(reader, 65536)
    return bytes(found).split(b"\n")[:-1]


def test_a_line_is_written_immediately_where_it_can_be(pipe: Pipe) -> None:
    before = threading.active_count()
    lines = lines_of(pipe)
    lines.msg(b"a")
    lines.msg(b"b")
    assert os.read(pipe[0], 100) == b"a\nb\n"
    assert threading.active_count() == before


def test_no_caller_waits_for_a_reader_that_has_stopped(pipe: Pipe) -> None:
    lines = lines_of(pipe)
    count = 5000  # some of them fill the pipe, and the others wait
    for number in range(count):
        lines.msg(b"%06d" % number + b"x" * 50)
    got = read_until(pipe[0], b"%06d" % (count - 1))
    assert [line[:6] for line in got] == [b"%06d" % number for number in range(count)]


def test_what_is_over_the_bound_is_dropped_and_told(pipe: Pipe) -> None:
    lines = lines_of(pipe)
    count = MOST_WAITING + 3000
    for number in range(count):
        lines.msg(b"%06d" % number + b"x" * 50)
    got = read_until(pipe[0], b"dropped")
    kept = len(got) - 1
    assert [line[:6] for line in got[:-1]] == [b"%06d" % number for number in range(kept)]
    assert MOST_WAITING <= kept < count
    assert got[-1] == b"dropped %d" % (count - kept)
    lines.msg(b"later")
    assert read_until(pipe[0], b"later") == [b"later"]


def test_a_long_line_stays_in_one_piece_and_in_its_place(pipe: Pipe) -> None:
    lines = lines_of(pipe)
    lines.msg(b"first")
    lines.msg(b"long" + b"x" * 200_000)
    lines.msg(b"last")
    assert [(line[:4], len(line)) for line in read_until(pipe[0], b"last")] == [
        (b"firs", 5),
        (b"long", 200_004),
        (b"last", 4),
    ]


def test_no_line_gets_into_another(pipe: Pipe) -> None:
    """While one thread drains the pipe, others write."""
    lines, got = lines_of(pipe), list[bytes]()
    reader = threading.Thread(target=lambda: got.extend(read_until(pipe[0], b"end")))
    reader.start()
    for number in range(300):
        lines.msg(b"%03d" % number + b"x" * 70_000)
        lines.msg(b"%03d" % number)
    lines.msg(b"end")
    reader.join(30)
    assert [line[:3] for line in got[:-1]] == [b"%03d" % (number // 2) for number in range(600)]
    assert {len(line) for line in got[:-1]} == {3, 70_003}


def test_a_reader_that_is_gone_is_no_failure() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    lines = Lines(writer, lambda count: b"")
    lines.msg(b"a")
    lines.msg(b"b" * 10_000)
    lines.finish()
    os.close(writer)


def test_a_line_within_a_line_does_not_wait_for_it(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the garbage collector finds a failed task while a line is being written, which is logged too."""
    monkeypatch.setattr(logs, "lines_of", lambda _descriptor, told: Lines(pipe[1], told))
    log, write, inner = logs.build("info"), logs._write, iter(["stopped"])

    def find_a_failed_task(descriptor: int, line: bytes) -> None:
        for event in inner:
            log.info(event)
        write(descriptor, line)

    monkeypatch.setattr(logs, "_write", find_a_failed_task)
    caller = threading.Thread(target=log.info, args=("started",), kwargs={"hashing": ""}, daemon=True)
    caller.start()
    caller.join(30)
    assert not caller.is_alive()
    assert [orjson.loads(line)["event"] for line in os.read(pipe[0], 1000).splitlines()] == ["stopped", "started"]
