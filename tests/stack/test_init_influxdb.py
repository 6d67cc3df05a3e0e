"""`energy-annotator init-influxdb` on a real InfluxDB, with and without authentication."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import random
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime

import pytest

from energyrecorder import schema
from influxd import PROGRAM, Influxd
from support.fake_server import FakeServer
from support.tools import need

PASSWORDS = {
    "ENERGY_INFLUX_ADMIN_PASSWORD": "adm'in\\1",
    "ENERGY_INFLUX_WRITER_PASSWORD": 'wri"ter 2',
    "ENERGY_INFLUX_READER_PASSWORD": "reader-3",
}


def init(url, *arguments, **environ):
    command = [sys.executable, "-m", "energyrecorder_annotator", "init-influxdb", "--url", url, *arguments]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ENERGY_")}
    done = subprocess.run(
        command, env={**clean, **environ}, capture_output=True, text=True, timeout=60, check=False
    )
    assert not any(password in done.stdout + done.stderr for password in PASSWORDS.values())
    return done


@pytest.fixture
def guarded(tmp_path):
    """An InfluxDB that asks for a password."""
    need(PROGRAM)
    with Influxd(tmp_path / "influxd", guarded=True) as server:
        yield server


def ask(server, path, user, password, body):
    """Return the HTTP status of a request with a password."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(server.url + path, body, {"Authorization": f"Basic {token}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_users_may_do_what_they_should_and_no_more(guarded):
    """The writer writes and reads, the reader reads; the second time all is there and nothing breaks."""
    for number in range(2):
        done = init(guarded.url, "--raw-retention", "30d", **PASSWORDS)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("its password is left alone") == 3 * number
        assert "asks for no passwords" not in done.stdout
    boss = {"ENERGY_INFLUX_USER": "energy_admin", "ENERGY_INFLUX_PASSWORD": "wrong"}
    for nobody in (boss, {}, {"ENERGY_INFLUX_ADMIN_PASSWORD": "wrong"}):
        done = init(guarded.url, **{**PASSWORDS, "ENERGY_INFLUX_ADMIN_PASSWORD": "", **nobody})
        assert (done.returncode, "an administrator may: --as USER" in done.stderr) == (1, True)
        assert len(done.stderr.splitlines()) == 1
    line = b"server_power,env=a,server=b,scope=server watts=1"
    select = urllib.parse.urlencode({"db": "energyrecorder", "q": "SELECT * FROM server_power"}).encode()
    writer = ("energy_writer", PASSWORDS["ENERGY_INFLUX_WRITER_PASSWORD"])
    reader = ("energy_reader", PASSWORDS["ENERGY_INFLUX_READER_PASSWORD"])
    assert ask(guarded, "/write?db=energyrecorder", *writer, line) == 204
    assert ask(guarded, "/write?db=energyrecorder", *reader, line) == 403
    assert ask(guarded, "/query", *reader, select) == 200
    assert ask(guarded, "/query", *writer, select) == 200
    assert ask(guarded, "/query", "energy_reader", "wrong", select) == 401


def test_without_retention_everything_stays_in_autogen(influxd):
    """The plain call makes a database and nothing else."""
    done = init(influxd.url, "--database", "plain")
    assert (done.returncode, done.stdout) == (0, "database plain\n")
    (series,) = influxd.query("SHOW RETENTION POLICIES ON plain")
    assert [row[0] for row in series["values"]] == ["autogen"]


def test_users_of_a_server_that_asks_nobody_are_told_so(influxd):
    """They are made, but keep nobody out."""
    for environ, told in (({}, False), (PASSWORDS, True)):
        done = init(influxd.url, "--database", "open", **environ)
        assert (done.returncode, "asks for no passwords" in done.stdout) == (0, told), done
    for name in ("energy_admin", "energy_writer", "energy_reader"):
        influxd.query(f"DROP USER {name}")


def test_the_retention_may_be_changed_either_way(influxd):
    """Shards are made for the new duration: those of a longer one would be refused."""
    for kept, shard in (("30d", "24h0m0s"), ("12h", "1h0m0s"), ("52w", "168h0m0s")):
        done = init(influxd.url, "--database", "changed", "--raw-retention", kept)
        assert done.returncode == 0, done.stderr
        (series,) = influxd.query("SHOW RETENTION POLICIES ON changed")
        assert {row[0]: row[2] for row in series["values"]}["raw"] == shard


