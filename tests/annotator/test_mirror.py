"""The original's measurements beside ours: what its readers find in the database they know."""

import time
import uuid

import pytest

from energyrecorder.errors import ConfigError
from energyrecorder_annotator.config import load_config
from energyrecorder_annotator.influx.client import InfluxClient
from energyrecorder_annotator.influx.settings import InfluxSettings
from energyrecorder_annotator.journal.sqlite import SqliteJournal
from energyrecorder_annotator.lifecycle import apply
from energyrecorder_annotator.original import mirror as mirror_module
from energyrecorder_annotator.original import stack
from energyrecorder_annotator.original.mirror import SampleMirror, ScenarioMirror, scenario_lines
from energyrecorder_annotator.samples.base import Batch, Reading, SensorReading
from energyrecorder_annotator.sinks.delivery import Delivery
from support.annotator import begin, config_file, running
from support.fake_server import FakeServer
from support.steps import SECOND, MemoryView, at

T0 = 1_700_000_000
HOSTILE = 'a,b=c d "q" \\ \n'


class Recorder:
    """The stack of one environment, with a clock that the test turns."""

    def __init__(self, env="pod1"):
        self.view = MemoryView()
        self.env = env
        self._number = 0

    def new_id(self):
        self._number += 1
        return f"legacy:{self._number}"

    def post(self, at_s, scenario, step):
        events = stack.start(
            self.view, self.env, scenario, step, time=at(at_s), ttl_s=60.0, make_id=self.new_id
        )
        for event in events:
            self.view.take(event)

    def step(self, at_s, step):
        for event in stack.set_step(self.view, self.env, step, time=at(at_s), make_id=self.new_id):
            self.view.take(event)

    def delete(self, at_s):
        for event in stack.stop(self.view, self.env, time=at(at_s)):
            self.view.take(event)

    def lines(self):
        """Every line of every step, once, in order of time."""
        steps = list(self.view.steps.values())
        lines = {line for step in steps for line in scenario_lines(step, steps)}
        return sorted(lines, key=lambda line: int(line.rsplit(" ", 1)[1]))

    def newest(self):
        tags, fields, _ = self.lines()[-1].rsplit(" ", 2)
        return tags.split("scenario=")[1].replace(",step=", "/"), fields


def test_the_newest_point_of_an_environment_always_tells_what_runs():
    recorder = Recorder()
    recorder.post(T0, "outer", "running")
    assert recorder.newest() == ("outer/running", "started=1.0")
    recorder.step(T0 + 1, "one")
    assert recorder.newest() == ("outer/one", "started=1.0")
    recorder.post(T0 + 2, "inner", "running")
    assert recorder.newest() == ("inner/running", "started=1.0")
    recorder.post(T0 + 3, "outer", "one")
    assert recorder.newest() == ("outer/one", "started=1.0"), "what the decorator restores is started again"
    recorder.step(T0 + 4, "")
    assert recorder.newest() == ("outer/n/s", "started=1.0")
    recorder.delete(T0 + 5)
    assert recorder.newest() == ("outer/n/s", "started=0.0")
    assert recorder.lines()[0] == (
        f"RunningScenarios,environment=pod1,scenario=outer,step=running started=1.0 {T0 * SECOND}"
    )


def journal_of(recorder, directory):
    journal = SqliteJournal(directory / "journal.db")
    steps = list(recorder.view.steps.values())
    journal.submit(lambda transaction: transaction.put_steps(steps)).result(60)
    return journal


def test_samples_carry_the_session_of_their_own_time(tmp_path, influxd):
    recorder = Recorder()
    recorder.post(T0, "outer", HOSTILE)
    recorder.post(T0 + 10, "inner", "")
    recorder.delete(T0 + 20)
    journal = journal_of(recorder, tmp_path)
    database = f"db{uuid.uuid4().hex}"
    mirror = SampleMirror(InfluxClient(InfluxSettings(influxd.url, database)), journal)
    place = (("site", "north"), ("rack", "r7"))
    readings = [
        Reading("pod1", "n1", "server", None, (T0 + n) * SECOND, 100.0 + n, place=place)
        for n in (-1, 0, 5, 10, 20)
    ]
    others = [
        Reading("pod1", "n1", "component", "psu1", T0 * SECOND, 7.0, protocol="redfish"),
        Reading("pod1", "n1", "component", "psu1", T0 * SECOND, 8.0, protocol="legacy"),
        Reading("pod1", "n2", "server", "legacy", T0 * SECOND, 9.0, protocol="legacy"),
        Reading("pod1", "n2", "server", None, T0 * SECOND, None),
        Reading("pod2", "n1", "server", None, (T0 + 5) * SECOND, 11.0),
    ]
    inlet = SensorReading("pod1", "n1", "inlet temp", "C", T0 * SECOND, 21.5)
    mirror.take(Batch(readings=[*readings, *others], sensors=[inlet]))
    assert mirror.write() == mirror_module.WRITE_EVERY_S
    [series] = influxd.query("SELECT * FROM SensorMeasurement", database)
    rows = [dict(zip(series["columns"], row, strict=True)) for row in series["values"]]
    bmc = [row for row in rows if (row["environment"], row["equipement"]) == ("pod1", "n1")]
    power = [row for row in bmc if (row["sensor"], row["unit"]) == ("power", "W")]
    escaped = HOSTILE.replace("\n", " ").replace("\\", "/")
    assert [(row["scenario"], row["step"], row["value"]) for row in power] == [
        ("n/s", "n/s", 99),
        ("outer", escaped, 100),
        ("outer", escaped, 105),
        ("inner", "n/s", 110),
        ("n/s", "n/s", 120),
    ]
    assert {(row["dc"], row["rack"]) for row in power} == {("north", "r7")}
    assert [row["value"] for row in bmc if row["sensor"] == "psu1"] == [8]
    assert [(row["unit"], row["value"]) for row in bmc if row["sensor"] == "inlet temp"] == [("C", 21.5)]
    assert [(row["sensor"], row["value"]) for row in rows if row["equipement"] == "n2"] == [("power", 9)]
    [elsewhere] = [row for row in rows if row["environment"] == "pod2"]
    assert (elsewhere["scenario"], elsewhere["value"]) == ("n/s", 11)
    journal.close()


