"""Readings that come after their time: results are looked at again soon, once, and without being asked."""

import time
import uuid
from dataclasses import replace

import pytest

from energyrecorder_annotator.journal.base import JournalError
from energyrecorder_annotator.late import MOST_S, QUIET_ELSEWHERE_S, QUIET_S, LateReadings
from energyrecorder_annotator.samples.base import Batch, BmcPoll, Reading
from support.annotator import begin, running
from support.results import T0, Bench
from support.steps import SECOND, start, stop


class LateBench(Bench):
    """The results' bench with late readings on the same clock."""

    def __init__(self, directory):
        super().__init__(directory)
        self.late = LateReadings(self.journal, self.freshness, clock=self.clock, now_s=lambda: self.now_s)

    def add(self, batch):
        self.samples.add(batch)
        self.late.take(batch)
        self.freshness.add(batch)

    def written_elsewhere(self, from_s, to_s):
        """Readings of n1 in a database that is asked for the newest alone."""
        readings = [
            Reading("pod1", "n1", "server", None, second * SECOND, 100.0, window_s=1.0, clock="bmc")
            for second in range(from_s, to_s)
        ]
        self.samples.add(Batch(readings=readings))
        self.newest(readings[-1])

    def newest(self, reading):
        self.late.take_newest(Batch(readings=[reading]))
        self.freshness.add(Batch(readings=[reading]))

    def mute_step(self):
        """A step from T0+100 to T0+160 whose result is computed without its only server."""
        self.add(Batch(polls=[BmcPoll("pod1", "n1", (T0 + 90) * SECOND, False, "unknown", "timeout")]))
        self.step()
        assert self.tick_at(T0 + 290) == 1
        assert self.result()["energy_j"] is None


@pytest.fixture
def bench(tmp_path):
    one = LateBench(tmp_path)
    yield one
    one.journal.close()
    one.samples.close()


async def test_late_readings_change_the_result_without_waiting_for_the_next_look(bench):
    bench.mute_step()
    bench.power("n1", T0, T0 + 200)
    assert await bench.late.tick() == 0, "more may come"
    bench.now_s += QUIET_S
    assert await bench.late.tick() == 1
    assert bench.tick_at(bench.now_s) == 1
    assert bench.result()["quality"] == "resolved"
    assert bench.result()["energy_j"] == pytest.approx(6000, rel=0.01)
    assert await bench.late.tick() == 0


async def test_while_the_journal_refuses_no_late_reading_is_forgotten(bench, monkeypatch):
    """Nor those that come while it is asked: what it could not be told is told with them."""
    bench.mute_step()
    bench.power("n1", T0, T0 + 200)
    bench.now_s += QUIET_S

    async def refuse(_query):
        bench.add(Batch(readings=[Reading("pod1", "n1", "server", None, (T0 + 10) * SECOND, 100.0)]))
        raise JournalError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(bench.late, "_look_again", refuse)
        with pytest.raises(JournalError):
            await bench.late.tick()
    bench.now_s += QUIET_S
    assert await bench.late.tick() == 1
    assert bench.tick_at(bench.now_s) == 1
    assert bench.result()["quality"] == "resolved"


async def test_while_they_keep_coming_it_is_looked_at_now_and_then(bench):
    bench.mute_step()
    looked = 0
    for second in range(30):
        bench.power("n1", T0 + 100 + 2 * second, T0 + 102 + 2 * second)
        bench.now_s += 1
        looked += await bench.late.tick()
    assert looked == 30 // MOST_S


async def test_readings_out_of_order_count_however_recent(bench):
    bench.power("n1", T0, T0 + 140)
    bench.power("n1", T0 + 150, T0 + 170)
    bench.step()
    assert bench.tick_at(T0 + 170) == 1
    version = bench.journal.step("r")[0].version
    bench.power("n1", T0 + 140, T0 + 150, watts=500.0)
    bench.now_s += QUIET_S
    assert await bench.late.tick() == 1
    assert bench.tick_at(bench.now_s) == 1
    assert bench.result()["energy_j"] == pytest.approx(10_000, rel=0.05)
    assert bench.journal.step("r")[0].version == version + 1


