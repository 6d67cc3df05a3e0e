"""Grafana, a webhook and InfluxDB 2.x as fake servers, and each way in which a peer may be unwell."""

import json
import threading

import pytest

from energyrecorder.secret import Secret
from energyrecorder_annotator.influx.client import InfluxClient
from energyrecorder_annotator.influx.settings import InfluxSettings
from energyrecorder_annotator.journal.base import Mark
from energyrecorder_annotator.journal.outbox import Delivered
from energyrecorder_annotator.journal.sqlite import SqliteJournal
from energyrecorder_annotator.sinks.base import SinkAwayError
from energyrecorder_annotator.sinks.delivery import Delivery
from energyrecorder_annotator.sinks.grafana import GrafanaSink
from energyrecorder_annotator.sinks.influx import InfluxSink
from energyrecorder_annotator.sinks.settings import HttpSinkSettings
from energyrecorder_annotator.sinks.webhook import WebhookSink
from support.fake_server import FakeServer
from support.journal import take
from support.steps import SECOND, start, stop

T0 = 1_700_000_000


class Grafana:
    """What Grafana does with annotations: a PATCH changes what it names, a tag search wants all tags."""

    def __init__(self):
        self.annotations = {}
        self.fails = []

    def answer(self, method, path, query, body, headers):
        if headers["Authorization"] != "Bearer grafana-token":
            return 401, {"message": "invalid"}, {}
        if method == "GET":
            found = [
                {"id": number, **one}
                for number, one in self.annotations.items()
                if query["tags"] in one["tags"]
            ]
            return 200, found, {}
        number = int(path.rsplit("/", 1)[1]) if path.count("/") == 3 else len(self.annotations) + 1
        if method == "PATCH" and number not in self.annotations:
            return 404, {"message": "not found"}, {}
        self.annotations.setdefault(number, {}).update(json.loads(body))
        if self.fails:
            return self.fails.pop()
        return 200, {"message": "ok", "id": number}, {}


class Bench:
    def __init__(self, directory, answer):
        self.journal = SqliteJournal(directory / "journal.db")
        self.server = FakeServer(answer)
        self.now_s = T0
        self.sink = self.delivery = None

    def connect(self, make):
        """Begin anew with the sink that ``make`` returns."""
        self.sink = make(self)
        self.delivery = Delivery(self.sink, self.journal, clock=self.clock, retry_most_s=0.1)
        self.deliver()

    def clock(self):
        return self.now_s * SECOND

    def take(self, *events):
        for event in events:
            take(self.journal, event)

    def deliver(self):
        while self.delivery.tick():
            pass

    def sent(self, method):
        return [json.loads(body) for verb, _, _, body, _ in self.server.requests if verb == method]

    def close(self):
        if self.sink is not None:
            self.sink.close()
        self.journal.close()
        self.server.close()


@pytest.fixture
def bench_of(tmp_path):
    benches = []

    def make(answer):
        benches.append(Bench(tmp_path, answer))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


def grafana_sink(bench, mode="scenario", timeout_s=5.0):
    settings = HttpSinkSettings(bench.server.url, Secret("grafana-token"), timeout_s=timeout_s, mode=mode)
    return GrafanaSink(settings, clock=bench.clock)


def test_a_scenario_is_one_region_and_a_patch_sends_only_what_changes(bench_of):
    grafana = Grafana()
    bench = bench_of(grafana.answer)
    bench.connect(grafana_sink)
    bench.take(start("r", T0, title="<b>x"), start("s", T0 + 1, step="one", parent="r"))
    bench.deliver()
    [made] = grafana.annotations.values()
    assert (made["time"], made["timeEnd"]) == (T0 * 1000, T0 * 1000 + 1000)
    assert {"energy-id=r", "env:pod1", "scenario:functest", "state:running"} <= set(made["tags"])
    assert "<b>x" not in made["text"].removeprefix("<b>")
    bench.now_s = T0 + 30
    bench.delivery._touch_at_s = 0
    bench.deliver()
    assert bench.sent("PATCH") == [{"timeEnd": (T0 + 30) * 1000}]
    bench.take(stop("r", T0 + 60))
    bench.deliver()
    assert set(bench.sent("PATCH")[-1]) == {"timeEnd", "tags", "text"}
    [done] = grafana.annotations.values()
    assert done["timeEnd"] == (T0 + 60) * 1000
    assert "state:passed" in done["tags"]


