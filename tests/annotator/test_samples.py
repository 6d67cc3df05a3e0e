"""Readings: from lines into the store and back, and what is newest of each server."""

import contextlib
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energyrecorder.schema import measurement
from energyrecorder_annotator.samples.base import PREFERENCES, Batch, BmcPoll, Reading, SampleStoreError
from energyrecorder_annotator.samples.embedded import EmbeddedSamples
from energyrecorder_annotator.samples.freshness import Freshness
from energyrecorder_annotator.samples.parse import BadLineError, parse_point

SECOND = 1_000_000_000
T0 = 1_800_000_000 * SECOND


@pytest.fixture
def store(tmp_path):
    samples = EmbeddedSamples(tmp_path / "samples.db")
    yield samples
    samples.close()


def reading(at_s, watts=100.0, *, server="n1", env="pod1", scope="server", part=None, **more):
    return Reading(env, server, scope, part, T0 + round(at_s * SECOND), watts, **more)


def poll(at_s, host="on", *, server="n1", env="pod1", up=True, error=""):
    return BmcPoll(env, server, T0 + round(at_s * SECOND), up, host, error)


def spans(*seconds):
    return [T0 + round(second * SECOND) for second in seconds]


class TestParse:
    def test_a_line_of_the_collector_comes_back_field_by_field(self):
        fields = {
            "watts": 212.5,
            "avg_w": 210.0,
            "min_w": 200.0,
            "max_w": 250.0,
            "window_s": 10.0,
            "refresh_s": 10.0,
            "quantum_w": 4.0,
            "accuracy_pct": 2.0,
            "clock": "bmc",
            "energy_counter_j": 5.0,
            "energy_wrap_j": 9.0,
            "backfill": 1,
            "protocol": "ilo",
            "source": "ilo_fast_meter",
            "side": "ac",
        }
        tags = {"env": "pod 1", "server": "n/1", "scope": "server", "part": "meter:x", "rack": "r7"}
        line = measurement("server_power").line(tags, fields, T0)
        point = parse_point(line, 5)
        assert (point.env, point.server, point.scope, point.part, point.t_ns) == (
            "pod 1",
            "n/1",
            "server",
            "meter:x",
            T0,
        )
        assert {name: getattr(point, name) for name in fields} == {**fields, "backfill": True}

    def test_absent_watts_are_missing_not_zero(self):
        assert parse_point("server_power,env=e,server=s,scope=server latency_ms=3 5", 1).watts is None

    def test_a_poll_says_who_is_up_and_on(self):
        line = measurement("server_bmc").line(
            {"env": "e", "server": "s"}, {"up": 0, "host": "off", "error": "timeout"}, T0
        )
        assert parse_point(line, 5) == BmcPoll("e", "s", T0, up=False, host="off", error="timeout")

    def test_a_point_without_time_is_stamped_on_arrival(self):
        assert parse_point('server_bmc,env=e,server=s up=1i,host="odd"', 77) == BmcPoll(
            "e", "s", 77, up=True, host="unknown", error=""
        )

    @pytest.mark.parametrize("line", ["# comment", "server_info,env=e,server=s model=1 5", "cpu,x=y v=1"])
    def test_what_is_not_ours_is_passed_over(self, line):
        assert parse_point(line, 1) is None

    @pytest.mark.parametrize(
        "line",
        [
            "garbage",
            "server_power,env=e,server=s,scope=server watts=NaN 5",
            "server_power,env=e,server=s watts=1 5",
            "server_power,env=e,scope=server watts=1 5",
            "server_power,server=s,scope=server watts=1 5",
            "server_power,env=e,server=s,scope=server watts=1 -5",
            "server_power,env=e,server=s,scope=server watts=1 99999999999999999999999",
        ],
    )
    def test_a_bad_line_is_refused_in_one_line(self, line):
        with pytest.raises(BadLineError) as caught:
            parse_point(line, 1)
        assert "\n" not in str(caught.value)

    @given(st.text(max_size=80))
    @settings(max_examples=300, deadline=None)
    def test_no_text_does_anything_but_parse_or_be_refused(self, text):
        with contextlib.suppress(BadLineError):
            parse_point(text.replace("\n", " "), 1)


