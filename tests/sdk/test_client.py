"""Delivery in the background: batches, an annotator that is away or broken, fork."""

import io
import os
import threading
import time

import pytest

from energyrecorder import client as client_module
from energyrecorder.client import Client
from energyrecorder.clock import SystemClock
from energyrecorder.delivery import Breaker
from energyrecorder.notices import Notices
from energyrecorder.recorder import Recorder
from energyrecorder.recording import Recording
from energyrecorder.sdk_settings import SdkSettings

S = 1_000_000_000
HANGS_S = 100
"""How long a hanging service holds whoever waits for it; what does not wait takes next to nothing."""


def wait_until(condition, longest_s=30.0):
    """Wait until ``condition()`` holds; a test that waits for longer fails."""
    deadline = time.monotonic() + longest_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


class Sdk:
    """A client and a recorder of their own, told where to send."""

    def __init__(self, url, spool_dir, *, env="pod1", **more):
        self.stderr = io.StringIO()
        self.now = SystemClock().now
        self.settings = SdkSettings(url, spool_dir, env=env, **more)
        self.client = Client(self.settings, now=self.now, notices=Notices(self.stderr))
        self.recorder = Recorder(self.client.submit, self.now)

    def step(self, name):
        return Recording(self.recorder, name, is_step=True)

    def scenario(self, name):
        return Recording(self.recorder, name, is_step=False)


@pytest.fixture
def sdk(tmp_path):
    made = []

    def make(url, **more):
        made.append(Sdk(url, tmp_path / "spool", **more))
        return made[-1]

    yield make
    for each in made:
        each.client.flush(0.5)


def test_events_arrive_in_order_with_their_environment(annotator, sdk):
    it = sdk(annotator.url)
    with it.scenario("functest"), it.step("boot"):
        pass
    it.client.flush()
    assert annotator.told() == [
        ("start", "functest", None),
        ("start", "functest", "boot"),
        ("stop", "functest", "boot"),
        ("stop", "functest", None),
    ]
    assert {event["env"] for event in annotator.events} == {"pod1"}
    assert it.stderr.getvalue() == ""


def test_the_servers_of_the_settings_limit_a_run_that_names_none(annotator, sdk):
    it = sdk(annotator.url, servers=("node-1", "node-2"))
    with it.scenario("functest"), it.step("boot"):
        pass
    with Recording(it.recorder, "other", is_step=False, servers=["node-9"]):
        pass
    it.client.flush()
    starts = [event for event in annotator.events if event["op"] == "start"]
    assert [event.get("servers") for event in starts] == [["node-1", "node-2"], None, ["node-9"]]


def test_events_carry_the_clocks_of_when_they_happened(annotator, sdk):
    it = sdk(annotator.url)
    before = it.now()
    with it.step("s"):
        pass
    after = it.now()
    it.client.flush()
    for event in annotator.events:
        assert before.boot_ns <= event["at"]["boot_ns"] <= after.boot_ns
        assert event["at"]["boot_id"] == before.boot_id
    (request,) = [body for _, path, body in annotator.requests if path == "/v1/batch"]
    assert request["now"]["boot_ns"] >= after.boot_ns


def test_a_burst_makes_few_requests(annotator, sdk):
    it = sdk(annotator.url)
    for _ in range(500):
        with it.step("s"):
            pass
    it.client.flush()
    assert len(annotator.events) == 1000
    assert len(annotator.requests) <= 15


@pytest.mark.parametrize("mode", ["500", "401", "html", "cut"])
def test_what_a_broken_annotator_did_not_take_is_kept_and_sent_later(
    annotator, sdk, spool_lines, tmp_path, mode
):
    annotator.mode = mode
    first = sdk(annotator.url)
    with first.step("one"):
        pass
    first.client.flush()
    assert [line["op"] for line in spool_lines()] == ["start", "stop"]
    assert first.stderr.getvalue().count("steps are kept") == 1
    assert ("ENERGY_TOKEN" in first.stderr.getvalue()) is (mode == "401")
    annotator.mode = "up"
    second = sdk(annotator.url)
    with second.step("two"):
        pass
    # Not `flush`: the first client's thread may be replaying meanwhile, and then the second one waits.
    wait_until(lambda: len(annotator.told()) == 4 and not list(tmp_path.glob("spool/*/*.jsonl")))
    assert [scenario for _, scenario, _ in annotator.told()] == ["one", "one", "two", "two"]


def test_an_annotator_that_is_away_is_told_once_with_the_setting_that_names_it(closed_port, sdk, spool_lines):
    it = sdk(closed_port, url_is_default=True)
    for _ in range(20):
        with it.step("s"):
            pass
    it.client.flush()
    assert len(spool_lines()) == 40
    assert it.stderr.getvalue().count("\n") == 1
    assert "set ENERGY_URL" in it.stderr.getvalue()


def test_a_hanging_annotator_delays_neither_steps_nor_the_end(annotator, sdk, spool_lines):
    annotator.mode = "hang"
    it = sdk(annotator.url)
    before = time.monotonic()
    for _ in range(100):
        with it.step("s"):
            pass
    it.client.flush(0.5)
    assert time.monotonic() - before < HANGS_S / 3
    assert len(spool_lines()) >= 200
    assert len({(line["op"], line["step_id"]) for line in spool_lines()}) == 200


def test_a_black_hole_delays_neither_steps_nor_the_end(black_hole, sdk, spool_lines):
    it = sdk(black_hole)
    before = time.monotonic()
    with it.step("s"):
        pass
    it.client.flush(0.5)
    assert time.monotonic() - before < HANGS_S / 3
    assert len({(line["op"], line["step_id"]) for line in spool_lines()}) == 2


