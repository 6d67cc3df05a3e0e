"""A line of the spool: what is written is read back, old lines are read, and damage is told apart."""

import json
import uuid

import pytest

from energyrecorder.spool_line import decode, encode

ID = "0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9"
PARENT = str(uuid.UUID(int=2**128 - 1))
BOOT = str(uuid.UUID(int=0))
AT = {"wall_ns": 1_764_000_000_123_456_789, "boot_ns": 0, "boot_id": BOOT}
START = {
    "op": "start",
    "at": AT,
    "step_id": ID,
    "scenario": "functest",
    "ttl_s": 120,
    "step": "boot",
    "parent_id": PARENT,
    "env": "pod1",
}
EVENTS = [
    START,
    {"op": "stop", "at": AT, "step_id": ID, "scenario": "functest", "outcome": "passed", "env": "pod1"},
    {"op": "patch", "step_id": ID, "tags": {"o": "x", "t": "y"}, "title": "t[1]", "work": 3.0},
    {"op": "mark", "at": AT, "title": "vm", "text": "by hand", "run_id": ID, "scenario": "functest"},
    {**START, "servers": ["node-*"], "group": "7-1", "url": "http://ci", "tags": {}, "title": None},
    {**START, "step_id": "of-somebody-else", "parent_id": ID.upper(), "run_id": ID.replace("-", "")},
    {**START, "parent_id": "", "step_id": "i" * 22, "run_id": None},
    {**START, "at": {**AT, "boot_id": None}},
    {**START, "at": {**AT, "boot_id": "boot"}},
    {**START, "at": {**AT, "more": 1}},
    {**START, "at": {"wall_ns": 1}},
    {**START, "at": None},
    {**START, "at": {**AT, "wall_ns": "1"}},
    {**START, "at": {**AT, "wall_ns": 2**63}},
    {**START, "at": {**AT, "boot_id": 5}},
    {
        **START,
        "tags": {"pytest.setup_s": "0.1", "pytest.call_s": "0.2", "pytest.teardown_s": "0.3", "x": "y"},
    },
    {**START, "tags": {"pytest.setup_s": "0.1", "1": "x"}},
    {**START, "tags": None},
    {**START, "step": 'a\nb\x00"\\\u202e\U0001f600', "scenario": "\udcff"},
]


@pytest.mark.parametrize("event", EVENTS, ids=range(len(EVENTS)))
def test_what_is_written_is_read_back_the_same(event):
    line = encode(event)
    assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
    read = decode(line)
    assert read == event
    assert list(read) == list(event)


@pytest.mark.parametrize("event", EVENTS, ids=range(len(EVENTS)))
def test_a_line_of_before_there_were_short_keys_is_read(event):
    assert decode(json.dumps(event).encode() + b"\n") == event


def test_a_test_of_pytest_takes_little_more_than_its_names():
    # 100,000 parametrised tests with ids of 80 characters must fit into 64 MiB.
    name = "n" * 76
    phases = {"pytest.setup_s": "0.000123", "pytest.call_s": "0.010123", "pytest.teardown_s": "0.000123"}
    patch = {"op": "patch", "step_id": ID, "tags": phases, "title": f"{name}[99]", "env": "pod1"}
    events = ({**START, "step": name}, patch, {**EVENTS[1], "step": name})
    assert 100_000 * sum(len(encode(event)) for event in events) < 64 * 2**20


def test_the_usual_line_takes_little_more_than_its_names():
    # 100,000 steps with names of 100 characters must fit into 64 MiB.
    name = "n" * 100
    stop = {**EVENTS[1], "step": name}
    assert 100_000 * (len(encode({**START, "step": name})) + len(encode(stop))) < 64 * 2**20


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"[1]\n",
        b"5\n",
        b"null\n",
        b"{}\n",
        b'{"o":5}\n',
        b'{"i":"x"}\n',
        b'{"o":"start","i":"AAAA"}\n',
        b'{"o":"start","i":5}\n',
        b'{"o":"start","p":"\xc3\xa4"}\n',
        b'{"o":"start","t":5}\n',
        b'{"o":"start","t":[1,2]}\n',
        b'{"o":"start","t":"AAAA"}\n',
        b'{"o":"patch","g":[]}\n',
        b'{"o":"start"',
        b'{"o":"st\xff"}\n',
        b"[" * 100_000 + b"\n",
        b'{"o":' * 100_000 + b"\n",
    ],
    ids=range(19),
)
def test_what_is_no_event_is_told_apart(line):
    assert decode(line) is None


def test_every_cut_of_a_line_is_told_apart():
    line = encode(START)
    assert [decode(line[:end]) for end in range(len(line) - 1)] == [None] * (len(line) - 1)
