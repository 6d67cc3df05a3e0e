"""Files in, joules per step out; a mistake in a file is one line that names it."""

import json

import numpy as np
import pytest
from line_protocol_parser import parse_line

from analysis.synthetic import CASES, read, traces
from energyrecorder.errors import ConfigError
from energyrecorder_analysis.integrate import integrate, parse_steps_json
from energyrecorder_analysis.power_input import parse_power_csv, rows_from_line_protocol
from energyrecorder_analysis.timestamp import parse_time_ns

POWER = """time,env,server,watts,window_s,clock
2026-03-01T12:00:00Z,pod1,a,100,1,poll
2026-03-01T13:00:01+01:00,pod1,a,200,1,
1772366402000000000,pod1,a,,1,poll
1772366403500000000,pod1,"b,1",5.5,,bmc
"""
STEP = {
    "env": "pod1",
    "scenario": "s",
    "step": "x",
    "started_at": "2026-03-01T12:00:00Z",
    "ended_at": "2026-03-01T12:00:10Z",
}


def steps_json(**changed):
    return json.dumps([{**STEP, **changed}])


def test_csv_is_read_cell_by_cell():
    rows = parse_power_csv(POWER, name="p.csv")
    assert [(row.env, row.server, row.row.watts, row.row.window_s, row.row.clock) for row in rows] == [
        ("pod1", "a", 100.0, 1.0, "poll"),
        ("pod1", "a", 200.0, 1.0, "poll"),
        ("pod1", "a", None, 1.0, "poll"),
        ("pod1", "b,1", 5.5, None, "bmc"),
    ]
    assert [row.row.time_ns - 1772366400 * 10**9 for row in rows] == [0, 10**9, 2 * 10**9, 3_500_000_000]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "p.csv: empty; allowed: the header time,env,server,watts"),
        ("time,env,server\n", "header: missing column 'watts'; allowed: time,env,server,watts"),
        ("time,env,server,watts,power\n", "header: unknown or repeated column 'power'"),
        ("time,env,server,watts,watts\n", "header: unknown or repeated column 'watts'"),
        ("time,env,server,watts\n1,e,s\n", "line 2: 3 cells; allowed: 4"),
        ("time,env,server,watts\n\n1,e,s,x\n", "line 3: column 'watts' is 'x'; allowed: a number"),
        ("time,env,server,watts\n1,e,s,nan\n", "line 2: column 'watts' is 'nan'"),
        ("time,env,server,watts\n1,e,s,-4\n", "line 2: column 'watts' is '-4'"),
        ("time,env,server,watts\n2026-03-01T12:00:00,e,s,1\n", "'2026-03-01T12:00:00'; allowed: ISO"),
        ("time,env,server,watts\n2026-03-01,e,s,1\n", "line 2: column 'time' is '2026-03-01'"),
        ("time,env,server,watts\nnoon,e,s,1\n", "line 2: column 'time' is 'noon'"),
        ("time,env,server,watts\n1,,s,1\n", "line 2: column 'env' is empty"),
        ("time,env,server,watts\n1,e,,1\n", "line 2: column 'server' is empty"),
        ("time,env,server,watts,clock\n1,e,s,1,ntp\n", "line 2: column 'clock' is 'ntp'; allowed: bmc, poll"),
        ("time,env,server,watts,window_s\n1,e,s,1,-1\n", "line 2: column 'window_s' is '-1'"),
        ('time,env,server,watts\n1,e,"s,1\n', "not CSV"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_csv_is_one_line_that_names_it(text, told):
    with pytest.raises(ConfigError) as raised:
        parse_power_csv(text, name="p.csv")
    assert told in str(raised.value)
    assert str(raised.value).startswith("p.csv: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "s.json: line 1 column 2: not valid JSON"),
        ("[" * 100_000, "s.json: not valid JSON: "),
        ("1" * 10_000, "s.json: not valid JSON: "),
        ("{}", "s.json: must be a list of steps, not dict"),
        ("[1]", "s.json: step 1: must be an object with the keys env, scenario"),
        (steps_json(step=3), "step 1: key 'step' is 3; allowed: a name, or null"),
        (steps_json(env=""), "step 1: key 'env' is ''; allowed: a name"),
        (steps_json(started_at="2026-03-01"), "step 1: key 'started_at' is '2026-03-01'; allowed: ISO 8601"),
        (steps_json(ended_at="2026-02-01T00:00:00Z"), "'2026-02-01T00:00:00Z'; allowed: not before"),
        (steps_json(ended_at=None), "step 1: key 'ended_at' is None"),
        ('[{"scenario": "s"}]', "step 1: missing key 'started_at'"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_steps_is_one_line_that_names_it(text, told):
    with pytest.raises(ConfigError) as raised:
        parse_steps_json(text, name="s.json")
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00.000000001+01:00", 1),
        ("1970-01-01 00:00:01,5Z", 1_500_000_000),
        ("1969-12-31T23:59:59.5Z", -500_000_000),
        ("1772366400123456789", 1_772_366_400_123_456_789),
        (12, 12),
    ],
)
def test_times_are_exact_to_the_nanosecond(text, nanoseconds):
    assert parse_time_ns(text) == nanoseconds


COUNTED = [
    (1_772_366_400, 1, "seconds; allowed: ISO 8601", "append 000000000"),
    (1_200_000_000_000, 10**3, "milliseconds; allowed: ISO 8601", "append 000000"),
    (1_772_366_400_000_000, 10**6, "microseconds; allowed: ISO 8601", "append 000"),
]


@pytest.mark.parametrize(("first", "second", "unit", "mended"), COUNTED)
def test_files_that_count_another_unit_are_refused(first, second, unit, mended):
    stamps = [first + number * second for number in range(600)]
    csv = "time,env,server,watts\n" + "".join(f"{stamp},e,s,1\n" for stamp in stamps)
    with pytest.raises(ConfigError) as of_csv:
        parse_power_csv(csv, name="p.csv")
    assert str(of_csv.value).startswith(f"p.csv: line 2: column 'time' is '{first}', which counts {unit}")
    assert str(of_csv.value).endswith(f"since 1970 (UTC): {mended}")
    lines = points(*(f"server_power,env=e,server=a watts=1 {stamp}" for stamp in stamps))
    with pytest.raises(ConfigError) as of_lines:
        rows_from_line_protocol(lines, name="p.lp")
    assert f"p.lp: line 1 (server_power): time stamp is {first}, which counts {unit}" in str(of_lines.value)
    with pytest.raises(ConfigError) as of_steps:
        parse_steps_json(steps_json(started_at=first, ended_at=first + second), name="s.json")
    assert f"s.json: step 1: key 'started_at' is {first}, which counts {unit}" in str(of_steps.value)


@pytest.mark.parametrize("length_s", [1, 4, 3600, 90_000])
def test_files_that_count_from_zero_are_nanoseconds(length_s):
    stamps = [number * length_s * 10**7 for number in range(101)]
    text = "time,env,server,watts\n" + "".join(f"{stamp},e,s,1\n" for stamp in stamps)
    assert [row.row.time_ns for row in parse_power_csv(text, name="p.csv")] == stamps


def test_moments_after_1970_are_no_numbers():
    text = "time,env,server,watts\n1970-01-01T00:30:00Z,e,s,1\n1970-01-01T00:40:00Z,e,s,1\n"
    assert len(parse_power_csv(text, name="p.csv")) == 2


@pytest.mark.parametrize("value", ["9999-01-01T00:00:00Z", "9999999999999999999", "-1"])
def test_a_time_that_no_reading_can_have_is_refused(value):
    with pytest.raises(ConfigError, match=f"line 2: column 'time' is '{value}'; allowed: 1970 to 2262"):
        parse_power_csv(f"time,env,server,watts\n{value},e,s,1\n", name="p.csv")


def points(*lines):
    return [(number, parse_line(line)) for number, line in enumerate(lines, start=1)]


def test_line_protocol_gives_totals_of_servers_and_who_is_expected():
    rows = rows_from_line_protocol(
        points(
            "server_power,env=e,server=a,scope=server watts=100,window_s=10,refresh_s=10,quantum_w=4,"
            'clock="bmc",source="ilo_fast_meter",side="ac",accuracy_pct=2,backfill=0i 1000000000',
            "server_power,env=e,server=a,scope=server,part=psu1 watts=50 1000000000",
            "server_power,env=e,server=sled,scope=enclosure watts=900 1000000000",
            "server_bmc,env=e,server=b up=0i,scrape_ms=3 2000000000",
            "cpu,host=x usage=1 3000000000",
        ),
        name="p.lp",
    )
    assert [(row.server, row.row.watts) for row in rows] == [("a", 100.0), ("b", None)]
    first = rows[0].row
    assert (first.clock, first.source, first.window_s, first.quantum_w) == (
        "bmc",
        "ilo_fast_meter",
        10.0,
        4.0,
    )
    assert (first.refresh_s, first.side, first.accuracy_pct) == (10.0, "ac", 2.0)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("server_power,server=a watts=1 1", "needs the tags 'env' and 'server'"),
        ('server_power,env=e,server=a watts="1" 1', "field 'watts' is '1'; allowed: a number"),
        ('server_power,env=e,server=a watts=1,clock="x" 1', "field 'clock' is 'x'; allowed: bmc, poll"),
    ],
)
def test_a_point_that_cannot_be_is_named(line, told):
    with pytest.raises(ConfigError, match="line 1"):
        rows_from_line_protocol(points(line), name="p.lp")
    with pytest.raises(ConfigError) as raised:
        rows_from_line_protocol(points(line), name="p.lp")
    assert told in str(raised.value)


