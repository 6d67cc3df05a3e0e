"""Steps, results, marks and profiles in a real InfluxDB, and what happens when it is not well."""

import json
import uuid

import pytest

from energyrecorder_annotator.baseline import Baselines
from energyrecorder_annotator.influx.client import InfluxClient
from energyrecorder_annotator.influx.settings import InfluxSettings
from energyrecorder_annotator.journal.base import Mark, StoredResult
from energyrecorder_annotator.journal.outbox import NAMES_PER_DAY
from energyrecorder_annotator.journal.sqlite import SqliteJournal
from energyrecorder_annotator.lifecycle import Patch, expire
from energyrecorder_annotator.samples.base import Batch, Reading
from energyrecorder_annotator.samples.embedded import EmbeddedSamples
from energyrecorder_annotator.sinks.base import SinkAwayError
from energyrecorder_annotator.sinks.delivery import Delivery
from energyrecorder_annotator.sinks.influx import InfluxSink
from energyrecorder_annotator.sinks.profile import KEPT, Profiles
from support.journal import take
from support.steps import SECOND, start, stop

T0 = 1_700_000_000
HOSTILE = 'a\nb, c="d" \\ \x00 \u2028 🎉 <script>alert(1)</script> =\\'


class Bench:
    """A journal and its delivery to InfluxDB; the test turns the crank."""

    def __init__(self, directory, url, database, **settings):
        self.journal = SqliteJournal(directory / "journal.db")
        self.samples = EmbeddedSamples(directory / "samples.db")
        self.now_s = T0
        self.url = url
        self.database = database
        self.settings = settings
        self.client = self.delivery = None
        self.connect()

    def connect(self):
        """Begin anew, as after a restart of the annotator."""
        if self.client is not None:
            self.client.close()
        clock = lambda: self.now_s * SECOND  # noqa: E731  # one short clock
        settings = InfluxSettings(self.url, self.database, **{"timeout_s": 5.0, **self.settings})
        self.client = InfluxClient(settings)
        profiles = Profiles(self.journal, self.samples)
        sink = InfluxSink(
            self.client,
            self.journal.has_own_series,
            clock=clock,
            profiles=profiles,
            baselines=Baselines(self.journal),
        )
        self.delivery = Delivery(sink, self.journal, clock=clock, retry_most_s=0.1)

    def take(self, *events):
        for event in events:
            take(self.journal, event)

    def result(self, step_id, energy_j=3600.0, **more):
        look = next(one for one in self.journal.looks(2**62, 10_000) if one.step_id == step_id)
        part = {"energy_j": energy_j, "u95_j": 36.0, "avg_w": 100.0, "coverage": 1.0, "samples": 7}
        detail = {
            **part,
            "quality": "resolved",
            "reason": "",
            "method": "m",
            "side": "ac",
            "servers": 1,
            "expected": 1,
            "overlap": 0,
            "computed_ns": self.now_s * SECOND,
            "per_server": {"n1": {**part, "quality": "unresolvable"}},
            **more,
        }
        result = StoredResult(detail, 7, 7)
        assert self.journal.submit(lambda t: t.put_result(look, result, None)).result(60)

    def deliver(self):
        while self.delivery.tick():
            pass

    def rows(self, measurement="energy_steps", columns="*", where=""):
        query = f'SELECT {columns} FROM "{measurement}" {where}'
        return [
            dict(zip(series.columns, row, strict=True))
            for series in self.client.query(query)[0]
            for row in series.rows
        ]

    def close(self):
        self.client.close()
        self.journal.close()
        self.samples.close()


@pytest.fixture
def bench(tmp_path, influxd):
    one = Bench(tmp_path, influxd.url, f"db{uuid.uuid4().hex}")
    yield one
    one.close()