def test_a_wrong_retention_or_address_is_one_line(influxd):
    for arguments in (("--raw-retention", "a while"), ("--url", "ftp://x")):
        done = init(influxd.url, "--database", "wrong", *arguments)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert arguments[1] in done.stderr
    (series,) = influxd.query("SHOW DATABASES")
    assert "wrong" not in [row[0] for row in series.get("values", [])], "nothing is made of half a command"


def told_at(path, version):
    """Answer as a server that tells its version at this path alone, and does not know 1.x's statements."""

    def answer(_method, asked, *_):
        if asked == "/ping":
            return 204, b"", {"X-Influxdb-Version": version if path == asked else ""}
        if asked == "/health":
            return 200, {"name": "influxdb", "version": version}, {}
        return 401, {"code": "unauthorized", "message": "unauthorized access"}, {}

    return answer


@pytest.mark.parametrize(
    ("path", "version", "told"),
    [
        (
            "/ping",
            "v2.7.11",
            ["is 2.7.11,", "a bucket", "influx v1 dbrp create --db energyrecorder --rp autogen"],
        ),
        ("/ping", "2.1.1, 2.1.1", ["is 2.1.1,", "a bucket", "influx v1 dbrp create"]),
        ("/health", "2.0.8", ["is 2.0.8,", "a bucket", "influx v1 dbrp create"]),
        ("/ping", "3.2.0", ["is 3.2.0,", "a database 'energyrecorder'", "a token"]),
    ],
)
def test_another_version_is_told_what_to_make_there(path, version, told):
    """In one line, without a statement or a password sent to it."""
    with FakeServer(told_at(path, version)) as server:
        done = init(server.url, **PASSWORDS)
        assert {request[1] for request in server.requests} <= {"/ping", "/health"}
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert [part for part in [*told, "docs/grafana.md"] if part not in done.stderr] == []


def test_a_server_that_does_not_tell_its_version_is_asked_as_1_x():
    """As behind a proxy that drops such headers."""
    with FakeServer(lambda _method, path, *_: (404 if path == "/health" else 401, b"", {})) as server:
        done = init(server.url)
    assert (done.returncode, "an administrator may" in done.stderr) == (1, True)


def test_the_two_lines_to_change_are_named(influxd):
    done = init(influxd.url, "--database", "told", "--raw-retention", "30d", "--rollup-retention", "4w")
    assert done.returncode == 0, done.stderr
    assert 'retention_policy = "raw"' in done.stdout
    assert 'raw_retention_policy = "raw"' in done.stdout
    assert "restart the annotator" in done.stdout, "a reload leaves [influxdb] as it was"
    (series,) = influxd.query("SHOW RETENTION POLICIES ON told")
    kept = {row[0]: row[1] for row in series["values"]}
    assert kept == {"autogen": "0s", "raw": "720h0m0s", "rollup": "672h0m0s"}
    queries = {s["name"]: s.get("values", []) for s in influxd.query("SHOW CONTINUOUS QUERIES")}
    kept = ("server_bmc", "server_info", "server_power")
    assert sorted(row[0] for row in queries["told"]) == [f"energy_{name}_1m" for name in kept]


def readings(begin_s, end_s):
    """Return noisy readings every ten seconds: their times in seconds, and watts."""
    rng = random.Random(7)
    seconds = range(begin_s, end_s, 10)
    return seconds, [300 + 80 * math.sin(s / 130) + rng.gauss(0, 6) for s in seconds]


def write_raw(influxd, database, seconds, watts):
    power = schema.measurement(schema.SERVER_POWER)
    tags = {"env": "a", "server": "n", "scope": "server"}
    lines = [power.line(tags, {"watts": w}, s * 10**9) for s, w in zip(seconds, watts, strict=True)]
    influxd.write(database, "\n".join(lines), policy="raw")


