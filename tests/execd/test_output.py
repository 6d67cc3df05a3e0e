"""Lines leave whole, in pieces that a pipe keeps whole, and never wait for who reads them."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder_execd.output import MAX_BACKLOG_BYTES, PAUSE_S, LineWriter, _pieces
from execd.virtual_time import in_virtual_time
from execd.waiting import until


@pytest.fixture
def pipe():
    """Both ends of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


@given(st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=600), max_size=40))
def test_pieces_hold_whole_lines_and_as_many_as_a_pipe_keeps_together(lines):
    """No line is torn, none is lost, the order stays."""
    pieces = _pieces(lines)
    assert b"".join(pieces) == "".join(f"{line}\n" for line in lines).encode()
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert all(len(piece) <= select.PIPE_BUF or piece.count(b"\n") == 1 for piece in pieces)


async def test_the_lines_of_a_poll_leave_in_one_write(pipe, monkeypatch):
    """At once, without a buffer in between."""
    written = []
    monkeypatch.setattr(os, "write", lambda _, data: written.append(bytes(data)) or len(data))
    LineWriter(pipe[1], lambda: None).write(["a", "b", "c"])
    assert written == [b"a\nb\nc\n"]


async def test_a_full_pipe_keeps_lines_in_order_and_drops_what_is_too_much(pipe, caplog):
    """Told once when it begins and once when it is over; what was kept comes out whole."""
    writer = LineWriter(pipe[1], lambda: None)
    line = "x" * 1000
    count = 2 * MAX_BACKLOG_BYTES // len(line)
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        for number in range(count):
            writer.write([f"{number} {line}"])
        assert time.monotonic() - began < 60.0
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        received = bytearray()
        asyncio.get_running_loop().add_reader(pipe[0], lambda: received.extend(os.read(pipe[0], 65536)))
        await until(lambda: not writer._backlog)
        writer.write(["last"])
        await until(lambda: received.endswith(b"last\n"))
        asyncio.get_running_loop().remove_reader(pipe[0])
    assert "were dropped" in caplog.records[-1].getMessage()
    numbers = [int(text.split(b" ")[0]) for text in bytes(received).splitlines()[:-1]]
    assert numbers == list(range(len(numbers)))
    assert MAX_BACKLOG_BYTES // 1100 < len(numbers) < count


async def test_a_reader_that_went_away_is_told_once(pipe):
    """Later lines are forgotten."""
    broken = []
    writer = LineWriter(pipe[1], lambda: broken.append(1))
    os.close(pipe[0])
    writer.write(["a"])
    writer.write(["b"])
    assert broken == [1]


@in_virtual_time
async def test_finish_pauses_after_the_last_line_and_never_waits_for_ever(pipe, monkeypatch):
    """Telegraf needs a moment; somebody who does not read gets none."""
    now_s = asyncio.get_running_loop().time
    monkeypatch.setattr("energyrecorder_execd.output.time.monotonic", now_s)
    writer = LineWriter(pipe[1], lambda: None)
    writer.write(["a"])
    began_s = now_s()
    await writer.finish(1.0)
    assert now_s() - began_s == pytest.approx(PAUSE_S)
    began_s = now_s()
    await writer.finish(1.0)
    assert now_s() == began_s
    while not writer._backlog:
        writer.write(["x" * 1000])
    began_s = now_s()
    await writer.finish(0.3)
    assert now_s() - began_s == pytest.approx(0.3, abs=0.02)
    asyncio.get_running_loop().remove_writer(pipe[1])


async def test_a_file_takes_lines_too(tmp_path):
    """`energy-execd run > file`."""
    with (tmp_path / "out").open("wb") as file:
        LineWriter(file.fileno(), lambda: None).write(["a", "b"])
    assert (tmp_path / "out").read_text() == "a\nb\n"
