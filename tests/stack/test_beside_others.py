"""Our files in a Telegraf that people already have: nothing is disturbed, nothing is lost."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import time

import pytest
from line_protocol_parser import parse_line

from energyrecorder import schema
from support.bmcsim import PASSWORD
from support.stack import PROTOCOLS, three_bmcs
from support.telegraf import DROP_INS, EXECD, Telegraf

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

# What docs/telegraf.md tells people to add to the output that they have.
POWER = ["server_power", "server_bmc", "server_info", "server_sensor"]
NAMEDROP = f"namedrop = {json.dumps([*POWER, 'energy_telegraf', 'energy_annotator'])}"
THEIRS = """
[global_tags]
  dc = "south"
[[inputs.cpu]]
  percpu = false
[[processors.starlark]]
  source = "def apply(metric):\\n    metric.tags['theirs'] = 'yes'\\n    return metric"
  {namedrop}
[[outputs.influxdb]]
  urls = ["{url}"]
  database = "{database}"
  {namedrop}
"""
NUMBERS = itertools.count(1)
POLLS = 8


@pytest.fixture
def databases(influxd):
    number = next(NUMBERS)
    return f"theirs{number}", f"energy{number}"


def existing(tmp_path, influxd, databases, **environ):
    """A Telegraf with a cpu input, global tags and an output of its own."""
    theirs, ours = databases
    return Telegraf(
        tmp_path,
        main=THEIRS.format(url=influxd.url, database=theirs, namedrop=NAMEDROP),
        BMC_PASSWORD=PASSWORD,
        ENERGY_INFLUX_URL=influxd.url,
        ENERGY_INFLUX_DB=ours,
        **environ,
    )


def names(influxd, query, database):
    return {row[0] for series in influxd.query(query, database) for row in series.get("values", ())}


def stored(influxd, database):
    """Return (measurement, server, scope, part, time) of every point of ours."""
    found = set()
    for measurement in (schema.SERVER_POWER, schema.SERVER_BMC, schema.SERVER_INFO):
        for series in influxd.query(f'SELECT * FROM "{measurement}" GROUP BY *', database):
            tags = series["tags"]
            key = (measurement, tags["server"], tags.get("scope"), tags.get("part") or None)
            found |= {(*key, row[0]) for row in series.get("values", ())}
    return found


def printed(file):
    """Return the same of what the collector printed."""
    # The last line may still be on its way.
    whole = file.read_text().rpartition("\n")[0]
    points = [parse_line(line) for line in whole.splitlines()]
    return {
        (p["measurement"], p["tags"]["server"], p["tags"].get("scope"), p["tags"].get("part"), p["time"])
        for p in points
    }


def polls(influxd, database, server):
    """Return the times of a server's polls, in order."""
    found = influxd.query(f"SELECT up FROM server_bmc WHERE server = '{server}'", database)
    return [row[0] for series in found for row in series["values"]]


def copying(folder):
    """Return a file, and a collector all of whose lines are in it too."""
    copy = folder / "printed"
    wrapper = folder / "energy-execd"
    wrapper.write_text(f'#!/bin/sh\n{EXECD} "$@" | tee -a {copy}\n')
    wrapper.chmod(0o755)
    return copy, str(wrapper)


def count(influxd, database):
    series = influxd.query("SELECT count(up) FROM server_bmc", database)
    return series[0]["values"][0][1] if series else 0


KINDS = {"float": "float", "int": "integer", "str": "string"}


def assert_as_in_the_schema(influxd, database, measurement):
    """No tag or field that the schema does not have, and fields of its types."""
    known = schema.measurement(measurement)
    keys = names(influxd, f'SHOW TAG KEYS FROM "{measurement}"', database)
    assert {"env", "server"} <= keys <= {*known.tags, *schema.STATIC_TAGS}
    (series,) = influxd.query(f'SHOW FIELD KEYS FROM "{measurement}"', database)
    assert dict(series["values"]).items() <= {one.name: KINDS[one.kind] for one in known.fields}.items()