def made(influxd, database, query, count):
    """Return so many rows as soon as InfluxDB has made them by itself, which it does once a minute."""
    deadline = time.monotonic() + 180
    while True:
        found = influxd.query(query, database)
        rows = found[0]["values"] if found else []
        if len(rows) >= count:
            return rows
        assert time.monotonic() < deadline, f"{query}: {len(rows)} of {count}"
        time.sleep(0.1)


def means(influxd, database, count):
    return made(influxd, database, 'SELECT watts, min_w, max_w FROM "rollup"."server_power"', count)


def down_sampled(influxd, database, seconds, watts):
    """Have a database whose continuous query finds these readings when it runs first, which is at once."""
    influxd.query(f'CREATE DATABASE "{database}"')
    influxd.query(f'CREATE RETENTION POLICY "raw" ON "{database}" DURATION 30d REPLICATION 1')
    write_raw(influxd, database, seconds, watts)
    tags, then_ns = {"env": "a", "server": "n", "rack": "r1"}, full_minute_s(120) * 10**9
    state = schema.measurement(schema.SERVER_BMC).line(tags, {"up": 0, "error": "timeout"}, then_ns)
    known = schema.measurement(schema.SERVER_INFO).line(tags, {"model": "R640", "psu_count": 2}, then_ns)
    influxd.write(database, f"{state}\n{known}", policy="raw")
    assert init(influxd.url, "--database", database, "--raw-retention", "30d").returncode == 0


def full_minute_s(ago_s):
    return int(time.time()) // 60 * 60 - ago_s


def test_energy_from_one_minute_means_stays_within_its_interval(influxd, tmp_path):
    """Half an hour of noisy readings: means x 60 s are within u95 of their energy, and near the truth."""
    begin_s = full_minute_s(3600)
    seconds, watts = readings(begin_s, begin_s + 1800)
    down_sampled(influxd, "down", seconds, watts)
    rows = means(influxd, "down", 30)
    assert all(row[2] <= row[1] <= row[3] for row in rows)
    # Each has a continuous query of its own: the means may be there before the others have run.
    state = made(influxd, "down", 'SELECT up, error, rack FROM "rollup"."server_bmc"', 1)
    known = made(influxd, "down", 'SELECT model, psu_count FROM "rollup"."server_info"', 1)
    assert [row[1:] for row in (*state, *known)] == [[0, "timeout", "r1"], ["R640", 2]]
    csv, steps = tmp_path / "power.csv", tmp_path / "steps.json"
    text = io.StringIO()
    text.write("time,env,server,watts\n")
    for s, w in zip(seconds, watts, strict=True):
        text.write(f"{s * 10**9},a,n,{w}\n")
    csv.write_text(text.getvalue())
    first_s, last_s = begin_s + 60, begin_s + 1740
    edges = [datetime.fromtimestamp(s, UTC).isoformat() for s in (first_s, last_s)]
    step = {"env": "a", "scenario": "s", "step": "x", "started_at": edges[0], "ended_at": edges[1]}
    steps.write_text(json.dumps([step]))
    command = [sys.executable, "-m", "energyrecorder_annotator", "integrate"]
    done = subprocess.run(
        [*command, "--power", csv, "--steps", steps], capture_output=True, text=True, timeout=60, check=True
    )
    (result,) = json.loads(done.stdout)["steps"]
    energy_j = 60 * sum(row[1] for row in rows[1:-1])
    true_j = 300 * (last_s - first_s) - 80 * 130 * (math.cos(last_s / 130) - math.cos(first_s / 130))
    assert abs(energy_j - result["energy_j"]) <= result["u95_j"]
    assert abs(energy_j - true_j) <= 1.5 * result["u95_j"]


@pytest.mark.timeout(300)
def test_late_readings_are_in_the_means_a_minute_later(influxd):
    """What comes after the first run is found by the next one, an hour and a half back."""
    begin_s = full_minute_s(5400)
    seconds, watts = readings(begin_s, begin_s + 1800)
    down_sampled(influxd, "late", seconds[:90], watts[:90])
    before = means(influxd, "late", 15)
    write_raw(influxd, "late", seconds[90:], watts[90:])
    after = means(influxd, "late", 30)
    assert after[:15] == before
    late_w = [sum(watts[index : index + 6]) / 6 for index in range(90, 180, 6)]
    assert [row[1] for row in after[15:]] == pytest.approx(late_w)
