"""Points on their way into the store; signs of life of runs."""

import asyncio
import logging
import threading
from concurrent.futures import Future

import pytest

from energyrecorder_annotator import intake as intake_module
from energyrecorder_annotator.intake import Intake
from energyrecorder_annotator.journal.base import JournalError
from energyrecorder_annotator.journal.sqlite import SqliteJournal
from energyrecorder_annotator.life_watch import LifeWatch
from energyrecorder_annotator.samples.base import BmcPoll, Reading, SampleStoreError
from energyrecorder_annotator.samples.freshness import Freshness
from support.journal import take
from support.steps import SECOND, start, stop


class Store:
    def __init__(self):
        self.refuses = False
        self.batches = []

    def add(self, batch):
        if self.refuses:
            raise SampleStoreError("samples cannot be written: disk full")
        self.batches.append((list(batch.readings), list(batch.polls)))


def reading(number):
    return Reading("pod1", "n1", "server", None, number, 1.0)


@pytest.fixture
def intake():
    switched = []
    one = Intake(Store(), Freshness(), switched.extend)
    one.switched = switched
    return one


async def test_points_go_out_together_and_freshness_follows_the_store(intake):
    intake.take(reading(5))
    intake.take(BmcPoll("pod1", "n1", 5, True, "on", ""))
    assert intake._freshness.servers("pod1", 0) == {}
    await intake.flush()
    assert [(len(readings), len(polls)) for readings, polls in intake._store.batches] == [(1, 1)]
    assert intake._freshness.servers("pod1", 0)["n1"].sample_ns == 5
    assert intake.stored == 2
    await intake.flush()
    assert len(intake._store.batches) == 1


async def test_while_the_store_refuses_points_wait_and_it_is_told_once(intake, caplog):
    caplog.set_level(logging.INFO)
    intake._store.refuses = True
    for number in range(3):
        intake.take(reading(number))
        await intake.flush()
    assert len([r for r in caplog.records if "disk full" in r.message]) == 1
    intake._store.refuses = False
    await intake.flush()
    assert [[r.t_ns for r in readings] for readings, _ in intake._store.batches] == [[0, 1, 2]]
    assert "samples are written again" in caplog.text


async def test_the_backlog_is_bounded_and_what_is_dropped_is_counted(intake, monkeypatch):
    monkeypatch.setattr(intake_module, "MAX_BACKLOG", 10)
    intake._store.refuses = True
    for number in range(15):
        intake.take(reading(number))
        await intake.flush()
    assert intake.dropped == 5
    intake._store.refuses = False
    await intake.flush()
    assert len(intake._store.batches[0][0]) == 10


async def test_what_is_being_written_has_its_place_kept(intake, monkeypatch):
    """A store that takes its time and then refuses gives back what was acknowledged: nothing else fits."""
    monkeypatch.setattr(intake_module, "MAX_BACKLOG", 10)
    began, go_on = threading.Event(), threading.Event()

    def add(_batch):
        began.set()
        assert go_on.wait(60)
        raise SampleStoreError("InfluxDB is away")

    monkeypatch.setattr(intake._store, "add", add)
    for number in range(8):
        intake.take(reading(number))
    writing = asyncio.create_task(intake.flush())
    await asyncio.to_thread(began.wait, 60)
    assert (intake.is_full(2), intake.is_full(3)) == (False, True)
    for number in range(8, 11):
        intake.take(reading(number))
    assert intake.dropped == 1
    go_on.set()
    await writing
    assert (intake.waiting, intake.dropped) == (10, 1)


async def test_hosts_that_switch_are_handed_on(intake):
    for t_ns, host in enumerate(["on", "off"], start=1):
        intake.take(BmcPoll("pod1", "n1", t_ns, True, host, ""))
        await intake.flush()
    assert [poll.host for poll in intake.switched] == ["off"]


class Watched:
    """A watch over a real journal, with a clock that the test turns."""

    def __init__(self, directory):
        self.now_s = 1000.0
        self.journal = SqliteJournal(directory / "journal.db")
        self.watch = self.new_watch()

    def new_watch(self):
        return LifeWatch(self.journal, lambda: round(self.now_s * SECOND))

    def take(self, event, event_s=None):
        take(self.journal, event)
        run_id = self.journal.step(event.step_id)[0].run_id
        event_ns = event.time.t_ns if event_s is None else round(event_s * SECOND)
        self.watch.heard(run_id, round(self.now_s * SECOND), event_ns)

    def step(self, step_id):
        return self.journal.step(step_id)[0]