def test_while_the_database_is_away_samples_wait_in_bounded_memory(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(mirror_module, "MOST_WAITING", 10)
    state = {"status": 503}
    server = FakeServer(lambda *_: (state["status"], b"", {}))
    journal = SqliteJournal(tmp_path / "journal.db")
    mirror = SampleMirror(InfluxClient(InfluxSettings(server.url, "NRG")), journal)
    for first in (0, 8):
        mirror.take(
            Batch(
                readings=[
                    Reading("pod1", "n1", "server", None, n * SECOND, float(n))
                    for n in range(first, first + 8)
                ]
            )
        )
        assert mirror.write() > 0
    state["status"] = 204
    mirror.write()
    body = server.requests[-1][3].decode()
    assert [line.split(" ")[1] for line in body.splitlines()] == [f"value={n}.0" for n in range(6, 16)]
    assert sum("wait" in record.message for record in caplog.records) == 1
    assert mirror.write() == mirror_module.WRITE_EVERY_S
    journal.close()
    server.close()


def test_sessions_wait_for_the_database_and_steps_of_v1_are_not_told(tmp_path):
    state = {"status": 503}
    server = FakeServer(lambda *_: (state["status"], b"", {}))
    recorder = Recorder()
    journal = SqliteJournal(tmp_path / "journal.db")
    sink = ScenarioMirror(InfluxClient(InfluxSettings(server.url, "NRG")), journal)
    delivery = Delivery(sink, journal, clock=time.time_ns, retry_most_s=0.1)
    assert delivery._try() >= 0
    recorder.post(T0, "outer", "one")
    recorder.delete(T0 + 9)
    mine = stack.start(
        MemoryView(), "pod1", "by v1", "", time=at(T0 + 1), ttl_s=60.0, make_id=lambda: "not-a-session"
    )
    steps = [*recorder.view.steps.values(), apply(mine[0], MemoryView()).step]
    journal.submit(lambda transaction: transaction.put_steps(steps)).result(60)
    assert delivery._try() > 0
    assert delivery.status().backlog == 3
    state["status"] = 204
    while delivery._try() > 0:
        pass
    lines = sorted(server.requests[-1][3].decode().splitlines(), key=lambda line: int(line.split(" ")[-1]))
    assert [line.split(",", 2)[2] for line in dict.fromkeys(lines)] == [
        f"scenario=outer,step=one started=1.0 {T0 * SECOND}",
        f"scenario=outer,step=one started=0.0 {(T0 + 9) * SECOND - 1}",
    ]
    sink.close()
    journal.close()
    server.close()


def test_old_readers_find_in_their_database_what_they_know(tmp_path, influxd):
    nrg, own = f"nrg{uuid.uuid4().hex}", f"db{uuid.uuid4().hex}"
    more = f'[influxdb]\nurl = "{influxd.url}"\ndatabase = "{own}"\n[legacy]\nmirror_database = "{nrg}"\n'

    def found(query):
        if [nrg] not in influxd.query("SHOW DATABASES")[0].get("values", []):
            return None
        series = influxd.query(query, nrg)
        return series[0]["values"] if series else None

    with running(tmp_path, more=more) as annotator:
        client = annotator.client()
        begin(client, "pod1")
        path = "/resources/recorders/environment/pod1"
        assert client.post(path, {"scenario": "functest", "step": "vping"})[0] == 200
        sample = {"environment": "pod1", "measurements": [{"sensor": "power", "unit": "W", "value": 250}]}
        assert client.post("/resources/equipments/n1/measurements", sample)[0] == 200
        query = "SELECT scenario, step, value FROM SensorMeasurement WHERE equipement = 'n1'"
        [row] = annotator.until(lambda: found(query))
        assert row[1:] == ["functest", "vping", 250]
        assert client.json("DELETE", path)[0] == 200
        last = "SELECT scenario, step, last(started) FROM RunningScenarios WHERE environment = 'pod1'"
        annotator.until(lambda: (r := found(last)) and r[0][1:] == ["functest", "vping", 0])
        names = [sink["name"] for sink in client.get("/v1/sinks")["sinks"]]
        assert names == ["influxdb", "original"]
        assert annotator.stop() == 0


def test_a_mirror_needs_an_influxdb_and_takes_what_it_says_of_it(tmp_path):
    def load(more):
        path = config_file(tmp_path, more=more)
        return load_config(config=str(path), fleet=None, environ={}, flags={}).mirror

    assert load("") is None
    with pytest.raises(ConfigError, match=r"mirror_database is 'NRG'.*\[influxdb\]"):
        load('[legacy]\nmirror_database = "NRG"\n')
    first = load('[influxdb]\nuser = "u"\npassword = "p"\n[legacy]\nmirror_database = "NRG"\n')
    assert (first.database, first.bucket, first.user) == ("NRG", None, "u")
    second = load('[influxdb]\nbucket = "b"\norg = "o"\ntoken = "t"\n[legacy]\nmirror_database = "NRG"\n')
    assert (second.bucket, second.org) == ("NRG", "o")
