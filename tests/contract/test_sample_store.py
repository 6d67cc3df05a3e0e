"""What every store of readings must do, the embedded one and a real InfluxDB."""

import time
import uuid

import pytest

from energyrecorder.line_protocol import tag_text
from energyrecorder_annotator.influx.settings import InfluxSettings
from energyrecorder_annotator.samples.base import (
    PREFERENCES,
    Batch,
    BmcPoll,
    Reading,
    SampleStoreError,
    SensorReading,
)
from energyrecorder_annotator.samples.embedded import EmbeddedSamples
from energyrecorder_annotator.samples.freshness import Freshness
from energyrecorder_annotator.samples.influx import InfluxSamples
from energyrecorder_annotator.samples.influx_watch import InfluxWatch
from energyrecorder_annotator.samples.parse import parse_point

SECOND = 1_000_000_000
T0 = 1_700_000_000
HOSTILE = "pod' OR '1'='1 \\ \"x\" 🎉, = ü"


@pytest.fixture(params=["embedded", "influxdb"])
def store(request, tmp_path):
    if request.param == "embedded":
        samples = EmbeddedSamples(tmp_path / "samples.db")
    else:
        influxd = request.getfixturevalue("influxd")
        samples = InfluxSamples(InfluxSettings(influxd.url, f"db{uuid.uuid4().hex}"))
    yield samples
    samples.close()


def reading(server, at_s, watts, *, env="pod1", part=None, scope="server", **more):
    return Reading(env, server, scope, part, round(at_s * SECOND), watts, **more)


def poll(server, at_s, host, *, env="pod1", up=True, error=""):
    return BmcPoll(env, server, round(at_s * SECOND), up, host, error)


def span(from_s, to_s):
    return round(from_s * SECOND), round(to_s * SECOND)


KNOWN = {
    "window_s": 1.0,
    "refresh_s": 2.0,
    "quantum_w": 0.5,
    "clock": "bmc",
    "source": "sensor",
    "side": "ac",
    "accuracy_pct": 3.0,
}


def test_readings_come_back_as_rows_in_order_missing_ones_as_missing(store):
    batch = [
        reading("n1", T0 + 2, 102.0, **KNOWN),
        reading("n1", T0 + 1, 101.0, **KNOWN),
        reading("n1", T0 + 3, None, clock="poll"),
        reading("n1", T0 + 9, 109.0),
        reading("n2", T0 + 1, 1.0),
        reading("n1", T0 + 1, 5.0, scope="component", part="cpu0"),
        reading("n1", T0 + 1, 6.0, part="psu1"),
        reading("n1", T0 + 1, 7.0, env="pod2"),
    ]
    store.add(Batch(readings=batch))
    [found] = store.readings("pod1", ["n1", "nobody"], *span(T0 + 1, T0 + 9), PREFERENCES)
    assert (found.server, found.preference) == ("n1", "bmc")
    assert [tuple(row[:2]) for row in found.rows] == [
        ((T0 + 1) * SECOND, 101.0),
        ((T0 + 2) * SECOND, 102.0),
        ((T0 + 3) * SECOND, None),
    ]
    assert tuple(found.rows[0])[2:] == (1.0, 2.0, 0.5, "bmc", "sensor", "ac", 3.0)
    assert tuple(found.rows[2])[2:6] == (None, None, None, "poll")


def test_the_same_reading_again_replaces_the_former(store):
    store.add(Batch(readings=[reading("n1", T0, 1.0)]))
    store.add(Batch(readings=[reading("n1", T0, 2.0)]))
    [found] = store.readings("pod1", ["n1"], *span(T0, T0 + 1), PREFERENCES)
    assert [row[1] for row in found.rows] == [2.0]


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        (("bmc", "meter", "legacy"), ("bmc", 1.0)),
        (("meter", "bmc"), ("meter", 2.0)),
        (("legacy",), ("legacy", 3.0)),
    ],
)
def test_one_series_per_server_the_preferred_one(store, prefer, expected):
    parts = {None: 1.0, "meter:a": 2.0, "legacy": 3.0}
    store.add(Batch(readings=[reading("n1", T0, watts, part=part) for part, watts in parts.items()]))
    [found] = store.readings("pod1", ["n1"], *span(T0, T0 + 1), prefer)
    assert (found.preference, found.rows[0][1]) == expected


