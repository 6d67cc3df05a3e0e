"""Two collectors of one server are told by pairs of polls; restarts and what comes late make none."""

import pytest

from energyrecorder_annotator.poll_pairs import LEAST_PAIRS, LEAVE_NS, LOOKED_AT, PollPairs, polled_twice
from energyrecorder_annotator.samples.base import Batch, BmcPoll
from support.clock import Clock

SECOND_NS = 10**9
BEGIN_NS = 10**18


def polls(interval_s, *, second_after_s=None, count=30, begin_ns=BEGIN_NS):
    """Return the times of polls, by one collector or by two."""
    times = [begin_ns + number * interval_s * SECOND_NS for number in range(count)]
    if second_after_s is not None:
        times += [ns + int(second_after_s * SECOND_NS) for ns in times]
    return sorted(times)


def restarted(interval_s, *, every):
    """Return the times of a collector that is started anew: at once, and from then on its ticks."""
    times = polls(interval_s)
    return [*times, *(ns - SECOND_NS for ns in times[::every])]


@pytest.mark.parametrize(
    ("times", "twice"),
    [
        (polls(10), False),
        (polls(10, second_after_s=0.4), True),
        (polls(5, second_after_s=0.05), True),
        (polls(10, second_after_s=0.4, count=LEAST_PAIRS - 1), False),
        # Missed ticks, and a burst that a buffer delivered late with its own times.
        ([ns for index, ns in enumerate(polls(10)) if index % 3], False),
        ([ns for index, ns in enumerate(polls(10, second_after_s=0.4)) if index % 7], True),
        # Telegraf sends a batch again when it got no answer to the first.
        (polls(10) * 2, False),
        (restarted(10, every=10), False),
        # Another interval in fleet.toml.
        ([*polls(10, count=15), *polls(1, count=15, begin_ns=BEGIN_NS + 150 * SECOND_NS)], False),
        ([], False),
    ],
)
def test_how_two_collectors_are_told(times, twice):
    assert polled_twice(times) is twice


@pytest.fixture
def clock():
    return Clock(BEGIN_NS)


@pytest.fixture
def pairs(clock):
    return PollPairs(clock)


def batch(env, server, times):
    return Batch(polls=[BmcPoll(env, server, ns, True, "on", "") for ns in times])


def test_it_is_said_once_of_an_environment_and_when_it_is_over(pairs, caplog):
    caplog.set_level("INFO")
    for server in ("n1", "n2"):
        pairs.take(batch("pod1", server, polls(10, second_after_s=0.3)))
        pairs.take(batch("pod2", server, polls(10, count=60)))
    assert (pairs.count("pod1"), pairs.count("pod2"), pairs.count("pod3")) == (2, 0, 0)
    [line] = caplog.messages
    assert line.startswith("server 'n1' of 'pod1'")
    assert "stop one energy-execd" in line
    for server in ("n1", "n2"):
        pairs.take(batch("pod1", server, polls(10, begin_ns=2 * BEGIN_NS)))
    assert pairs.count("pod1") == 0
    assert caplog.messages[1:] == ["servers of 'pod1' are polled by one collector again"]


def test_what_a_site_kept_during_an_outage_is_no_second_collector(pairs, caplog):
    """It comes behind newer polls and in part twice, as the first answer was lost."""
    times = polls(10, count=4 * LOOKED_AT)
    old, new = times[: 2 * LOOKED_AT], times[2 * LOOKED_AT :]
    for first in range(0, len(new), 5):
        pairs.take(batch("pod1", "n1", new[first : first + 5]))
        pairs.take(batch("pod1", "n1", old[first : first + 5] * 2))
    assert pairs.count("pod1") == 0
    assert not caplog.messages


def test_a_server_that_leaves_is_counted_no_longer(pairs, clock, caplog):
    caplog.set_level("INFO")
    for server in ("n1", "n2"):
        pairs.take(batch("pod1", server, polls(10, second_after_s=0.3)))
    clock.now_ns += LEAVE_NS - 1
    pairs.take(batch("pod1", "n2", polls(10, count=1, begin_ns=2 * BEGIN_NS)))
    assert pairs.count("pod1") == 2
    clock.now_ns += 1
    assert pairs.count("pod1") == 1
    clock.now_ns += LEAVE_NS
    assert pairs.count("pod1") == 0
    pairs.take(batch("pod1", "n3", polls(10)))
    pairs.take(batch("pod1", "n1", polls(10, second_after_s=0.3, begin_ns=2 * BEGIN_NS)))
    assert pairs.count("pod1") == 1
    assert [line.partition(" ")[0] for line in caplog.messages] == ["server", "servers", "server"]


def test_a_server_that_is_polled_slowly_has_not_left_between_two_polls(pairs, clock):
    pairs.take(batch("pod1", "n1", polls(3600, second_after_s=3)))
    clock.now_ns += 2 * 3600 * SECOND_NS
    assert pairs.count("pod1") == 1
    clock.now_ns += LOOKED_AT * 3600 * SECOND_NS
    assert pairs.count("pod1") == 0
