"""What goes wrong between the parts is named, with what to do: by `doctor`, or in Telegraf's log."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from energyrecorder.schema import SERVER_BMC
from influxd import PROGRAM, Influxd
from support.annotator import begin, running
from support.bmcsim import PASSWORD
from support.fake_grafana import TOKEN, FakeGrafana
from support.fake_server import FakeServer
from support.stack import three_bmcs
from support.telegraf import Telegraf
from support.tools import need

NOBODY = "http://127.0.0.1:1"
BOSS, WRITER, READER = "boss-of-influx", "writer-of-influx", "reader-of-influx"
SECOND_NS = 10**9


def doctor(tmp_path, *arguments, settings="", url=NOBODY, **environ):
    """Return the lines of `doctor`; ``settings`` are those of the annotator."""
    config = tmp_path / "doctor.toml"
    config.write_text(settings, encoding="utf-8")
    words = [sys.executable, "-m", "energyrecorder_annotator", "doctor", "--url", url, "--config", config]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ENERGY_")}
    done = subprocess.run(
        [*words, *arguments],
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert not any(secret in done.stdout + done.stderr for secret in (TOKEN, WRITER, READER, BOSS))
    return done.stdout.splitlines()


def line_of(lines, beginning):
    return next(line for line in lines if line[5:].startswith(beginning))


def influx(url, **keys):
    values = {"url": url, "database": "energyrecorder", **keys}
    return "[influxdb]\n" + "".join(f'{key} = "{value}"\n' for key, value in values.items())


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """An InfluxDB that asks for passwords, with our users but without our database."""
    need(PROGRAM)
    server = Influxd(tmp_path_factory.mktemp("guarded"), guarded=True)
    environ = {
        **os.environ,
        "ENERGY_INFLUX_ADMIN_PASSWORD": BOSS,
        "ENERGY_INFLUX_WRITER_PASSWORD": WRITER,
        "ENERGY_INFLUX_READER_PASSWORD": READER,
    }
    command = [sys.executable, "-m", "energyrecorder_annotator", "init-influxdb", "--url", server.url]
    with server:
        subprocess.run(
            [*command, "--database", "known"], env=environ, capture_output=True, timeout=60, check=True
        )
        yield server


def test_a_user_who_may_not_create_the_database(tmp_path, guarded):
    """`doctor` names who may; `init-influxdb` ends with one line."""
    settings = influx(guarded.url, user="energy_writer", password="{env=WRITER}")
    lines = doctor(tmp_path, settings=settings, WRITER=WRITER)
    assert "init-influxdb" in line_of(lines, "InfluxDB, writing")
    assert line_of(lines, "InfluxDB, writing").startswith("FAIL")
    command = [sys.executable, "-m", "energyrecorder_annotator", "init-influxdb", "--url", guarded.url]
    environ = {**os.environ, "ENERGY_INFLUX_PASSWORD": WRITER}
    done = subprocess.run(
        [*command, "--as", "energy_writer"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1
    assert "energy_writer" in done.stderr or "403" in done.stderr


def test_a_user_who_may_only_read(tmp_path, guarded):
    settings = influx(guarded.url, database="known", user="energy_reader", password="{env=READER}")
    lines = doctor(tmp_path, settings=settings, READER=READER)
    assert line_of(lines, "InfluxDB, reading").startswith("ok")
    assert "needs reading and writing" in line_of(lines, "InfluxDB, writing")


def test_a_retention_policy_that_is_not_there(tmp_path, influxd):
    """The line of the annotator is changed, but nobody made the policy."""
    influxd.query("CREATE DATABASE policies_of_doctor")
    settings = influx(influxd.url, database="policies_of_doctor", raw_retention_policy="raw")
    line = line_of(doctor(tmp_path, settings=settings), "InfluxDB, reading")
    assert line.startswith("FAIL")
    assert "--raw-retention" in line


def test_a_default_policy_that_deletes_what_is_to_be_kept(tmp_path, influxd):
    """As in a database that was there before; what doctor tells mends it."""
    influxd.query("CREATE DATABASE finite WITH DURATION 3w NAME weeks")
    settings = influx(influxd.url, database="finite", raw_retention_policy="weeks")
    line = line_of(doctor(tmp_path, settings=settings), "InfluxDB, retention")
    assert line.startswith("FAIL")
    influxd.query(line.rpartition("; ")[2])
    assert not any("retention" in line for line in doctor(tmp_path, settings=settings))


def test_a_user_who_may_all_that_is_needed(tmp_path, guarded):
    settings = influx(guarded.url, database="known", user="energy_writer", password="{env=WRITER}")
    lines = doctor(tmp_path, settings=settings, WRITER=WRITER)
    for what in ("InfluxDB: ", "InfluxDB, reading", "InfluxDB, writing"):
        assert line_of(lines, what).startswith("ok"), lines


@pytest.mark.timeout(180)
def test_telegrafs_log_says_that_it_may_not(tmp_path, guarded):
    """Of the database that is not there, and of writing."""
    environ = {"ENERGY_INFLUX_URL": guarded.url, "ENERGY_INFLUX_PASSWORD": WRITER, "BMC_PASSWORD": PASSWORD}
    with three_bmcs(tmp_path):
        telegraf = Telegraf(tmp_path, ENERGY_INFLUX_USER="energy_writer", **environ)
        telegraf.add("energy-fleet.conf").add("energy-influxdb.conf")
        with telegraf:
            telegraf.until(lambda: "creation failed" in telegraf.log and "failed to recreate" in telegraf.log)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"code": "unauthorized", "message": "unauthorized access"}, "correct 'user' and 'password'"),
        (404, {"code": "not found", "message": "no dbrp mapping found"}, "influx v1 dbrp create --db"),
    ],
)
def test_a_wrong_token_and_a_missing_mapping_of_influxdb_2(tmp_path, status, body, said):
    def answer(method, path, *_):
        return (204, b"", {}) if path == "/ping" else (status, body, {})

    with FakeServer(answer) as server:
        settings = influx(server.url, bucket="energy", org="lab", token="{env=INFLUX_TOKEN}")
        lines = doctor(tmp_path, settings=settings, INFLUX_TOKEN=TOKEN)
    assert said in line_of(lines, "InfluxDB, reading")
    assert line_of(lines, "InfluxDB, reading").startswith("FAIL")


@pytest.mark.parametrize(
    ("mapped", "policy", "status", "told"),
    [
        ("theirs", "autogen", 200, True),
        ("ours", "autogen", 200, False),
        ("theirs", "other", 200, False),
        ("theirs", "autogen", 403, False),
    ],
)
def test_a_mapping_of_influxdb_2_to_another_bucket(tmp_path, mapped, policy, status, told):
    """What is written is never read, which nothing else tells; without the right to look: no verdict."""
    listed = {
        "/api/v2/dbrps": {"content": [{"bucketID": mapped, "retention_policy": policy, "default": True}]},
        "/api/v2/buckets": {"buckets": [{"id": "ours", "name": "energy"}]},
        "/query": {"results": [{}]},
    }

    def answer(method, path, query, *_):
        if path not in listed:
            return 204, b"", {}
        assert path == "/query" or query["org"] == "lab"
        return (200 if path == "/query" else status), listed[path], {}

    server = FakeServer(answer)
    try:
        settings = influx(server.url, bucket="energy", org="lab", token="{env=INFLUX_TOKEN}")
        lines = [
            line for line in doctor(tmp_path, settings=settings, INFLUX_TOKEN=TOKEN) if "mapping" in line
        ]
    finally:
        server.close()
    assert bool(lines) is told, lines
    assert all("delete that mapping, then influx v1 dbrp create --db" in line for line in lines)


PLUGIN, SOURCE = "/api/plugins/influxdb/settings", "/api/datasources/uid/energy-influxdb/health"


@pytest.mark.parametrize(
    ("state", "what", "said"),
    [
        ({"version": "10.4.2"}, "Grafana:", "11.0 or newer is needed"),
        ({"offset_s": -90}, "Grafana:", "let both keep time by NTP"),
        ({"broken": {PLUGIN: 404}}, "Grafana, data source plugin influxdb", "missing"),
        ({"broken": {PLUGIN: 401}}, "Grafana, data source plugin influxdb", "not to be seen with this token"),
        ({"broken": {PLUGIN: 429}}, "Grafana, data source plugin influxdb", "HTTP 429"),
        ({"broken": {SOURCE: 404}}, "Grafana, data source energy-influxdb", "not there"),
        ({"broken": {SOURCE: 400}}, "Grafana, data source energy-influxdb", "HTTP 400"),
    ],
)
def test_a_grafana_that_is_old_late_or_lacks_something(tmp_path, state, what, said):
    with FakeGrafana(**state) as server:
        settings = f'[grafana]\nurl = "{server.url}"\ntoken = "{{env=GRAFANA_TOKEN}}"\n'
        lines = doctor(tmp_path, settings=settings, GRAFANA_TOKEN=TOKEN)
    assert said in line_of(lines, what)
    assert line_of(lines, what).startswith("FAIL")


def test_a_grafana_that_is_well(tmp_path):
    """With the annotator's token all of it, without one version and clock; one that is away is named."""
    with FakeGrafana() as server:
        settings = f'[grafana]\nurl = "{server.url}"\ntoken = "{{env=GRAFANA_TOKEN}}"\n'
        lines = doctor(tmp_path, settings=settings, GRAFANA_TOKEN=TOKEN)
        assert [line[:4] for line in lines if "Grafana" in line] == ["ok  "] * 3, lines
        lines = doctor(tmp_path, "--grafana", server.url)
        assert [line[:4] for line in lines if "Grafana" in line] == ["ok  "] * 2
        assert "not looked at" in line_of(lines, "Grafana, plugin and data source")
    away = line_of(doctor(tmp_path, "--grafana", NOBODY), "Grafana")
    assert away == f"FAIL Grafana: Grafana at {NOBODY} cannot be reached: connection refused"