class TestStore:
    def test_rows_come_back_in_order_in_the_shape_of_the_estimator(self, store):
        more = {
            "window_s": 10.0,
            "refresh_s": 10.0,
            "quantum_w": 4.0,
            "clock": "bmc",
            "source": "dcmi",
            "side": "ac",
            "accuracy_pct": 2.0,
        }
        store.add(Batch(readings=[reading(2, 120.0, **more), reading(1, None, **more), reading(3, 0.0)]))
        [one] = store.readings("pod1", ["n1", "n2"], *spans(0, 10), PREFERENCES)
        times = spans(1, 2, 3)
        assert (one.server, one.preference) == ("n1", "bmc")
        assert [tuple(row) for row in one.rows] == [
            (times[0], None, 10.0, 10.0, 4.0, "bmc", "dcmi", "ac", 2.0),
            (times[1], 120.0, 10.0, 10.0, 4.0, "bmc", "dcmi", "ac", 2.0),
            (times[2], 0.0, None, None, None, None, None, None, None),
        ]

    def test_a_span_includes_its_start_and_not_its_end(self, store):
        store.add(Batch(readings=[reading(second) for second in (1, 2, 3)]))
        [one] = store.readings("pod1", ["n1"], *spans(1, 3), PREFERENCES)
        assert [row[0] for row in one.rows] == spans(1, 2)
        assert store.count("pod1", ["n1"], *spans(1, 3)) == (2, spans(2)[0])
        assert store.count("pod1", ["n9"], *spans(1, 3)) == (0, 0)

    def test_the_same_reading_again_changes_nothing(self, store):
        batch = Batch(readings=[reading(1), reading(2)], polls=[poll(1)])
        store.add(batch)
        store.add(batch)
        assert store.count("pod1", ["n1"], *spans(0, 9))[0] == 2

    def test_the_first_preferred_series_with_readings_counts(self, store):
        store.add(
            Batch(
                readings=[
                    reading(1, None),
                    reading(1, 50.0, part="legacy"),
                    reading(1, 60.0, part="meter:pdu"),
                    reading(1, 70.0, part="psu1"),
                    reading(1, 80.0, scope="card", part="card1"),
                ]
            )
        )

        def chosen(*prefer):
            found = store.readings("pod1", ["n1"], *spans(0, 9), prefer)
            return [(one.preference, one.rows[0][1]) for one in found]

        assert chosen(*PREFERENCES) == [("meter", 60.0)]
        assert chosen("bmc", "legacy") == [("legacy", 50.0)]
        assert chosen("bmc") == []

    def test_a_server_belongs_to_an_environment_while_it_reports(self, store):
        store.add(
            Batch(
                readings=[reading(100, server="total"), reading(100, server="part", scope="card", part="c")],
                polls=[poll(100, server="polled", up=False), poll(100, server="elsewhere", env="pod2")],
            )
        )
        assert store.servers_seen("pod1", *spans(99, 101)) == {"total", "polled"}
        assert store.servers_seen("pod1", *spans(101, 5000)) == set()
        assert store.servers_seen("pod1", *spans(-5000, 100)) == set()
        store.add(Batch(polls=[poll(5000, server="total")]))
        assert store.servers_seen("pod1", *spans(4000, 5001)) == {"total"}

    def test_power_is_down_sampled_and_keeps_extremes(self, store):
        watts = [100.0] * 50 + [400.0] + [100.0] * 49
        store.add(
            Batch(readings=[reading(n, w) for n, w in enumerate(watts)] + [reading(5, None, part="psu1")])
        )
        [series] = store.power({"env": ["pod1"]}, *spans(0, 100), 10)
        assert len(series.points) == 10
        assert [t for t, *_ in series.points] == sorted(t for t, *_ in series.points)
        assert max(point[3] for point in series.points) == 400.0
        assert min(point[2] for point in series.points) == 100.0
        assert series.points[5][1] == pytest.approx(130.0)
        assert store.power({"server": ["n2"]}, *spans(0, 100), 10) == []
        [fine] = store.power({"server": ["n1"]}, *spans(0, 100), 1000)
        assert [point[:2] for point in fine.points] == list(zip(spans(*range(100)), watts, strict=True))

    def test_readings_beyond_retention_are_forgotten(self, store):
        store.add(Batch(readings=[reading(n) for n in range(10)]))
        assert store.forget(*spans(4)) == 4
        assert store.count("pod1", ["n1"], *spans(0, 100)) == (6, spans(9)[0])

    def test_everything_is_there_after_opening_again(self, store, tmp_path):
        store.add(Batch(readings=[reading(1), reading(2, 50.0, refresh_s=2.0)], polls=[poll(3, "off")]))
        again = EmbeddedSamples(tmp_path / "samples.db")
        try:
            [last] = again.last_seen(T0 - 600 * SECOND)
            assert (last.env, last.server, last.heard_ns, last.host) == ("pod1", "n1", spans(3)[0], "off")
            assert (last.reading.watts, last.reading.refresh_s) == (50.0, 2.0)
            again.add(Batch(readings=[reading(4)]))
            assert store.count("pod1", ["n1"], *spans(0, 9))[0] == 3
        finally:
            again.close()

    def test_a_refused_batch_leaves_nothing_and_the_next_one_works(self, store):
        pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
        store._writer.execute(f"PRAGMA max_page_count = {pages}")
        big = Batch(readings=[reading(n, server=f"server-{n}") for n in range(2000)])
        with pytest.raises(SampleStoreError, match="full"):
            store.add(big)
        store._writer.execute("PRAGMA max_page_count = 100000")
        assert store.servers_seen("pod1", *spans(-1, 9999)) == set()
        store.add(big)
        assert len(store.servers_seen("pod1", *spans(-1, 9999))) == 2000

    def test_names_are_values_never_sql(self, store):
        name = "x' OR 1=1; DROP TABLE readings; --"
        store.add(Batch(readings=[reading(1, server=name, env=name)]))
        assert store.servers_seen(name, *spans(0, 9)) == {name}
        assert list(store.readings("pod1", [name], *spans(0, 9), PREFERENCES)) == []
        with sqlite3.connect(":memory:"):
            assert store.count(name, [name], *spans(0, 9))[0] == 1


