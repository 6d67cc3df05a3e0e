"""The iLO power meter: order never counts, each record is new once, its time is made ours."""

from __future__ import annotations

import contextlib
import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energyrecorder.errors import BmcDataError
from energyrecorder_execd.readers.fast_meter import (
    PowerRecord,
    clock_offset_s,
    has_records,
    new_records,
    parse_meter,
)
from support.mutation import mutated

START_S = 1_700_000_000
CASE = Path(__file__).parents[1] / "testcases/ilo/hpe-dl360-gen9-ilo4-2.40/responses.json"


def _time(seconds):
    return datetime.fromtimestamp(START_S + seconds - 800, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ring(*seconds):
    return tuple(PowerRecord(_time(s), START_S + s - 800, 100.0 + s) for s in seconds)


def _details(*records):
    return {"PowerDetail": [{"Time": r.raw, "Average": r.watts, "Minimum": 1, "Peak": 999} for r in records]}


@settings(deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_position_of_a_record_says_nothing(random_):
    """Whatever the order, records come out oldest first."""
    ring = list(_ring(*range(800, 900, 10)))
    random_.shuffle(ring)
    parsed = parse_meter(_details(*ring), "/m")
    assert [r.time_s for r in parsed] == sorted(r.time_s for r in ring)


def test_records_without_time_or_value_and_repeated_ones_are_left_out():
    """They say nothing; a time that stands twice is one record."""
    document = _details(*_ring(800, 810, 810))
    document["PowerDetail"] += [{"Average": 3}, {"Time": _time(820)}, {"Time": "soon", "Average": 3}, None, 7]
    document["PowerDetail"] += [{"Time": _time(830), "Average": -1}, {"Time": _time(840), "Average": None}]
    assert [r.watts for r in parse_meter(document, "/m")] == [900.0, 910.0]


@pytest.mark.parametrize("document", [None, [], {}, {"PowerDetail": None}, {"PowerDetail": {}}])
def test_json_without_a_list_of_records_is_no_meter(document):
    """An iLO 4 answers so on the other firmware's path."""
    assert not has_records(document)
    with pytest.raises(BmcDataError, match="/m"):
        parse_meter(document, "/m")


@pytest.mark.parametrize(
    ("last", "now", "expected"),
    [
        (None, 850, [850]),
        (830, 850, [840, 850]),
        (850, 850, []),
        (700, 850, [800, 810, 820, 830, 840, 850]),
        # The clock was set back by an hour: what is newer by the ring's times is older in truth.
        (3600 + 850, 850, [850]),
        # Some records were still written before it was set back.
        (3600 + 850, 812, [840]),
        # Back a little: nothing is new, nothing is written twice.
        (870, 850, []),
        (850, None, []),
    ],
)
def test_what_is_new(last, now, expected):
    """Newer than the last written one; at the first poll the newest only; none from the future."""
    ring = _ring(800, 810, 820, 830, 840, 850)
    last_raw = None if last is None else _time(last)
    found = new_records(ring, last_raw, None if now is None else START_S + now - 800)
    assert [record.raw for record in found] == [_time(s) for s in expected]


@pytest.mark.parametrize(
    ("moved_s", "expected"),
    [(0, [840, 850]), (3, [840, 850]), (4, [840, 850]), (10, [850]), (3600, []), (-3600, [840, 850])],
)
def test_what_is_new_after_the_clock_was_set_forward(moved_s, expected):
    """What was written out has other times now; where it was set back the ring itself decides."""
    found = new_records(_ring(800, 810, 820, 830, 840, 850), _time(830), None, moved_s)
    assert [record.raw for record in found] == [_time(s) for s in expected]


@pytest.mark.parametrize(
    ("moved_s", "expected"),
    [
        # As much as the ring is deep tells nothing: what was written before may still be in it.
        (-3600, [850]),
        (-3601, [840, 850]),
        (-50 * 365 * 86400, [840, 850]),
    ],
)
def test_what_is_new_after_the_clock_was_set_back(moved_s, expected):
    """All that came since then, though the ring holds records of the time before as well."""
    before = [830 - moved_s - 10 * number for number in range(10)]
    ring = _ring(800, 810, 820, 830, 840, 850, *reversed(before))
    found = new_records(ring, _time(before[0]), START_S + 50.0, moved_s)
    assert [record.raw for record in found] == [_time(s) for s in expected]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 15), min_size=30, max_size=60), st.integers(1, 119))
def test_each_record_is_written_once_whenever_we_look(gaps, depth):
    """With polls at any distance shorter than the ring, the records come out once each, in order."""
    rng = random.Random(depth)
    times, written, last = list(range(800, 860, 10)), [], None
    for gap in gaps:
        times += [times[-1] + 10 * i for i in range(1, min(gap, depth) + 1)]
        ring = list(_ring(*times[-120:]))
        rng.shuffle(ring)
        for record in new_records(parse_meter(_details(*ring), "/m"), last, None):
            written.append(record.raw)
            last = record.raw
    first = times.index(times[5 + min(gaps[0], depth)])
    assert written == [_time(s) for s in times[first:]]


@pytest.mark.parametrize(
    ("previous", "measured", "expected"),
    [
        (None, 0.4, 0),
        (None, 2.0, 0),
        (None, 2.4, 2),
        (None, -3600.3, -3600),
        (0, 2.9, 0),
        (0, 3.1, 3),
        (3600, 3602.9, 3600),
        (3600, 3603.6, 3604),
        (5, 1.9, 0),
    ],
)
def test_the_offset_of_a_clock(previous, measured, expected):
    """Whole seconds, none within 2 s, and it follows no jitter below 3 s."""
    assert clock_offset_s(previous, measured) == expected


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_mutated_meter_is_records_or_a_data_error(random_):
    """Whatever firmware writes: never another exception."""
    meter = json.loads(CASE.read_text(encoding="utf-8"))["/rest/v1/Chassis/1/Power/FastPowerMeter"]
    with contextlib.suppress(BmcDataError):
        records = parse_meter(mutated(meter, random_), "/m")
        assert all(record.watts >= 0 for record in records)
        new_records(records, None, None)