def test_a_step_that_runs_for_a_week(tmp_path):
    """It is in no dashboard any more; the answer holds the call that ends it."""
    with running(tmp_path) as service:
        client = service.client()
        url = f"http://127.0.0.1:{service.port}"
        young, _ = begin(client, "pod1", started_at=time.time_ns() - 6 * 86_400 * SECOND_NS)
        assert not any(line[5:].startswith("steps") for line in doctor(tmp_path, url=url))
        old, _ = begin(client, "pod1", started_at=time.time_ns() - 8 * 86_400 * SECOND_NS)
        line = line_of(doctor(tmp_path, url=url), "steps")
    assert line.startswith("FAIL")
    assert f"/v1/steps/{old}/stop" in line
    assert young not in line


def test_two_collectors_for_one_fleet(tmp_path, influxd):
    """On two machines: the servers whose polls come in pairs are named; on one the second does not start."""
    influxd.query("CREATE DATABASE twice")
    begin_ns = time.time_ns() - 300 * SECOND_NS
    once = {("pod1", "single"): 0, ("pod1", "alike"): 0, ("pod2", "alike"): 300_000_000}
    for (env, server), after_ns in {**once, ("pod1", "double"): 0}.items():
        both = [after_ns, 300_000_000] if server == "double" else [after_ns]
        times = [begin_ns + number * 10 * SECOND_NS + more for number in range(20) for more in both]
        lines = [f'{SERVER_BMC},env={env},server={server} up=1i,error="" {ns}' for ns in times]
        influxd.write("twice", "\n".join(lines))
    line = line_of(doctor(tmp_path, settings=influx(influxd.url, database="twice")), "collectors")
    assert line.startswith("FAIL")
    assert "at once: double of 4" in line