def test_all_means_steps_too_and_what_was_before_is_not_told(bench_of):
    grafana = Grafana()
    bench = bench_of(grafana.answer)
    bench.take(start("old", T0 - 10))
    bench.connect(lambda bench: grafana_sink(bench, "all"))
    bench.take(start("r", T0), start("s", T0 + 1, step="one", parent="r"))
    bench.deliver()
    assert len(grafana.annotations) == 2


def test_tags_keep_to_grafanas_budget_and_have_no_colon_in_their_values(bench_of):
    grafana = Grafana()
    bench = bench_of(grafana.answer)
    bench.connect(grafana_sink)
    bench.take(start("r", T0, scenario="a:b" * 100, tags={f"key{n}": "v" * 60 for n in range(50)}))
    bench.deliver()
    [made] = grafana.annotations.values()
    assert len(",".join(made["tags"])) <= 500
    assert made["tags"][1] == "energy-id=r"
    assert all(tag.count(":") <= 1 for tag in made["tags"])


def test_a_crash_between_the_post_and_our_commit_makes_one_annotation(bench_of, monkeypatch):
    grafana = Grafana()
    bench = bench_of(grafana.answer)
    bench.connect(grafana_sink)
    bench.take(start("r", T0))
    monkeypatch.setattr(bench.delivery, "_save", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bench.deliver()
    assert len(grafana.annotations) == 1
    bench.take(stop("r", T0 + 5))
    bench.connect(grafana_sink)
    [done] = grafana.annotations.values()
    assert done["timeEnd"] == (T0 + 5) * 1000


def test_an_answer_that_gets_lost_makes_one_annotation(bench_of):
    grafana = Grafana()
    bench = bench_of(grafana.answer)
    bench.connect(grafana_sink)
    grafana.fails.append((502, b"bad gateway", {}))
    bench.take(start("r", T0))
    with pytest.raises(SinkAwayError, match="502"):
        bench.deliver()
    bench.deliver()
    assert len(grafana.annotations) == 1


def test_an_annotation_that_somebody_deleted_is_made_again_when_its_step_changes(bench_of):
    grafana = Grafana()
    bench = bench_of(grafana.answer)
    bench.connect(grafana_sink)
    bench.take(start("r", T0))
    bench.deliver()
    grafana.annotations.clear()
    bench.take(stop("r", T0 + 5))
    bench.deliver()
    [done] = grafana.annotations.values()
    assert "state:passed" in done["tags"]


def marked(bench, mark_id, **more):
    mark = Mark(mark_id, "pod1", "note", T0 * SECOND + 7_000_000, "vm <gone>", **more)
    bench.journal.submit(lambda t: t.add_mark(mark)).result(30)
    bench.deliver()


def test_marks_are_points_beside_all_steps(bench_of):
    grafana = Grafana()
    bench = bench_of(grafana.answer)
    bench.connect(lambda bench: grafana_sink(bench, "all"))
    marked(bench, "m", text="a & b", scenario="functest", server="n:1")
    [made] = grafana.annotations.values()
    assert made == {
        "time": T0 * 1000 + 7,
        "tags": ["energy", "energy-id=m", "env:pod1", "scenario:functest", "server:n 1", "kind:note"],
        "text": "<b>vm &lt;gone&gt;</b><br>a &amp; b",
    }
    bench.connect(grafana_sink)
    marked(bench, "not-told")
    assert len(grafana.annotations) == 1


def test_a_mark_whose_answer_gets_lost_is_one_annotation(bench_of):
    grafana = Grafana()
    bench = bench_of(grafana.answer)
    bench.connect(lambda bench: grafana_sink(bench, "all"))
    grafana.fails.append((502, b"bad gateway", {}))
    with pytest.raises(SinkAwayError, match="502"):
        marked(bench, "m")
    bench.deliver()
    assert len(grafana.annotations) == 1
    assert bench.delivery.status().backlog == 0


def webhook_sink(bench):
    return WebhookSink(HttpSinkSettings(bench.server.url + "/hook", Secret("t"), timeout_s=5.0))


def test_the_webhook_gets_each_change_once_under_a_key(bench_of):
    bench = bench_of(lambda *_: (200, {}, {}))
    bench.connect(webhook_sink)
    bench.take(start("r", T0))
    bench.deliver()
    bench.take(stop("r", T0 + 5, outcome="failed"))
    mark = Mark("m", "pod1", "note", T0 * SECOND, "title")
    bench.journal.submit(lambda t: t.add_mark(mark)).result(60)
    bench.deliver()
    keys = [headers["Idempotency-Key"] for *_, headers in bench.server.requests]
    assert keys == ["r/1", "r/2", "m/1"]
    assert [body.get("state") for body in bench.sent("POST")] == ["running", "failed", None]
    assert {headers["Authorization"] for *_, headers in bench.server.requests} == {"Bearer t"}


def test_what_a_webhook_refuses_is_a_dead_letter_and_holds_up_nothing(bench_of):
    def answer(method, path, query, body, headers):
        return (422 if headers["Idempotency-Key"].startswith("bad") else 200), {"why": "no"}, {}

    bench = bench_of(answer)
    bench.connect(webhook_sink)
    bench.take(start("bad", T0, scenario="x"), start("good", T0))
    bench.deliver()
    [letter] = bench.journal.dead_letters(10)
    assert (letter.sink, letter.item_id) == ("webhook", "bad")
    assert "422" in letter.reason
    assert len(bench.server.requests) == 2


def influx_sink(bench, **more):
    settings = InfluxSettings(bench.server.url, "db", **{"timeout_s": 5.0, **more})
    return InfluxSink(InfluxClient(settings), lambda *_: True, clock=bench.clock, profiles=None)


def test_influxdb_2_is_written_and_cleared_by_its_own_interface(bench_of):
    bench = bench_of(lambda method, path, *_: (204 if path.startswith("/api/v2") else 404, b"", {}))
    bench.connect(lambda bench: influx_sink(bench, bucket="b", org="o", token=Secret("tok")))
    bench.take(stop("r", T0 + 5, env="pod1", scenario="functest"), start("r", T0, step="x"))
    bench.deliver()
    bench.take(start("q", T0))
    bench.deliver()
    method, path, query, body, headers = bench.server.requests[-1]
    assert (method, path, query) == ("POST", "/api/v2/write", {"bucket": "b", "org": "o", "precision": "ns"})
    assert headers["Authorization"] == "Token tok"
    assert body.startswith(b"energy_steps,env=pod1,level=scenario,scenario=functest ")
    bench.sink._client.delete("energy_steps", {"env": 'p"1'}, T0 * SECOND + 5)
    method, path, query, body, _ = bench.server.requests[-1]
    assert path == "/api/v2/delete"
    assert json.loads(body) == {
        "start": "2023-11-14T22:13:20.000000005Z",
        "stop": "2023-11-14T22:13:20.000000005Z",
        "predicate": '_measurement="energy_steps" AND env="p\\"1"',
    }


@pytest.mark.parametrize("status", [404, 405, 501])
def test_influxdb_3_without_deletion_keeps_the_point_and_its_step_is_delivered(bench_of, status):
    """3.x Core takes points and cannot delete any: a field that should disappear stays, nothing else."""
    bench = bench_of(lambda method, path, *_: (status if path == "/api/v2/delete" else 204, b"", {}))
    bench.connect(lambda bench: influx_sink(bench, bucket="b", token=Secret("tok")))
    bench.take(start("r", T0, url="https://ci/1"))
    bench.deliver()
    memo = json.loads(bench.journal.memos("influxdb", ["r"])["r"])
    memo[2] = [*memo[2], "gone"]
    cursor = bench.journal.cursor("influxdb")
    told = [Delivered("r", 1, json.dumps(memo))]
    bench.journal.submit(lambda t: t.put_delivery("influxdb", cursor, told, [])).result(60)
    bench.take(stop("r", T0 + 5))
    bench.deliver()
    paths = [path for _, path, *_ in bench.server.requests]
    assert paths[-2:] == ["/api/v2/delete", "/api/v2/write"]
    assert b'state="passed"' in bench.server.requests[-1][3]
    assert bench.journal.dead_letters(10) == []


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
@pytest.mark.parametrize("make", [influx_sink, grafana_sink])
def test_an_answer_that_may_change_loses_nothing_and_a_pause_asked_for_is_kept(bench_of, make, status):
    state = {"status": 0}

    def answer(method, path, *_):
        if state["status"]:
            return state["status"], b"why", {"Retry-After": "7"}
        if path.startswith("/api/annotations"):
            return 200, [] if method == "GET" else {"id": 1}, {}
        return 204, b"", {}

    bench = bench_of(answer)
    bench.connect(make)
    state["status"] = status
    bench.take(start("r", T0))
    with pytest.raises(SinkAwayError, match=f"{status}.*why") as caught:
        bench.deliver()
    assert caught.value.retry_after_s == 7
    assert bench.delivery._try() >= 7
    assert bench.delivery.status().backlog == 1
    state["status"] = 0
    assert bench.delivery._try() == 0
    assert (bench.delivery.status().backlog, bench.delivery.status().error) == (0, None)
    assert bench.journal.dead_letters(10) == []


def test_a_body_that_is_too_large_is_cut_down(bench_of):
    def answer(method, path, query, body, headers):
        return (413 if body.count(b"\n") >= 3 else 204), b"too large", {}

    bench = bench_of(answer)
    bench.take(*(start(f"r{n}", T0 + n) for n in range(20)))
    bench.connect(influx_sink)
    written = b"\n".join(
        body for _, path, _, body, _ in bench.server.requests if path == "/write" and body.count(b"\n") < 3
    )
    assert all(f'step_id="r{n}"'.encode() in written for n in range(20))
    assert bench.journal.dead_letters(10) == []


@pytest.mark.parametrize("make", [influx_sink, grafana_sink])
def test_a_slow_peer_costs_no_more_than_its_timeout(bench_of, make):
    hold, release = threading.Event(), threading.Event()

    def answer(*_):
        if hold.is_set():
            release.wait(20)
        return 200, [], {}

    bench = bench_of(answer)
    bench.connect(lambda bench: make(bench, timeout_s=0.3))
    hold.set()
    bench.take(start("r", T0))
    with pytest.raises(SinkAwayError, match="in time"):
        bench.deliver()
    release.set()


def test_no_stale_state_is_delivered_after_a_newer_one(bench_of):
    """While the peer fails, a step moves on; each answered write shows a state at least as new as before."""
    seen = []
    fail = {"left": 3}

    def answer(method, path, query, body, headers):
        if fail["left"]:
            fail["left"] -= 1
            return 500, b"", {}
        seen.append(body)
        return 204, b"", {}

    bench = bench_of(answer)
    bench.take(start("r", T0))
    delivery = Delivery(influx_sink(bench), bench.journal, clock=bench.clock, retry_most_s=0.1)
    assert delivery._try() > 0
    bench.take(stop("r", T0 + 5))
    while delivery._try() > 0:
        assert fail["left"] >= 0
        if delivery.status().backlog == 0:
            break
    states = [b'state="running"' in body for body in seen if b"energy_steps" in body]
    assert states == [False]
    assert b'state="passed"' in seen[-1]