def answers(window_s=None, csv=None, **changed):
    text = csv or "time,env,server,watts\n" + "".join(
        f"{1772366400000000000 + k * 10**9},pod1,{server},{100 if server == 'a' else 50}\n"
        for k in range(-60, 60)
        for server in "ab"
    )
    rows = parse_power_csv(text, name="p.csv")
    return integrate(rows, parse_steps_json(steps_json(**changed), name="s.json"), window_s)["steps"]


def test_the_answer_has_the_agreed_keys_and_adds_the_servers_up():
    (answer,) = answers()
    assert {
        "env",
        "scenario",
        "step",
        "duration_s",
        "energy_j",
        "u95_j",
        "avg_w",
        "quality",
        "reason",
    } <= set(answer)
    assert answer["energy_j"] == pytest.approx(1500.0)
    assert answer["avg_w"] == pytest.approx(150.0)
    assert answer["coverage"] == 1.0
    assert answer["servers"]["a"]["energy_j"] == pytest.approx(1000.0)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


def test_the_order_of_the_steps_is_kept():
    text = json.dumps([{**STEP, "step": name} for name in "zax"] + [{**STEP, "step": None}])
    rows = parse_power_csv(POWER, name="p.csv")
    found = integrate(rows, parse_steps_json(text, name="s.json"))["steps"]
    assert [answer["step"] for answer in found] == ["z", "a", "x", None]


