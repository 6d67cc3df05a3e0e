"""Whatever InfluxDB does meanwhile, in the end it has every step as it is, and never saw an older state."""

import contextlib
import re
import tempfile
from collections import deque
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from line_protocol_parser import parse_line

from energyrecorder_annotator.influx.client import (
    InfluxAwayError,
    InfluxRefusedError,
    NoDatabaseError,
    Series,
)
from energyrecorder_annotator.influx.settings import InfluxSettings
from energyrecorder_annotator.journal.sqlite import SqliteJournal
from energyrecorder_annotator.lifecycle import Patch
from energyrecorder_annotator.sinks.delivery import Delivery
from energyrecorder_annotator.sinks.influx import InfluxSink
from support.journal import take
from support.steps import SECOND, start, stop

T0 = 1_700_000_000
STEPS = 6
MOST_TRIES = 100
"""Of a delivery in fair weather; a few are needed."""
REFUSED = "s0"
"""A step that InfluxDB never takes, such as one whose field has another type there."""


class Influx:
    """What an InfluxDB keeps, and a queue of what it does with the next requests."""

    settings = InfluxSettings("http://127.0.0.1:1", "load")

    def __init__(self):
        self.weather = deque()
        self.exists = False
        self.points = {}
        self.told = {}

    def write(self, lines, *, retention_policy=None):
        del retention_policy
        weather = self._next()
        parsed = [parse_line(line) for line in lines.split("\n")]
        if weather == "too large" and len(parsed) > 2:
            raise InfluxRefusedError("413", too_large=True)
        for point in parsed:
            if point["fields"]["step_id"] != REFUSED:
                self._store(point)
        if weather == "answer lost":
            raise InfluxAwayError("cut off")
        if any(point["fields"]["step_id"] == REFUSED for point in parsed):
            raise InfluxRefusedError("partial write: field type conflict")

    def query(self, *statements):
        self._next()
        [time_ns] = re.findall(r"time = (\d+)", statements[0])
        rows = [[t, fields["step_id"]] for (_, t), fields in self.points.items() if t == int(time_ns)]
        return [[Series("energy_steps", {}, ("time", "step_id"), rows)] if rows else []]

    def clock_offset_s(self):
        return 0.0

    def create_database(self):
        self.exists = True

    def close(self):
        pass

    def _next(self):
        weather = self.weather.popleft() if self.weather else "fair"
        if weather in {"away", "emptied"}:
            if weather == "emptied":
                self.points.clear()
            raise InfluxAwayError("503", retry_after_s=3.0)
        if weather == "dropped":
            self.points.clear()
            self.exists = False
        if not self.exists:
            raise NoDatabaseError("404")
        return weather

    def _store(self, point):
        fields = point["fields"]
        shown = (fields["state"] != "running", int(fields["title"]))
        assert shown >= self.told.get(fields["step_id"], shown), "an older state after a newer one"
        self.told[fields["step_id"]] = shown
        self.points[fields["step_id"], point["time"]] = fields


class CrashError(Exception):
    """The annotator ends between a delivery and its commit."""


def crash(*_):
    raise CrashError


steps = st.integers(0, STEPS - 1)
happenings = st.one_of(
    st.tuples(st.just("start"), steps),
    st.tuples(st.just("title"), steps),
    st.tuples(st.just("stop"), steps),
    st.tuples(st.just("deliver"), st.integers(1, 4)),
    st.tuples(st.just("crash"), st.booleans()),
    st.tuples(
        st.just("weather"),
        st.sampled_from(["away", "answer lost", "too large", "emptied", "dropped", "fair"]),
    ),
)


class Lab:
    """A journal, its delivery and an InfluxDB."""

    def __init__(self, folder):
        self.journal = SqliteJournal(folder / "journal.db")
        self.influx = Influx()
        self.titles = 0
        self.begin()

    def begin(self):
        """Start the delivery, as at a start of the annotator."""
        sink = InfluxSink(self.influx, lambda *_: True, clock=self.clock, profiles=None)
        self.delivery = Delivery(sink, self.journal, clock=self.clock, retry_most_s=0.1)

    def clock(self):
        return (T0 + 1000) * SECOND

    def happen(self, what, which):
        step_id = f"s{which}"
        known = self.journal.step(step_id)
        if what == "start":
            take(self.journal, start(step_id, T0 + which, title="0", scenario=step_id))
        elif what == "title" and known is not None:
            self.titles += 1
            take(self.journal, Patch(step_id, title=str(self.titles)))
        elif what == "stop" and known is not None:
            take(self.journal, stop(step_id, T0 + 100))
        elif what == "deliver":
            for _ in range(which):
                self.delivery._try()
        elif what == "crash":
            self.crash(after_writing=which)
        elif what == "weather":
            self.influx.weather.append(which)

    def crash(self, *, after_writing):
        if after_writing:
            self.delivery._save = crash
            with contextlib.suppress(CrashError):
                self.delivery._try()
        self.begin()

    def settle(self):
        """Let the weather be fair until nothing is left to be told."""
        self.influx.weather.clear()
        for _ in range(MOST_TRIES):
            self.delivery._try()
            if self.delivery.error is None and self.delivery.status().backlog == 0:
                return
        raise AssertionError(self.delivery.status())


@given(st.lists(happenings, max_size=40))
def test_in_the_end_every_step_is_there_as_it_is(happened):
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        try:
            for what, which in happened:
                lab.happen(what, which)
            lab.settle()
            stored = {
                step_id: (one["state"], one["title"]) for (step_id, _), one in lab.influx.points.items()
            }
            known = [lab.journal.step(f"s{number}") for number in range(STEPS)]
            wanted = {
                found[0].step_id: (found[0].state, found[0].title) for found in known if found is not None
            }
            refused = wanted.pop(REFUSED, None)
            assert stored == wanted
            dead = [letter.item_id for letter in lab.journal.dead_letters(10)]
            assert dead == ([] if refused is None else [REFUSED])
        finally:
            lab.journal.close()


def test_a_loss_is_noticed_when_what_changed_last_was_never_there(tmp_path):
    lab = Lab(tmp_path)
    try:
        for what, which in [
            ("start", 1),
            ("deliver", 2),
            ("start", 0),
            ("deliver", 2),
            ("weather", "emptied"),
        ]:
            lab.happen(what, which)
        lab.happen("start", 2)
        lab.happen("deliver", 1)
        lab.settle()
        assert {step_id for step_id, _ in lab.influx.points} == {"s1", "s2"}
    finally:
        lab.journal.close()