def test_the_whole_folder_in_an_existing_telegraf(tmp_path, influxd, databases):
    """One poll per BMC and tick, no foreign series in either database, tags and fields are the schema's."""
    theirs, ours = databases
    with three_bmcs(tmp_path, interval="2s"):
        telegraf = existing(tmp_path, influxd, databases)
        shutil.copytree(DROP_INS, telegraf.drop_ins, dirs_exist_ok=True)
        telegraf.add("energy-watch.conf.sample")
        with telegraf:
            telegraf.until(lambda: ours in names(influxd, "SHOW DATABASES", ""))
            telegraf.until(lambda: all(len(polls(influxd, ours, one)) >= POLLS for one in PROTOCOLS), 120)
            telegraf.until(lambda: "cpu" in names(influxd, "SHOW MEASUREMENTS", theirs))
    assert names(influxd, "SHOW MEASUREMENTS", theirs) == {"cpu"}
    assert names(influxd, "SHOW TAG KEYS", theirs) == {"cpu", "dc", "host", "theirs"}
    collected = {schema.SERVER_POWER, schema.SERVER_BMC, schema.SERVER_INFO}
    assert names(influxd, "SHOW MEASUREMENTS", ours) == {*collected, "energy_telegraf"}
    for measurement in collected:
        assert_as_in_the_schema(influxd, ours, measurement)
    assert names(influxd, "SHOW TAG KEYS FROM energy_telegraf", ours) == {"alias", "input", "output"}
    watched = {"energy-fleet", "energy-influxdb"}
    query = 'SHOW TAG VALUES FROM energy_telegraf WITH KEY = "alias"'
    assert {row[1] for series in influxd.query(query, ours) for row in series["values"]} == watched
    for server in PROTOCOLS:
        times = polls(influxd, ours, server)
        # The first poll answers Telegraf's newline, the others stand on the ticks of 2 s. A busy machine
        # makes polls late or leaves some out; two collectors would make twice as many.
        assert len(times) <= (times[-1] - times[0]) / 2e9 + 2, times


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_stop_and_reload_lose_nothing_that_was_printed(tmp_path, influxd, databases, how):
    """Each printed line is in InfluxDB with its time stamp to the nanosecond."""
    _, ours = databases
    copy, wrapper = copying(tmp_path)
    with three_bmcs(tmp_path, interval="1s"):
        telegraf = existing(tmp_path, influxd, databases, ENERGY_EXECD=wrapper)
        telegraf.add("energy-fleet.conf").add("energy-influxdb.conf").start()
        try:
            telegraf.until(lambda: ours in names(influxd, "SHOW DATABASES", ""))
            telegraf.until(lambda: count(influxd, ours) >= 6)
            if how == "SIGHUP":
                telegraf.send(signal.SIGHUP)
                before = count(influxd, ours)
                telegraf.until(lambda: count(influxd, ours) >= before + 6)
        finally:
            status = telegraf.stop(signal.SIGINT if how == "SIGINT" else signal.SIGTERM)
    assert status == 0, telegraf.log[-3000:]
    lines = printed(copy)
    assert len(lines) > 12
    assert lines == stored(influxd, ours)
    assert "parse error" not in telegraf.log


def test_influxdb_away_and_back(tmp_path, influxd_of_its_own):
    """All that was read meanwhile arrives afterwards."""
    copy, wrapper = copying(tmp_path)
    influxd = influxd_of_its_own
    databases = ("theirs", "energy")
    with three_bmcs(tmp_path, interval="1s"):
        telegraf = existing(tmp_path, influxd, databases, ENERGY_EXECD=wrapper)
        telegraf.add("energy-fleet.conf").add("energy-influxdb.conf")
        with telegraf:
            telegraf.until(lambda: "energy" in names(influxd, "SHOW DATABASES", ""))
            telegraf.until(lambda: count(influxd, "energy") >= 6)
            influxd.stop()
            stopped_ns = time.time_ns()
            telegraf.until(
                lambda: telegraf.log.count("energy-influxdb") >= 3 and time.time_ns() > stopped_ns + 5e9
            )
            influxd.start()
            back_ns = time.time_ns()
            meanwhile = {line for line in printed(copy) if stopped_ns < line[-1] < back_ns}
            assert meanwhile
            telegraf.until(lambda: meanwhile <= stored(influxd, "energy"), 120)
