"""The annotator as a process with InfluxDB as its sink and as its store of readings."""

import sys
import threading
import uuid
from urllib.parse import unquote

import pytest

from support.annotator import PLUGINS, begin, running
from support.fake_server import FakeServer

STEADY = [sys.executable, str(PLUGINS / "steady.py")]


def settings(influxd, *, kind):
    database = f"db{uuid.uuid4().hex}"
    more = f'[samples]\nkind = "{kind}"\n[influxdb]\nurl = "{influxd.url}"\ndatabase = "{database}"\n'
    return database, f'{more}retry_most = "300ms"\n'


def points(influxd, database, step_id, measurement="energy_steps"):
    """Return the points of a step; none as long as nobody has made the database."""
    if [database] not in influxd.query("SHOW DATABASES")[0].get("values", []):
        return []
    series = influxd.query(f"SELECT * FROM {measurement} WHERE step_id = '{step_id}'", database)
    return [dict(zip(one["columns"], row, strict=True)) for one in series for row in one["values"]]


@pytest.mark.parametrize("kind", ["embedded", "influxdb"])
def test_a_step_gets_its_energy_and_influxdb_knows_it(tmp_path, influxd, kind):
    database, more = settings(influxd, kind=kind)
    with running(tmp_path, commands=[STEADY], more=more) as annotator:
        client = annotator.client()
        annotator.until(lambda: client.get("/v1/power?env=pod1&from=0&to=9000000000000000000")["series"])
        annotator.until(lambda: begin(client, "pod1")[1]["servers"] == 2)
        step_id, _ = begin(client, "pod1", tags={"commit": "abc"})
        found = annotator.until(lambda: points(influxd, database, step_id))
        assert (found[0]["state"], found[0]["newState"]) == ("running", "pending")
        assert client.post(f"/v1/steps/{step_id}/stop", {"outcome": "failed"})[0] == 202
        annotator.until(lambda: client.get(f"/v1/runs/{step_id}")["run"]["result"])
        [row] = annotator.until(
            lambda: [row for row in points(influxd, database, step_id) if row["quality"] != "pending"]
        )
        assert (row["state"], row["newState"], row["commit"]) == ("failed", "alerting", "abc")
        assert row["energy_j"] > 0
        servers = points(influxd, database, step_id, "energy_step_servers")
        assert {one["server"] for one in servers} == {"node-1", "node-2"}


def test_an_influxdb_that_hangs_does_not_hold_up_the_end(tmp_path):
    """Requests would be waited for for five minutes: those of samples, of the watch, and of sinks."""
    hangs, release = threading.Event(), threading.Event()

    def answer(method, path, query, body, headers):
        if hangs.is_set():
            release.wait(300)
        statements = unquote(body.decode()).count(";") + 1
        return (200, {"results": [{}] * statements}, {}) if path == "/query" else (204, b"", {})

    server = FakeServer(answer)
    more = f'[samples]\nkind = "influxdb"\n[influxdb]\nurl = "{server.url}"\ntimeout = "300s"\n'
    more += '[legacy]\nmirror_database = "NRG"\n'
    try:
        with running(tmp_path, commands=[STEADY], more=more) as annotator:
            client = annotator.client()
            annotator.until(lambda: client.get("/healthz")["samples"]["stored"])
            hangs.set()
            before = len(server.requests)
            annotator.until(lambda: len(server.requests) >= before + 3)
            assert annotator.stop() == 0
            assert any("points are lost" in line for line in annotator.log)
    finally:
        release.set()
        server.close()


@pytest.mark.parametrize(
    "answer", [b"<html>", b"[]", b'{"results": []}', b'{"results": [1]}', b'{"results": 5}']
)
def test_what_is_no_influxdb_is_told_and_upsets_nothing(tmp_path, answer):
    with (
        FakeServer(lambda *_: (200, answer, {})) as server,
        running(
            tmp_path, more=f'[samples]\nkind = "influxdb"\n[influxdb]\nurl = "{server.url}"\n'
        ) as annotator,
    ):
        assert annotator.client().get("/healthz")["status"] == "ok"
        annotator.until(lambda: any("does not answer in InfluxDB's way" in line for line in annotator.log))
        assert annotator.stop() == 0
        assert not [line for line in annotator.log if "Traceback" in line]


def test_a_retention_policy_that_nobody_made_is_named_in_the_log(tmp_path, influxd):
    """Though InfluxDB does not tell it where several things are asked at once."""
    database, more = settings(influxd, kind="influxdb")
    influxd.query(f'CREATE DATABASE "{database}"')
    with running(tmp_path, more=f'{more}raw_retention_policy = "raw"\n') as annotator:
        annotator.until(lambda: "retention policy not found: raw" in " ".join(annotator.log))


def test_steps_taken_while_influxdb_is_away_are_there_afterwards(tmp_path, influxd_of_its_own):
    database, more = settings(influxd_of_its_own, kind="embedded")
    influxd_of_its_own.stop()
    with running(tmp_path, more=more) as annotator:
        client = annotator.client()
        ids = [begin(client, "pod1", scenario=f"sc{number}")[0] for number in range(30)]
        annotator.until(lambda: any("cannot be reached" in line for line in annotator.log))
        influxd_of_its_own.start()
        for step_id in ids:
            annotator.until(lambda step_id=step_id: points(influxd_of_its_own, database, step_id))
    assert sum("cannot be reached" in line for line in annotator.log) == 1
    assert any("takes what changes again" in line for line in annotator.log)