def test_the_window_given_for_all_holds_for_readings_without_one():
    assert "window 10 s" in answers(window_s=10.0)[0]["method"]
    assert "window declared" in answers(window_s=10.0)[0]["method"]
    assert "window assumed" in answers()[0]["method"] or "assumed" in answers()[0]["method"]


def test_an_environment_without_readings_has_no_energy():
    (answer,) = answers(env="elsewhere")
    assert answer["energy_j"] is None
    assert answer["u95_j"] is None
    assert answer["quality"] == "unresolvable"
    assert "'elsewhere'" in answer["reason"]


def test_a_server_heard_of_within_the_hour_is_expected_and_named():
    rows = parse_power_csv(
        "time,env,server,watts\n1772365000000000000,pod1,gone,\n1772360000000000000,pod1,longgone,7\n"
        + "".join(f"{1772366400000000000 + k * 10**9},pod1,a,100\n" for k in range(-60, 60)),
        name="p.csv",
    )
    (answer,) = integrate(rows, parse_steps_json(steps_json(), name="s.json"))["steps"]
    assert answer["quality"] == "coarse"
    assert "gone" in answer["reason"]
    assert set(answer["servers"]) == {"a", "gone"}
    assert answer["servers"]["gone"]["energy_j"] is None


@pytest.mark.parametrize(("step_s", "p95"), [(60, 0.045), (300, 0.012)])
def test_ten_second_averages_polled_every_ten_seconds_keep_the_bars_through_files(step_s, p95):
    """Case B end to end, each seed an environment of its own; only the window is declared."""
    readings = read(CASES["B"], traces(step_s, 300))
    lines, steps = ["time,env,server,watts,window_s"], []
    for number, reading in enumerate(readings):
        lines += [f"{row.time_ns},e{number},n1,{row.watts},10" for row in reading.rows]
        steps.append(
            {
                "env": f"e{number}",
                "scenario": "s",
                "started_at": reading.start_ns,
                "ended_at": reading.end_ns,
            }
        )
    found = integrate(
        parse_power_csv("\n".join(lines), name="p.csv"), parse_steps_json(json.dumps(steps), name="s.json")
    )["steps"]
    true_j = np.array([reading.true_j for reading in readings])
    errors = np.abs(np.array([answer["energy_j"] for answer in found]) / true_j - 1)
    u95s = np.array([answer["u95_j"] for answer in found]) / true_j
    assert np.quantile(errors, 0.95) <= p95
    assert (errors <= u95s).mean() >= 0.95
    assert np.median(u95s) <= 1.8 * np.quantile(errors, 0.95)
