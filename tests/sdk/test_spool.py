"""The spool: in order, exactly once, by several processes, bounded, and forgiving of damage."""

import io
import json
import os
import threading

import pytest

from energyrecorder.errors import AnnotatorError
from energyrecorder.notices import Notices
from energyrecorder.spool import BATCH, OLD_AFTER_NS, Spool
from energyrecorder.spool_line import encode

NOW_NS = 10**18


def event(number, *, env="pod1", wall_ns=NOW_NS, **more):
    return {"op": "start", "step_id": str(number), "at": {"wall_ns": wall_ns}, "env": env, **more}


def numbers(events):
    return [int(item["step_id"]) for item in events]


class Sent:
    """Takes what is replayed; fails after ``good`` batches."""

    def __init__(self, good=None, again=()):
        self.events = []
        self.good = good
        self.again = again

    def __call__(self, events):
        if self.good is not None:
            if self.good == 0:
                raise AnnotatorError("away")
            self.good -= 1
        again = [item for item in events if int(item["step_id"]) in self.again]
        self.events += [item for item in events if item not in again]
        return again


@pytest.fixture
def told():
    return io.StringIO()


@pytest.fixture
def spool(tmp_path, told):
    return Spool(tmp_path / "s", Notices(told))


def test_events_are_replayed_in_order_and_once(spool):
    for first in range(0, 1000, 50):
        spool.append([event(number) for number in range(first, first + 50)])
    sent = Sent()
    assert spool.count() == 1000
    assert spool.replay(sent, now_ns=NOW_NS).sent == 1000
    assert numbers(sent.events) == list(range(1000))
    assert not spool.replay(sent, now_ns=NOW_NS).sent
    assert (spool.count(), spool.pending()) == (0, False)


def test_a_replay_that_fails_goes_on_where_it_failed(spool):
    spool.append([event(number) for number in range(500)])
    sent = Sent(good=1)
    with pytest.raises(AnnotatorError):
        spool.replay(sent, now_ns=NOW_NS)
    assert spool.pending()
    spool.append([event(500)])
    assert spool.count() == 501 - len(sent.events)
    sent.good = None
    spool.replay(sent, now_ns=NOW_NS)
    assert numbers(sent.events) == list(range(501))


def test_a_replay_may_be_limited(spool):
    spool.append([event(number) for number in range(500)])
    sent = Sent()
    replay = spool.replay(sent, now_ns=NOW_NS, max_batches=1)
    assert (replay.sent, replay.left) == (200, True)
    assert not spool.replay(sent, now_ns=NOW_NS, max_batches=5).left
    assert numbers(sent.events) == list(range(500))


def test_lines_of_before_there_were_short_keys_are_replayed_in_their_place(spool):
    spool.folder.mkdir()
    old = "".join(json.dumps(event(number)) + "\n" for number in (0, 1))
    (spool.folder / "events.jsonl").write_text(old)
    spool.append([event(2)])
    sent = Sent()
    spool.replay(sent, now_ns=NOW_NS)
    assert sent.events == [event(number) for number in range(3)]


def test_what_must_be_tried_again_is_kept(spool):
    spool.append([event(number) for number in range(4)])
    sent = Sent(again={1, 2})
    assert spool.replay(sent, now_ns=NOW_NS).sent == 2
    sent.again = ()
    spool.replay(sent, now_ns=NOW_NS)
    assert numbers(sent.events) == [0, 3, 1, 2]


def test_a_damaged_line_is_kept_aside_and_told_once(spool, told):
    spool.append([event(0)])
    with (spool.folder / "events.jsonl").open("ab") as file:
        file.write(b'{"op": "st\xff\n[1]\n{"no": "op"}\n')
    spool.append([event(1)])
    sent = Sent()
    spool.replay(sent, now_ns=NOW_NS)
    assert numbers(sent.events) == [0, 1]
    aside = (spool.folder / "corrupt.jsonl").read_bytes()
    assert aside == b'{"op": "st\xff\n[1]\n{"no": "op"}\n'
    assert told.getvalue().count("kept aside") == 1


def test_a_line_whose_writer_died_does_not_damage_the_next(spool):
    spool.append([event(0)])
    with (spool.folder / "events.jsonl").open("ab") as file:
        file.write(b'{"op":"start","step_')
    spool.append([event(1)])
    sent = Sent()
    spool.replay(sent, now_ns=NOW_NS)
    assert numbers(sent.events) == [0, 1]


def test_a_full_spool_drops_the_newest_counts_and_tells_once(tmp_path, told):
    line = len(encode(event(10)))
    spool = Spool(tmp_path / "s", Notices(told), max_bytes=10 * line)
    for number in range(10, 30):
        spool.append([event(number)])
    sent = Sent()
    spool.replay(sent, now_ns=NOW_NS)
    assert numbers(sent.events) == list(range(10, 20))
    assert spool.dropped == 10
    assert told.getvalue().count("is full") == 1


