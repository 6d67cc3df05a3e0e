"""How often the delivery thread wakes: rarely while steps keep coming, at once when somebody waits."""

import io
import os
import threading
import time

import pytest

from energyrecorder import client as client_module
from energyrecorder import sockets
from energyrecorder.client import BATCH, Client
from energyrecorder.clock import SystemClock
from energyrecorder.notices import Notices
from energyrecorder.sdk_settings import SdkSettings

FOREVER_S = 1000.0


def event(number):
    return {"op": "mark", "title": str(number), "at": SystemClock().now()}


@pytest.fixture
def client(annotator, tmp_path):
    """Return a client whose thread would linger for ever."""
    settings = SdkSettings(annotator.url, tmp_path / "spool", env="pod1")
    client = Client(settings, notices=Notices(io.StringIO()))
    client._linger_s = FOREVER_S
    yield client
    client.flush()


def titles(annotator):
    return [told["title"] for told in list(annotator.events)]


def test_a_full_batch_is_sent_however_long_the_thread_lingers(client, annotator, monkeypatch):
    monkeypatch.setattr(client_module, "_LONGEST_LINGER_S", FOREVER_S)
    for number in range(2 * BATCH):
        client.submit(event(number))
    until_s = time.monotonic() + 30
    while len(annotator.events) < BATCH:
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_a_flush_waits_for_no_lingering(client, annotator):
    client.submit(event(1))
    client.flush(30)
    assert titles(annotator) == ["1"]


def test_a_flush_that_comes_while_the_thread_lingers_wakes_it(client, annotator):
    client.submit(event(1))
    until_s = time.monotonic() + 30
    while client._queue:  # the thread has taken it and lingers
        assert time.monotonic() < until_s
        time.sleep(0.001)
    client.submit(event(2))
    client.flush(30)
    assert titles(annotator) == ["1", "2"]


def test_a_flush_that_comes_while_the_thread_is_being_started_waits_for_it(client, annotator, monkeypatch):
    running, go_on = threading.Event(), threading.Event()

    class Slow(threading.Thread):
        def start(self):
            super().start()
            running.set()
            go_on.wait(100)

    another = threading.Thread(target=client.submit, args=(event(1),))
    monkeypatch.setattr(threading, "Thread", Slow)
    another.start()
    assert running.wait(30)
    client.flush(30)
    go_on.set()
    another.join()
    assert titles(annotator) == ["1"]


def test_it_lingers_longer_while_events_keep_coming_and_begins_anew_after_a_pause(annotator, monkeypatch):
    monkeypatch.setattr(client_module, "_TICK_S", 0.001)
    client = Client(SdkSettings(annotator.url, "unused", env="pod1"))
    first_s, lingered = client._linger_s, []
    for number in range(8):
        client._queue.append(event(number))
        batch, _ = client._take()
        assert len(batch) == 1
        lingered.append(client._linger_s)
    assert lingered[:3] == [first_s * 2, first_s * 4, first_s * 8]
    assert lingered[-1] == client_module._LONGEST_LINGER_S
    assert client._take() == ([], None)
    assert client._linger_s == first_s


def test_a_thread_that_is_stuck_is_waited_for_once(annotator, tmp_path, monkeypatch, spool_lines):
    looked_up, go_on = threading.Event(), threading.Event()

    def look_up(*_name):
        looked_up.set()
        go_on.wait(100)
        raise OSError("no such name")

    monkeypatch.setattr(sockets, "_getaddrinfo", look_up)
    settings = SdkSettings("http://annotator.example", tmp_path / "spool", env="pod1")
    client = Client(settings, notices=Notices(io.StringIO()))
    client.submit(event(1))
    assert looked_up.wait(30)
    client.flush(0.1)
    assert [line["title"] for line in spool_lines()] == ["1"]
    client.submit(event(2))
    before_s = time.monotonic()
    client.flush(FOREVER_S)
    assert time.monotonic() - before_s < 30
    assert [line["title"] for line in spool_lines()] == ["1", "2"]
    go_on.set()
    client.flush()


def test_a_signal_handler_may_record_in_the_middle_of_recording(annotator, python):
    code = """
import signal
from energyrecorder import Energy, enable_recording, set_step
interrupted = 0
@set_step("handler")
def handler(number, frame):
    global interrupted
    interrupted += 1
    if interrupted < 200:
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
signal.signal(signal.SIGALRM, handler)
with enable_recording("functest"):
    signal.setitimer(signal.ITIMER_REAL, 0.0003)
    while interrupted < 200:
        with set_step("main"):
            Energy.set_step("implicit")
    Energy.flush(30)
print(interrupted)
Energy.flush(30)
"""
    environ = {**os.environ, "ENERGY_URL": annotator.url, "ENERGY_ENV": "pod1"}
    done = python(code, env=environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "200\n", "")
    assert annotator.told("stop").count(("stop", "functest", "handler")) == 200