def test_a_step_is_one_point_at_its_start_that_follows_its_life(bench):
    bench.take(start("r", T0, url="https://ci/1", tags={"commit": "abc", "k": "v,w"}))
    bench.deliver()
    [row] = bench.rows()
    assert (row["time"], row["state"], row["newState"]) == (T0 * SECOND, "running", "pending")
    assert row["time_end"] == T0 * 1000 + 1000
    assert (row["level"], row["scenario"], row["quality"], row["commit"]) == (
        "scenario",
        "functest",
        "pending",
        "abc",
    )
    bench.now_s = T0 + 42
    bench.delivery._touch_at_s = 0
    bench.deliver()
    [row] = bench.rows()
    assert (row["state"], row["time_end"]) == ("running", (T0 + 42) * 1000)
    bench.take(stop("r", T0 + 60))
    bench.result("r")
    bench.deliver()
    [row] = bench.rows()
    assert (row["state"], row["newState"], row["quality"]) == ("passed", "ok", "resolved")
    assert (row["energy_j"], row["energy_wh"], row["duration_s"]) == (3600.0, 1.0, 60.0)
    assert row["time_end"] == (T0 + 60) * 1000
    assert '<a href="https://ci/1"' in row["text"]
    [server] = bench.rows("energy_step_servers")
    assert (server["server"], server["energy_j"], server["step_id"]) == ("n1", 3600.0, "r")
    assert server["quality"] == "unresolvable"


def test_a_step_without_a_length_ends_a_millisecond_after_its_start(bench):
    """Else Grafana draws it until the next step."""
    bench.take(start("r", T0), stop("r", T0))
    bench.deliver()
    [row] = bench.rows()
    assert (row["time"], row["time_end"], row["duration_s"]) == (T0 * SECOND, T0 * 1000 + 1, 0.0)


def test_names_from_outside_come_back_whole_and_html_is_escaped(bench):
    bench.take(
        start("r", T0, scenario=HOSTILE), start("s", T0 + 1, scenario=HOSTILE, step=HOSTILE, parent="r")
    )
    bench.deliver()
    rows = bench.rows()
    assert len(rows) == 2
    assert all("<script>" not in row["text"] for row in rows)
    step = next(row for row in rows if row["level"] == "step")
    assert step["title"].replace("\x00", " ") == HOSTILE.replace("\x00", " ")
    assert bench.delivery.sink.has(bench.delivery._items(["s"])[0])


def test_a_field_that_must_disappear_does(bench):
    """A stop that replaces a loss takes the result away until there is a new one."""
    bench.take(start("r", T0))
    bench.journal.submit(lambda t: t.put_steps(expire("r", (T0 + 30) * SECOND, t).changed)).result(60)
    bench.result("r")
    bench.deliver()
    assert bench.rows()[0]["energy_j"] == 3600.0
    bench.take(stop("r", T0 + 60))
    bench.deliver()
    [row] = bench.rows()
    assert (row["state"], row["quality"]) == ("passed", "pending")
    assert row.get("energy_j") is None
    assert bench.rows("energy_step_servers") == []


def test_a_stop_before_its_start_is_shown_once_it_has_one(bench):
    bench.take(stop("r", T0 + 60, env="pod1", scenario="functest"))
    bench.deliver()
    assert not bench.journal.changes(bench.journal.cursor("influxdb").steps_seq, 10)
    bench.take(start("r", T0))
    bench.deliver()
    assert [row["time"] for row in bench.rows()] == [T0 * SECOND]


def test_marks_are_points(bench):
    mark = Mark("m", "pod1", "note", T0 * SECOND, "vm <gone>", "a & b", "functest", "r", None)
    bench.journal.submit(lambda t: t.add_mark(mark)).result(60)
    bench.deliver()
    [row] = bench.rows("energy_marks")
    assert (row["title"], row["text"], row["kind"], row["run_id"]) == ("vm <gone>", "a &amp; b", "note", "r")


def test_more_new_step_names_than_a_day_may_bring_are_other(bench, caplog):
    many = [(f"s{number}", T0 + number, f"name{number}") for number in range(NAMES_PER_DAY + 3)]
    for events in (many, [("again", T0 + 5000, "name0"), ("morrow", T0 + 90_000, "tomorrow")]):
        bench.take(*(start(step_id, at_s, step=name) for step_id, at_s, name in events))
    bench.deliver()
    names = [row["step"] for row in bench.rows(columns='"step", "state"', where="WHERE level='step'")]
    assert names.count("other") == 3
    assert names.count("name0") == 2
    assert "tomorrow" in names
    assert "too many new step names" in caplog.text
    assert bench.journal.step("s502")[0].step == "name502"