def test_an_item_that_is_refused_blocks_nothing_and_is_told(annotator, sdk, spool_lines):
    annotator.refuse = {"bad": 422}
    it = sdk(annotator.url)
    with it.scenario("root"), it.step("bad"), it.step("good"):
        pass
    it.client.flush()
    assert annotator.told("start") == [("start", "root", None), ("start", "root", "good")]
    assert "refused a start: 'not this one'" in it.stderr.getvalue()
    assert spool_lines() == []


def test_an_item_that_may_be_taken_later_is_kept(annotator, sdk, spool_lines):
    annotator.refuse = {"busy": 503}
    it = sdk(annotator.url)
    with it.scenario("root"), it.step("busy"):
        pass
    it.client.flush()
    assert [(line["op"], line.get("step")) for line in spool_lines()] == [("start", "busy"), ("stop", "busy")]


def test_a_warning_of_the_annotator_is_shown_once(annotator, sdk):
    annotator.warnings = ["environment 'pod1' is unknown"]
    it = sdk(annotator.url)
    for _ in range(3):
        with it.step("s"):
            pass
    it.client.flush()
    assert it.stderr.getvalue() == "energyrecorder: s: environment 'pod1' is unknown\n"


def test_without_environment_events_are_kept_and_it_is_told_once(annotator, sdk, spool_lines):
    it = sdk(annotator.url, env=None)
    for _ in range(3):
        with it.step("s"):
            pass
    it.client.flush()
    assert annotator.events == []
    assert len(spool_lines()) == 6
    assert it.stderr.getvalue().count("set ENERGY_ENV") == 1


def test_a_request_tells_what_still_waits_on_the_disk(annotator, sdk):
    """Steps of a job without environment wait for a person; the next job with one tells of them."""
    with (homeless := sdk(annotator.url, env=None)).step("one"):
        pass
    homeless.client.flush()
    it = sdk(annotator.url)
    with it.step("two"):
        pass
    it.client.flush()
    told = [body["spool"] for _, path, body in annotator.requests if path == "/v1/batch"]
    assert told
    waiting = it.settings.spool_dir.glob("*/no-env.jsonl")
    assert {(one["env"], one["size_bytes"]) for one in told} == {
        ("pod1", sum(path.stat().st_size for path in waiting))
    }
    assert all(0 < one["oldest_s"] < HANGS_S for one in told)


def test_a_request_says_nothing_of_an_empty_spool(annotator, sdk):
    it = sdk(annotator.url)
    with it.step("s"):
        pass
    it.client.flush()
    assert not any("spool" in body for _, path, body in annotator.requests if path == "/v1/batch")


def test_a_full_queue_drops_and_tells_once(closed_port, sdk, monkeypatch):
    monkeypatch.setattr(client_module, "QUEUE_EVENTS", 0)
    it = sdk(closed_port)
    for _ in range(3):
        with it.step("s"):
            pass
    assert it.stderr.getvalue().count("dropped") == 1


def test_open_steps_are_renewed_and_closed_ones_are_not(annotator, sdk, monkeypatch):
    monkeypatch.setattr(client_module, "HEARTBEAT_NS", 0)
    it = sdk(annotator.url)
    with it.scenario("open") as scope:
        with it.step("closed"):
            pass
        it.client.flush()
        with it.step("another"):
            it.client.flush()
    renewed = [
        item["step_id"]
        for _, _, body in annotator.requests
        for item in (body or {}).get("items", ())
        if item["op"] == "heartbeat"
    ]
    closed = next(e["step_id"] for e in annotator.events if e.get("step") == "closed")
    assert scope.step_id in renewed
    assert closed not in renewed


def test_the_breaker_doubles_its_pause_up_to_a_minute():
    breaker = Breaker()
    now_ns, pauses = 0, []
    for _ in range(8):
        breaker.failed(now_ns)
        pause_s = next(pause for pause in range(1, 100) if breaker.allows(now_ns + pause * S))
        assert not breaker.allows(now_ns + pause_s * S - 1)
        pauses.append(pause_s)
        now_ns += pause_s * S
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    breaker.succeeded()
    assert breaker.allows(now_ns)


def test_a_forked_child_delivers_its_own_steps_and_leaves_its_parents_alone(annotator, sdk):
    it = sdk(annotator.url)
    with it.scenario("parent"):
        it.client.flush()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with it.step("child"):
                    pass
                it.recorder.close_all()
                it.client.flush()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
    it.client.flush()
    assert annotator.told() == [
        ("start", "parent", None),
        ("start", "parent", "child"),
        ("stop", "parent", "child"),
        ("stop", "parent", None),
    ]


def test_the_end_of_a_flush_does_not_end_the_thread():
    """Its deadline is taken back while the thread looks at it."""
    looks = iter([SystemClock().now().boot_ns + 10**9])

    class Flushing(Client):
        _deadline_ns = property(lambda _self: next(looks, None), lambda _self, _value: None)

    assert 0 < Flushing()._timeout_s() <= 1


def test_threads_may_record_while_another_flushes(annotator, sdk):
    it = sdk(annotator.url)

    def work():
        for _ in range(50):
            with it.step("s"):
                pass

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    it.client.flush()
    for thread in threads:
        thread.join()
    it.client.flush()
    assert len(annotator.events) == 300
    assert len({(event["op"], event["step_id"]) for event in annotator.events}) == 300