class TestFreshness:
    def test_a_polled_reading_covers_less_than_its_time(self):
        fresh = Freshness()
        fresh.add(Batch(readings=[reading(100, clock="poll", window_s=10.0, refresh_s=10.0)]))
        assert fresh.covers("pod1", ["n1"], spans(90)[0])
        assert not fresh.covers("pod1", ["n1"], spans(90.1)[0])

    def test_a_record_of_the_bmc_covers_its_window(self):
        fresh = Freshness()
        fresh.add(Batch(readings=[reading(100, clock="bmc", window_s=10.0, refresh_s=10.0)]))
        assert fresh.covers("pod1", ["n1"], spans(100)[0])

    def test_an_undeclared_source_may_be_late_by_a_poll(self):
        fresh = Freshness()
        fresh.add(Batch(readings=[reading(90), reading(100)]))
        assert fresh.covers("pod1", ["n1"], spans(90)[0])
        assert not fresh.covers("pod1", ["n1"], spans(91)[0])

    def test_every_server_counts_and_a_missing_reading_covers_nothing(self):
        fresh = Freshness()
        fresh.add(
            Batch(readings=[reading(100, clock="bmc"), reading(100, None, server="n2")], polls=[poll(100)])
        )
        assert fresh.covers("pod1", ["n1"], spans(100)[0])
        assert not fresh.covers("pod1", ["n1", "n2"], spans(1)[0])
        assert not fresh.covers("pod1", ["nobody"], spans(1)[0])
        assert fresh.servers("pod1", spans(100)[0])["n2"].sample_ns == 0

    def test_the_host_switched_only_between_on_and_off(self):
        fresh = Freshness()
        states = ["on", "unknown", "on", "off", "off", "unknown", "on"]
        switched = [fresh.add(Batch(polls=[poll(n, host)])) for n, host in enumerate(states)]
        assert [[p.host for p in polls] for polls in switched] == [[], [], [], ["off"], [], [], ["on"]]

    def test_servers_unheard_for_long_do_not_count(self):
        fresh = Freshness()
        fresh.add(Batch(polls=[poll(1), poll(100, server="n2")]))
        assert set(fresh.servers("pod1", spans(50)[0])) == {"n2"}
        assert fresh.servers("pod9", 0) == {}

    def test_the_least_delay_of_the_last_minutes_tells_how_far_clocks_are_apart(self):
        fresh = Freshness()
        assert fresh.delays_s() == {}
        for at_s, delay_s in ((100, 3.0), (101, 0.5), (102, 40.0), (399, 2.0)):
            fresh.add(Batch(readings=[reading(at_s - delay_s)]), *spans(at_s))
        assert fresh.delays_s() == {"pod1": 0.5}
        fresh.add(Batch(readings=[reading(500 - 7.0)]), *spans(500))
        assert fresh.delays_s() == {"pod1": 0.5}, "the span before counts too"
        fresh.add(Batch(readings=[reading(900 - 8.0), reading(900 - 300.0)]), *spans(900))
        assert fresh.delays_s() == {"pod1": 7.0}
        fresh.add(Batch(readings=[reading(1300 + 60.0)]), *spans(1300))
        assert fresh.delays_s() == {"pod1": -60.0}
        fresh.add(Batch(readings=[reading(5, env="long-ago")]))
        assert set(fresh.delays_s()) == {"pod1"}