def power(bench, began, ended):
    readings = [
        Reading("pod1", server, "server", None, second * SECOND, watts)
        for server, watts in (("n1", 100.0), ("n2", 50.0))
        for second in range(began - 5, ended + 5)
    ]
    bench.samples.add(Batch(readings=readings))


def test_the_profile_of_a_run_starts_at_the_epoch_and_the_last_50_are_kept(bench):
    power(bench, T0, T0 + 60)
    for number in range(KEPT + 2):
        run_id = f"r{number:02}"
        bench.take(start(run_id, T0 + number), stop(run_id, T0 + number + 10))
        bench.result(run_id, per_server={"n1": {}, "n2": {}})
        bench.deliver()
    rows = bench.rows("energy_run_profile")
    assert {row["run"] for row in rows} == {f"r{number:02}" for number in range(2, KEPT + 2)}
    last = [row for row in rows if row["run"] == f"r{KEPT + 1:02}"]
    assert {row["watts"] for row in last} == {150.0}
    assert 0 <= min(row["time"] for row in last) <= SECOND
    assert max(row["time"] for row in last) <= 10 * SECOND
    assert all(row["elapsed_s"] * 1e9 == pytest.approx(row["time"]) for row in last)


def test_a_partial_write_costs_only_the_point_that_is_refused(bench):
    """A field of another type in the database, as a foreign writer may leave it."""
    bench.client.create_database()
    bench.client.write(f'energy_steps,env=x exit_code="text" {T0 * SECOND}')
    bench.take(*(start(f"r{n}", T0 + n, scenario=f"sc{n}") for n in range(12)))
    bench.take(stop("r7", T0 + 50, exit_code=3), stop("r8", T0 + 50))
    bench.deliver()
    states = {row["step_id"]: row["state"] for row in bench.rows() if row["step_id"]}
    assert set(states) == {f"r{n}" for n in range(12) if n != 7}
    assert states["r8"] == "passed"
    [letter] = bench.journal.dead_letters(10)
    assert (letter.item_id, letter.version) == ("r7", 2)
    assert "partial write" in letter.reason
    bench.client.query('DROP MEASUREMENT "energy_steps"')
    bench.take(Patch("r7", title="mended"))
    bench.deliver()
    assert bench.journal.dead_letters(10) == []


def test_nothing_is_lost_when_it_is_away_and_the_state_is_the_last(tmp_path, influxd_of_its_own):
    bench = Bench(tmp_path, influxd_of_its_own.url, "energyrecorder")
    try:
        bench.take(start("early", T0))
        bench.deliver()
        influxd_of_its_own.stop()
        bench.take(*(start(f"r{n}", T0 + n, scenario=f"sc{n}") for n in range(1200)))
        bench.take(*(stop(f"r{n}", T0 + 2000) for n in range(0, 1200, 2)), stop("early", T0 + 9))
        for _ in range(3):
            with pytest.raises(SinkAwayError, match="cannot be reached"):
                bench.delivery.tick()
        bench.connect()
        influxd_of_its_own.start()
        bench.deliver()
        states = {row["step_id"]: row["state"] for row in bench.rows(columns='"step_id", "state"')}
        assert len(states) == 1201
        assert states["early"] == states["r0"] == "passed"
        assert states["r1"] == "running"
    finally:
        bench.close()


@pytest.mark.parametrize("restarted", [False, True])
def test_a_database_that_lost_its_data_is_told_everything_again(bench, restarted):
    bench.take(start("r", T0), stop("r", T0 + 5))
    bench.deliver()
    bench.client.query(f'DROP DATABASE "{bench.database}"')
    if restarted:
        bench.connect()
    else:
        bench.take(start("later", T0 + 10))
    bench.deliver()
    assert "r" in {row["step_id"] for row in bench.rows()}


def test_a_crash_between_delivery_and_commit_delivers_again(bench, monkeypatch):
    bench.take(start("r", T0))
    saved = bench.delivery._save
    monkeypatch.setattr(
        bench.delivery, "_save", lambda cursor, taken, dead: saved(cursor, [], []) if not taken else 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        bench.deliver()
    bench.connect()
    bench.take(stop("r", T0 + 5))
    bench.deliver()
    assert [row["state"] for row in bench.rows()] == ["passed"]
    assert json.loads(bench.journal.memos("influxdb", ["r"])["r"])[0] == T0 * SECOND