def test_count_grows_with_each_reading_and_tells_the_newest(store):
    store.add(Batch(readings=[reading("n1", T0 + n, 1.0) for n in range(5)]))
    before = store.count("pod1", ["n1"], *span(T0, T0 + 100))
    assert before == (5, (T0 + 4) * SECOND)
    store.add(Batch(readings=[reading("n1", T0 + 2.5, 1.0), reading("n2", T0 + 50, 1.0)]))
    assert store.count("pod1", ["n1"], *span(T0, T0 + 100)) == (6, (T0 + 4) * SECOND)
    assert store.count("pod1", ["n1", "n2"], *span(T0, T0 + 100)) == (7, (T0 + 50) * SECOND)
    assert store.count("pod1", ["nobody"], *span(T0, T0 + 100)) == (0, 0)


def test_servers_are_seen_by_polls_and_totals(store):
    store.add(
        Batch(
            readings=[reading("n1", T0, 1.0), reading("psu-only", T0, 1.0, scope="component", part="psu1")],
            polls=[poll("mute", T0, "unknown", up=False, error="timeout"), poll("late", T0 + 50, "on")],
        )
    )
    assert store.servers_seen("pod1", *span(T0 - 10, T0 + 10)) == {"n1", "mute"}
    assert store.servers_seen("pod2", *span(T0 - 10, T0 + 10)) == set()


def test_power_is_down_sampled_with_its_extremes(store):
    store.add(Batch(readings=[reading("n1", T0 + n, float(n % 10)) for n in range(100)]))
    store.add(Batch(readings=[reading("n2", T0, 1.0), reading("n1", T0, 9.0, env="pod2")]))
    [found] = store.power({"env": ["pod1"], "server": ["n1"]}, *span(T0, T0 + 100), 10)
    assert (found.env, found.server, found.scope, found.part) == ("pod1", "n1", "server", None)
    assert len(found.points) == 10
    assert [point[1:] for point in found.points] == [(4.5, 0.0, 9.0)] * 10
    assert all(0 <= point[0] / SECOND - T0 - 10 * n <= 10 for n, point in enumerate(found.points))
    assert store.power({"server": ["nobody"]}, *span(T0, T0 + 100), 10) == []
    assert len(store.power({}, *span(T0, T0 + 100), 1000)) == 3


def test_names_are_values_never_query_text(store):
    store.add(Batch(readings=[reading("n1", T0, 1.0, env=HOSTILE), reading("n1", T0, 2.0)]))
    [found] = store.readings(HOSTILE, ["n1", "x' OR ''='"], *span(T0, T0 + 1), PREFERENCES)
    assert [row[1] for row in found.rows] == [1.0]
    assert store.servers_seen(HOSTILE, *span(T0, T0 + 1)) == {"n1"}
    assert store.servers_seen("' OR '1'='1", *span(T0, T0 + 1)) == set()
    [power] = store.power({"env": [HOSTILE]}, *span(T0, T0 + 1), 5)
    # Line protocol has no way to write a backslash before a space: it is a slash there.
    assert power.env in {HOSTILE, tag_text(HOSTILE)}


def test_what_is_newest_of_each_server(store):
    store.add(
        Batch(
            readings=[
                reading("n1", T0, 1.0, **KNOWN),
                reading("n1", T0 + 1, 2.0),
                reading("n1", T0 + 2, None),
            ],
            polls=[poll("n1", T0 + 3, "off"), poll("mute", T0 + 4, "unknown")],
            sensors=[SensorReading("pod1", "n1", "inlet", "Cel", T0 * SECOND, 21.5)],
        )
    )
    found = {one.server: one for one in store.last_seen((T0 - 1) * SECOND)}
    assert set(found) == {"n1", "mute"}
    assert (found["n1"].heard_ns, found["n1"].host) == ((T0 + 3) * SECOND, "off")
    assert (found["n1"].reading.t_ns, found["n1"].reading.watts) == ((T0 + 1) * SECOND, 2.0)
    assert (found["mute"].reading, found["mute"].host) == (None, "unknown")


RACK = (("site", "north"), ("rack", "r 7, left"))


def test_where_a_server_stands_comes_back_with_it(store):
    store.add(Batch(readings=[reading("n1", T0, 1.0, place=RACK[:1]), reading("n2", T0, 1.0)]))
    store.add(Batch(readings=[reading("n1", T0 + 1, 1.0, place=RACK)]))
    store.add(Batch(readings=[reading("n1", T0, 1.0, env="pod2", place=RACK[:1])]))
    assert store.places("pod1", *span(T0 - 5, T0 + 5)) == {"n1": dict(RACK)}
    assert store.places("pod2", *span(T0 - 5, T0 + 5)) == {"n1": {"site": "north"}}
    assert store.places("pod3", *span(T0 - 5, T0 + 5)) == {}
    [found] = store.readings("pod1", ["n1"], *span(T0, T0 + 5), PREFERENCES)
    assert [row[0] for row in found.rows] == [T0 * SECOND, (T0 + 1) * SECOND]