def test_a_spool_that_cannot_be_written_drops_and_tells_once(tmp_path, told):
    (tmp_path / "s").write_text("a file where the folder should be")
    spool = Spool(tmp_path / "s", Notices(told))
    spool.append([event(0)])
    spool.append([event(1)])
    assert spool.dropped == 2
    assert told.getvalue().count("cannot be written") == 1


def test_a_disk_that_fills_up_leaves_no_half_line(spool, told, monkeypatch):
    spool.append([event(0)])
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real_write(file, data[:10]))
    spool.append([event(1)])
    monkeypatch.undo()
    spool.append([event(2)])
    sent = Sent()
    spool.replay(sent, now_ns=NOW_NS)
    assert numbers(sent.events) == [0, 2]
    assert spool.dropped == 1


def test_events_older_than_a_week_wait_until_they_are_asked_for(spool, told):
    spool.append([event(0, wall_ns=NOW_NS - OLD_AFTER_NS - 1), event(1)])
    sent = Sent()
    spool.replay(sent, now_ns=NOW_NS)
    assert numbers(sent.events) == [1]
    assert (spool.pending(), spool.count()) == (False, 1)
    assert "flush --all" in told.getvalue()
    spool.replay(sent, now_ns=NOW_NS, include_old=True)
    assert numbers(sent.events) == [1, 0]
    assert spool.count() == 0


def test_events_without_environment_wait_until_a_person_names_one(spool):
    spool.append([event(0, env=None), event(1)])
    sent = Sent()
    spool.replay(sent, now_ns=NOW_NS)
    assert numbers(sent.events) == [1]
    assert not spool.pending()
    spool.replay(sent, now_ns=NOW_NS, adopt_env="pod7")
    assert [(item["step_id"], item["env"]) for item in sent.events] == [("1", "pod1"), ("0", "pod7")]


def test_one_process_replays_at_a_time(spool, told):
    spool.append([event(0)])
    nested = []

    def deliver(events):
        nested.append(Spool(spool.folder, Notices(told)).replay(Sent(), now_ns=NOW_NS))
        return []

    spool.replay(deliver, now_ns=NOW_NS)
    assert [(replay.busy, replay.sent) for replay in nested] == [(True, 0)]


WRITER = """
import sys
from pathlib import Path
from energyrecorder.notices import Notices
from energyrecorder.spool import Spool
spool = Spool(Path(sys.argv[1]), Notices())
for number in range(300):
    step_id = str(int(sys.argv[2]) + number)
    spool.append([{"op": "start", "step_id": step_id, "at": {"wall_ns": 10**18}, "env": "e"}])
"""


def test_processes_that_write_while_one_replays_lose_nothing(spool, python):
    sent = Sent()
    writers = [
        threading.Thread(target=lambda first=first: python(_with_arguments(WRITER, spool.folder, first)))
        for first in (0, 1000)
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        spool.replay(sent, now_ns=NOW_NS)
        writers[0].join(0.005)
    for writer in writers:
        writer.join()
    spool.replay(sent, now_ns=NOW_NS)
    got = numbers(sent.events)
    assert sorted(got) == [*range(300), *range(1000, 1300)]
    for first in (0, 1000):
        assert [number for number in got if first <= number < first + 300] == list(range(first, first + 300))


def _with_arguments(code, *arguments):
    return f"import sys; sys.argv[1:] = {[str(argument) for argument in arguments]!r}\n{code}"


def test_the_spool_is_for_its_owner_alone(spool):
    spool.append([event(0)])
    assert spool.folder.stat().st_mode & 0o777 == 0o700
    assert (spool.folder / "events.jsonl").stat().st_mode & 0o777 == 0o600


def test_what_is_kept_is_told_by_size_and_age_of_the_oldest(spool, tmp_path):
    assert spool.kept() is None
    spool.append([event(1, wall_ns=NOW_NS - 5), event(2, wall_ns=NOW_NS)])
    spool.append([event(3, env=None, wall_ns=NOW_NS - 9)])
    kept = spool.kept()
    assert kept.size_bytes == sum(path.stat().st_size for path in tmp_path.glob("s/*.jsonl"))
    assert kept.oldest_at == {"wall_ns": NOW_NS - 9}
    (tmp_path / "s" / "no-env.jsonl").write_bytes(b"no event\n")
    assert spool.kept().oldest_at == {"wall_ns": NOW_NS - 5}


def test_what_a_replay_is_sending_does_not_wait_any_more(spool):
    spool.append([event(number) for number in range(2 * BATCH)])
    seen = []

    def send(events):
        seen.append(spool.kept())
        if len(seen) == 1:
            return []
        raise AnnotatorError("away")

    with pytest.raises(AnnotatorError):
        spool.replay(send, now_ns=NOW_NS)
    after = spool.kept()
    assert seen == [after, None], "the second half waits while the first is sent, and again once it failed"
    assert after.size_bytes == sum(len(encode(event(number))) for number in range(BATCH, 2 * BATCH))