@pytest.mark.parametrize(("apart_ns", "found"), [(0, False), (300_000_000, True)])
def test_a_collector_beside_the_one_of_the_service(tmp_path, influxd, apart_ns, found):
    """One whose readings go to InfluxDB and the service is no second one, even if one of them lacks some."""
    database = f"beside{apart_ns}"
    influxd.query(f"CREATE DATABASE {database}")
    begin_ns = time.time_ns() - 200 * SECOND_NS
    times = [begin_ns + number * 10 * SECOND_NS for number in range(20)]
    power = "server_power,env=pod1,server=n1,scope=server watts=1 {}"
    influxd.write(database, "\n".join(power.format(ns + apart_ns) for ns in times[:15]))
    with running(tmp_path) as service:
        client = service.client()
        client.ask("POST", "/v1/samples", "\n".join(power.format(ns) for ns in times[5:]).encode())
        service.until(lambda: client.get("/healthz")["samples"]["stored"])
        url = f"http://127.0.0.1:{service.port}"
        lines = doctor(tmp_path, settings=influx(influxd.url, database=database), url=url)
    told = [line for line in lines if line[5:].startswith("collectors")]
    assert bool(told) is found
    assert all("n1: one collector" in line and "stop one energy-execd" in line for line in told)


def test_two_real_collectors_of_one_service(tmp_path):
    """They stand on the same ticks; the log says it once and `doctor` with what to do."""
    with three_bmcs(tmp_path):
        execd = [sys.executable, "-m", "energyrecorder_execd", "run", "--fleet", tmp_path / "fleet.toml"]
        commands = [[*execd, "--state", tmp_path / f"state-{number}"] for number in range(2)]
        with running(tmp_path, commands=commands, environ={"BMC_PASSWORD": PASSWORD}) as service:
            service.until(lambda: [line for line in service.log if "two collectors" in line], 120)
            lines = doctor(tmp_path, url=f"http://127.0.0.1:{service.port}")
            line = line_of(lines, "collectors")
            assert line.startswith("FAIL")
            assert "stop one energy-execd" in line