async def test_the_same_readings_again_change_nothing(bench):
    bench.power("n1", T0, T0 + 170)
    bench.step()
    bench.tick_at(T0 + 170)
    before, version = bench.result(), bench.journal.step("r")[0].version
    bench.power("n1", T0, T0 + 170)
    bench.now_s += QUIET_S
    assert await bench.late.tick() == 1
    assert bench.tick_at(bench.now_s) == 1
    assert (bench.result(), bench.journal.step("r")[0].version) == (before, version)


async def test_other_environments_times_and_steps_that_run_are_left_alone(bench):
    bench.mute_step()
    bench.take(start("open", T0 + 100, scenario="open"))
    bench.take(start("far", T0 - 1000, scenario="far"), stop("far", T0 - 900))
    assert bench.tick_at(T0 + 290) == 1
    readings = [("pod2", T0 + 100), ("pod1", T0 + 290 - 61)]
    for env, at_s in readings:
        bench.power("n1", at_s, at_s + 1, env=env)
        bench.now_s += QUIET_S
        assert await bench.late.tick() == 0
    bench.power("n1", T0 + 160 + 59, T0 + 160 + 60)
    bench.now_s += QUIET_S
    assert await bench.late.tick() == 1


async def test_readings_in_their_time_and_order_are_not_late(bench):
    bench.now_s = T0 + 50
    bench.power("n1", T0, T0 + 50)
    assert bench.freshness.late(Batch(), bench.clock()) == {}
    assert bench.late._spans == {}


async def test_the_plan_begins_anew_so_that_still_later_readings_are_found_too(bench):
    bench.mute_step()
    bench.tick_at(T0 + 290 + 90_000)
    for _ in range(5):
        bench.tick_at(bench.now_s + 90_000)
    assert bench.journal.looks(2**62, 10) == []
    bench.power("n1", T0, T0 + 200)
    bench.now_s += QUIET_S
    assert await bench.late.tick() == 1
    bench.tick_at(bench.now_s)
    assert bench.result()["quality"] == "resolved"
    assert [one.look for one in bench.journal.looks(2**62, 10)] == [2]


async def test_what_telegraf_writes_late_is_known_by_the_jump_of_the_newest(bench):
    bench.written_elsewhere(T0, T0 + 90)
    bench.now_s += MOST_S
    assert await bench.late.tick() == 0, "no step yet"
    bench.step()
    assert bench.tick_at(T0 + 290) == 1
    assert bench.result()["energy_j"] is None
    bench.written_elsewhere(T0 + 90, T0 + 290)
    bench.now_s += QUIET_ELSEWHERE_S - 1
    assert await bench.late.tick() == 0, "Telegraf writes every ten seconds"
    bench.now_s += 1
    assert await bench.late.tick() == 1
    assert bench.tick_at(bench.now_s) == 1
    assert bench.result()["quality"] == "resolved"


async def test_what_comes_slowly_is_known_by_its_age(bench):
    bench.written_elsewhere(T0, T0 + 90)
    bench.now_s += MOST_S
    assert await bench.late.tick() == 0, "no step yet"
    bench.step()
    bench.now_s = T0 + 1000
    bench.results.tick()
    looked = 0
    for second in range(25):
        bench.written_elsewhere(T0 + 90 + 5 * second, T0 + 95 + 5 * second)
        bench.now_s += 1
        looked += await bench.late.tick()
    assert looked == 1
    bench.results.tick()
    assert bench.result()["quality"] == "resolved"