@pytest.fixture
def watched(tmp_path):
    one = Watched(tmp_path)
    yield one
    one.journal.close()


async def test_a_run_that_falls_silent_is_lost_at_its_last_sign(watched):
    watched.take(start("r", 1000, ttl_s=120.0))
    watched.now_s = 1030
    watched.watch.heard("r", 1030 * SECOND, 1030 * SECOND)
    watched.now_s = 1150
    assert await watched.watch.sweep() == []
    watched.now_s = 1150.1
    assert await watched.watch.sweep() == ["r"]
    lost = watched.step("r")
    assert (lost.state, lost.end_ns) == ("lost", 1030 * SECOND)


async def test_any_call_about_a_run_keeps_all_its_steps(watched):
    watched.take(start("r", 1000, ttl_s=120.0))
    watched.take(start("a", 1001, step="a", parent="r", ttl_s=60.0))
    watched.now_s = 1100
    watched.take(start("b", 1100, step="b", parent="r", ttl_s=60.0))
    assert await watched.watch.sweep() == []
    watched.take(stop("b", 1105))
    watched.now_s = 1159
    assert await watched.watch.sweep() == []
    watched.now_s = 1161
    assert await watched.watch.sweep() == ["a"]


async def test_a_replayed_run_is_lost_at_the_time_of_its_events_not_of_the_replay(watched):
    watched.now_s = 5000
    watched.take(start("r", 1000, ttl_s=120.0))
    watched.take(start("a", 1200, step="a", parent="r"))
    watched.take(stop("a", 1300))
    assert await watched.watch.sweep() == []
    watched.now_s = 5121
    assert await watched.watch.sweep() == ["r"]
    assert watched.step("r").end_ns == 1300 * SECOND


async def test_after_a_restart_a_run_gets_its_time_anew_but_ends_where_it_was_last_heard(watched):
    watched.take(start("r", 1000, ttl_s=120.0))
    watched.now_s = 1090
    watched.watch.heard("r", 1090 * SECOND, 1090 * SECOND)
    await watched.watch.write()
    watched.now_s = 2000
    watched.watch = watched.new_watch()
    watched.now_s = 2119
    assert await watched.watch.sweep() == []
    watched.now_s = 2121
    assert await watched.watch.sweep() == ["r"]
    assert watched.step("r").end_ns == 1090 * SECOND


async def test_signs_that_the_journal_refused_are_written_later(watched, monkeypatch):
    """Else a run that is lost after a restart would have ended where it was heard long before."""
    watched.take(start("r", 1000, ttl_s=120.0))
    watched.watch.heard("r", 1090 * SECOND, 1090 * SECOND)

    def refuse(_work):
        refused = Future()
        refused.set_exception(JournalError("disk full"))
        return refused

    with monkeypatch.context() as patched:
        patched.setattr(watched.journal, "submit", refuse)
        with pytest.raises(JournalError):
            await watched.watch.write()
    await watched.watch.write()
    assert watched.journal.life()["r"][1] == 1090 * SECOND


async def test_runs_that_have_ended_leave_nothing_in_memory(watched):
    for number in range(100):
        watched.take(start(f"r{number}", 1000 + number))
        watched.take(stop(f"r{number}", 1001 + number))
    await watched.watch.sweep()
    assert not watched.watch._signs
    assert not watched.watch._changed


async def test_a_run_that_begins_while_the_open_ones_are_read_is_not_forgotten(watched, monkeypatch):
    """It is not among those that were read, and its only sign came meanwhile."""
    watched.now_s = 5000
    read = watched.journal.open_steps

    def begin_meanwhile():
        found = read()
        watched.take(start("r", 5000, ttl_s=120.0))
        return found

    monkeypatch.setattr(watched.journal, "open_steps", begin_meanwhile)
    await watched.watch.sweep()
    monkeypatch.undo()
    watched.now_s = 5119
    assert await watched.watch.sweep() == []
    assert watched.step("r").state == "running"
