"""When a poll is given up: silence counts, whole answers put it off, up to a last moment."""

from __future__ import annotations

import asyncio

import pytest

from energyrecorder_execd.deadline import Deadline
from execd.virtual_time import in_virtual_time


async def ended_after_s(deadline, *pauses_s):
    """Return when it ends; a whole answer comes after each pause, then none any more."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with pytest.raises(TimeoutError):
        await _answer_within(deadline, pauses_s)
    return loop.time() - began_s


async def _answer_within(deadline, pauses_s):
    async with deadline:
        for pause_s in pauses_s:
            await asyncio.sleep(pause_s)
            deadline.heard()
        await asyncio.sleep(10_000)


@pytest.mark.parametrize(
    ("pauses_s", "ends_s", "words"),
    [
        ((), 9, "no answer within 9 s"),
        ((1,), 10, "1 answer, then none within 9 s"),
        ((2, 2, 2, 2, 2, 2), 21, "6 answers, then none within 9 s"),
        ((8,) * 5, 40, "not done within 40 s: 4 answers"),
    ],
    ids=["silence", "one", "slow", "without end"],
)
@in_virtual_time
async def test_each_whole_answer_gives_time_for_the_next(pauses_s, ends_s, words):
    """Six answers of 2 s are more than the 9 s of silence that are allowed: no reason to give up."""
    deadline = Deadline(9, 9, 40)
    assert await ended_after_s(deadline, *pauses_s) == pytest.approx(ends_s)
    assert str(deadline) == words


@in_virtual_time
async def test_an_answer_never_brings_the_end_nearer():
    """A BMC that once needed long has 36 s for its first answer, and keeps what is left of them."""
    deadline = Deadline(36, 9, 108)
    assert await ended_after_s(deadline, 1) == pytest.approx(36)
    assert str(deadline) == "1 answer, then none within 36 s"


@in_virtual_time
async def test_hurry_ends_it_at_once_and_no_answer_changes_that():
    """At the end of `run` the polls under way are ended."""
    deadline = Deadline(9, 9, 108)
    loop = asyncio.get_running_loop()
    began_s = loop.time()

    def hurry():
        deadline.hurry()
        deadline.heard()

    loop.call_later(1, hurry)
    with pytest.raises(TimeoutError):
        async with deadline:
            await asyncio.sleep(10_000)
    deadline.hurry()  # too late: harmless
    deadline.heard()
    assert loop.time() - began_s == pytest.approx(1)