async def test_a_server_that_is_new_is_looked_at_for_the_hour_before(bench):
    bench.step()
    bench.now_s = T0 + 290
    bench.results.tick()
    bench.samples.add(Batch(readings=[Reading("pod1", "n1", "server", None, (T0 + 120) * SECOND, 100.0)]))
    bench.written_elsewhere(T0 + 280, T0 + 290)
    bench.now_s += QUIET_ELSEWHERE_S
    assert await bench.late.tick() == 1


@pytest.mark.parametrize("every_s", [1, 10, 60, 119])
async def test_a_newest_reading_in_its_time_is_not_late_nor_is_one_that_stays(bench, every_s):
    bench.written_elsewhere(T0, T0 + 1)
    bench.now_s += MOST_S
    await bench.late.tick()
    reading = Reading("pod1", "n1", "server", None, round(bench.now_s) * SECOND, 100.0)
    bench.newest(reading)
    for _ in range(5):
        bench.now_s += every_s
        reading = replace(reading, t_ns=round(bench.now_s) * SECOND)
        bench.newest(reading)
    for _ in range(300):
        bench.now_s += 1
        bench.newest(reading)
    assert bench.late._spans == {}


def lines(env, first_ns, count):
    return "".join(
        f"server_power,env={env},server=n1,scope=server "
        f'watts=200,window_s=0,clock="bmc" {first_ns + n * SECOND}\n'
        for n in range(count)
    ).encode()


def test_samples_that_a_site_pushes_after_the_fact_give_the_step_its_energy(tmp_path):
    with running(tmp_path) as annotator:
        client = annotator.client()
        began_ns = time.time_ns() - 300 * SECOND
        run_id, _ = begin(client, "site", started_at=began_ns, ttl_s=3600)
        stop_at = {"outcome": "passed", "ended_at": began_ns + 60 * SECOND}
        assert client.post(f"/v1/steps/{run_id}/stop", stop_at)[0] == 202
        first = annotator.until(lambda: client.get(f"/v1/runs/{run_id}")["run"]["result"])
        assert first["energy_j"] is None
        for part in range(3):
            body = lines("site", began_ns + (part * 40 - 20) * SECOND, 40)
            assert client.ask("POST", "/v1/samples", body)[0] == 200
        # The first planned look is a minute after the first result; this one is there before.
        result = annotator.until(
            lambda: (r := client.get(f"/v1/runs/{run_id}")["run"]["result"])["quality"] == "resolved" and r
        )
        assert result["energy_j"] == pytest.approx(60 * 200, rel=0.01)
        assert result["computed_ns"] - first["computed_ns"] < 60 * SECOND
        assert any("late readings: 1 results" in line for line in annotator.log)


def test_samples_that_telegraf_writes_after_the_fact_give_the_step_its_energy(tmp_path, influxd):
    """They never pass by the annotator; the first planned look would be a minute later."""
    database = f"db{uuid.uuid4().hex}"
    more = f'[samples]\nkind = "influxdb"\n[influxdb]\nurl = "{influxd.url}"\ndatabase = "{database}"\n'
    with running(tmp_path, more=more) as annotator:
        client = annotator.client()
        began_ns = time.time_ns() - 600 * SECOND
        run_id, _ = begin(client, "site", started_at=began_ns, ttl_s=3600)
        stop_at = {"outcome": "passed", "ended_at": began_ns + 60 * SECOND}
        assert client.post(f"/v1/steps/{run_id}/stop", stop_at)[0] == 202
        run = annotator.client
        first = annotator.until(lambda: run().get(f"/v1/runs/{run_id}")["run"]["result"])
        assert first["energy_j"] is None
        influxd.write(database, lines("site", began_ns - 20 * SECOND, 610).decode())
        result = annotator.until(
            lambda: (r := run().get(f"/v1/runs/{run_id}")["run"]["result"])["quality"] == "resolved" and r
        )
        assert result["energy_j"] == pytest.approx(60 * 200, rel=0.01)
        assert result["computed_ns"] - first["computed_ns"] < 60 * SECOND
