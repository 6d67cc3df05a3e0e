"""A source that breaks off, hangs or is busy while the BMC answers otherwise: another one is read instead."""

from __future__ import annotations

import asyncio

import pytest

from energyrecorder.errors import BmcError, BmcUnreachableError
from energyrecorder_execd.http import HttpStatusError
from energyrecorder_execd.readers.redfish import reader
from energyrecorder_execd.readers.redfish.rediscovery import RETURN_S
from support.redfish_bench import POWER, SENSOR, SYSTEM, Bench, control, tree, values

BUSY = HttpStatusError(f"GET {POWER}: HTTP 503", status=503)
BROKEN = BmcUnreachableError(f"GET {POWER}: the connection broke inside the answer", reason="unreachable")
POLL_S = 30.0
"""Deadline of one poll here: far more than any poll takes that is not meant to reach it."""

CUT_S = {"busy": POLL_S, "broken": POLL_S, "hang": 0.2}
"""Deadline of the poll that meets the failure first: one that hangs ends by it."""


async def _poll(bench, deadline_s=POLL_S):
    """Return the values, or why the poll failed (``timeout``: it was cut); and what was asked for."""
    bench.clock.ahead_s += 10
    bench.http.asked.clear()
    try:
        async with asyncio.timeout(deadline_s):
            shown = values(await bench.reader.poll())
    except BmcError as error:
        shown = error.reason
    except TimeoutError:
        shown = "timeout"
    return shown, list(bench.http.asked)


def _break(bench, how):
    if how == "hang":
        bench.hanging.add(POWER)
    else:
        bench.failing[POWER] = {"busy": BUSY, "broken": BROKEN}[how]


@pytest.fixture(autouse=True)
def _short_limit(monkeypatch):
    monkeypatch.setattr(reader, "SOURCE_LIMIT_S", 0.1)


@pytest.mark.parametrize(
    ("how", "reason"), [("busy", "busy"), ("broken", "unreachable"), ("hang", "timeout")]
)
async def test_one_poll_is_lost_then_another_source_stands_in_until_it_heals(how, reason):
    """The BMC is asked for the host's state first: it costs one request, and shows that it is alive."""
    bench = Bench(tree(control(200), sensor=190))
    await _poll(bench)
    _break(bench, how)
    assert await _poll(bench, CUT_S[how]) == (reason, [POWER])
    for _ in range(4):
        assert await _poll(bench) == ([("sensor", 190.0)], [SYSTEM, POWER, SENSOR])
    bench.failing.clear()
    bench.hanging.clear()
    assert await _poll(bench) == ([("power_control", 200.0)], [SYSTEM, POWER])
    assert await _poll(bench) == ([("power_control", 200.0)], [POWER])


@pytest.mark.parametrize("how", ["busy", "broken", "hang"])
async def test_it_is_replaced_after_ten_minutes_and_comes_back(how):
    """As any source that stays silent; no poll of that is without a value."""
    bench = Bench(tree(control(200), sensor=190))
    await _poll(bench)
    _break(bench, how)
    await _poll(bench, CUT_S[how])
    await _poll(bench)
    bench.clock.ahead_s += RETURN_S
    polls = [await _poll(bench) for _ in range(6)]
    assert [shown for shown, _ in polls] == [[("sensor", 190.0)]] * 6
    assert polls[-1][1] == [SENSOR]
    bench.failing.clear()
    bench.hanging.clear()
    bench.clock.ahead_s += RETURN_S
    polls = [await _poll(bench) for _ in range(6)]
    assert [shown for shown, _ in (polls[0], polls[-1])] == [[("sensor", 190.0)], [("power_control", 200.0)]]


@pytest.mark.parametrize("how", ["busy", "broken", "hang"])
async def test_where_nothing_stands_in_the_bmc_is_walked_without_it(how):
    """And the source that appeared meanwhile is found."""
    bench = Bench(tree(control(200)))
    await _poll(bench)
    bench.documents.update(tree(control(200), sensor=190))
    _break(bench, how)
    shown = [(await _poll(bench, 5 * CUT_S[how]))[0] for _ in range(8)]
    assert shown[-1] == [("sensor", 190.0)]


@pytest.mark.parametrize("failure", [BUSY, BROKEN])
async def test_a_bmc_that_fails_as_a_whole_gets_one_request_a_poll(failure):
    """It is no reason to look around."""
    bench = Bench(tree(control(200), sensor=190))
    await _poll(bench)
    bench.failing = dict.fromkeys((POWER, SYSTEM, SENSOR), failure)
    polls = [await _poll(bench) for _ in range(5)]
    assert [shown for shown, _ in polls] == [failure.reason] * 5
    assert all(len(asked) == 1 for _, asked in polls)
    bench.failing.clear()
    shown = [(await _poll(bench))[0] for _ in range(2)]
    assert shown == [[("power_control", 200.0)]] * 2


async def test_what_only_takes_long_is_waited_for(monkeypatch):
    """A poll that failed for another reason does not cost it: every second one waits as ever."""
    monkeypatch.setattr(reader, "SOURCE_LIMIT_S", 0.0)
    bench = Bench(tree(control(200)))
    await _poll(bench)
    bench.failing[POWER] = BROKEN
    await _poll(bench)
    bench.failing.clear()
    answers = bench.get

    async def slow(path, **more):
        await asyncio.sleep(0.05 if path == POWER else 0)
        return await answers(path, **more)

    monkeypatch.setattr(bench, "get", slow)
    shown = [(await _poll(bench))[0] for _ in range(3)]
    assert shown == ["timeout", [("power_control", 200.0)], [("power_control", 200.0)]]


async def test_it_gets_the_time_that_it_asks_for():
    """While another source stands in it is left alone, walks included."""
    bench = Bench(tree(control(200), sensor=190))
    await _poll(bench)
    bench.failing[POWER] = HttpStatusError(f"GET {POWER}: HTTP 503", status=503, retry_after_s=35.0)
    polls = [await _poll(bench) for _ in range(6)]
    assert [POWER in asked for _, asked in polls] == [True, True, False, False, False, True]
    assert [shown for shown, _ in polls[1:]] == [[("sensor", 190.0)]] * 5


async def test_a_right_that_was_taken_away_is_told_as_that():
    """Not as a reading that is not there."""
    bench = Bench(tree(control(200)))
    await bench.poll()
    bench.failing[POWER] = HttpStatusError(f"GET {POWER}: HTTP 403", status=403)
    poll, _ = await bench.poll()
    assert (poll.readings, poll.error) == ((), "privilege")