def test_influxdb_gets_every_tag_and_field_of_the_schema_and_no_other(influxd):
    database = f"db{uuid.uuid4().hex}"
    samples = InfluxSamples(InfluxSettings(influxd.url, database))
    tags = "env=pod1,server=n1,rack=r7,host=telegraf-7"
    lines = [
        f'server_power,scope=server,{tags} watts=7,latency_ms=3.5,odd=1,source=5,clock="poll" {T0 * SECOND}',
        f'server_bmc,{tags} up=1i,host="on",scrape_ms=40,late_ticks=2i,error="" {T0 * SECOND}',
        f'server_info,{tags} vendor="Dell Inc.",psu_count=2i {T0 * SECOND}',
        f"server_sensor,sensor=inlet,unit=Cel,{tags} value=21.5",
    ]
    batch = Batch()
    rooms = (batch.readings, batch.polls, batch.others, batch.sensors)
    for line, room in zip(lines, rooms, strict=True):
        room.append(parse_point(line, T0 * SECOND, keep_lines=samples.keeps_lines))
    samples.add(batch)
    samples.close()

    def stored(measurement):
        [series] = influxd.query(f"SELECT * FROM {measurement}", database)
        [row] = series["values"]
        return {k: v for k, v in zip(series["columns"], row, strict=True) if v is not None}

    common = {"time": T0 * SECOND, "env": "pod1", "server": "n1", "rack": "r7"}
    assert stored("server_power") == {
        **common,
        "scope": "server",
        "watts": 7,
        "latency_ms": 3.5,
        "clock": "poll",
    }
    polled = {"up": 1, "host": "on", "scrape_ms": 40, "late_ticks": 2, "error": ""}
    assert stored("server_bmc") == {**common, **polled}
    assert stored("server_info") == {**common, "vendor": "Dell Inc.", "psu_count": 2}
    assert stored("server_sensor") == {**common, "sensor": "inlet", "unit": "Cel", "value": 21.5}


def test_points_that_influxdb_will_never_take_hold_up_no_others(influxd, caplog):
    database = f"db{uuid.uuid4().hex}"
    settings = InfluxSettings(influxd.url, database, raw_retention_policy="raw")
    influxd.query(f'CREATE DATABASE "{database}" WITH DURATION 1h NAME "raw"')
    now_s = time.time_ns() // SECOND
    samples = InfluxSamples(settings)
    samples.add(Batch(readings=[reading("n1", now_s, 1.0), reading("n1", now_s - 90_000, 2.0)]))
    broken = reading("n1", now_s + 1, 3.0, text="this is no line protocol")
    samples.add(Batch(readings=[broken, *(reading("n1", now_s + n, 3.0) for n in range(2, 6))]))
    assert samples.count("pod1", ["n1"], *span(now_s - 100_000, now_s + 100))[0] == 5
    samples.close()
    assert "points beyond retention policy" in caplog.text
    assert "unable to parse" in caplog.text


def test_an_influxdb_that_is_away_is_told_and_known_by_the_watch(tmp_path, influxd_of_its_own, caplog):
    samples = InfluxSamples(InfluxSettings(influxd_of_its_own.url, "energyrecorder", timeout_s=2.0))
    switched = []
    freshness = Freshness()
    seen = []
    watch = InfluxWatch(
        samples, freshness, switched.extend, on_newest=seen.append, clock=lambda: (T0 + 10) * SECOND
    )
    samples.add(Batch(readings=[reading("n1", T0, 1.0)], polls=[poll("n1", T0, "on")]))
    watch.take(watch.read())
    assert freshness.covers("pod1", ["n1"], T0 * SECOND)
    influxd_of_its_own.stop()
    with pytest.raises(SampleStoreError, match="cannot be reached"):
        samples.add(Batch(readings=[reading("n1", T0 + 1, 1.0)]))
    assert watch.read() is None
    assert "cannot be reached" in watch.error
    influxd_of_its_own.start()
    samples.add(Batch(readings=[reading("n1", T0 + 1, 1.0)], polls=[poll("n1", T0 + 1, "off")]))
    watch.take(watch.read())
    assert watch.error is None
    assert [one.readings[0].t_ns for one in seen] == [T0 * SECOND, (T0 + 1) * SECOND]
    assert [one.host for one in switched] == ["off"]
    samples.close()
