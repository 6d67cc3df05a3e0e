"""What clients tell of their spools: the most of the last minutes by environment, bounded, in /metrics."""

import re

import pytest

from energyrecorder_annotator import client_spools
from energyrecorder_annotator.auth.tokens import create_token
from energyrecorder_annotator.client_spools import SPAN_NS, ClientSpools
from support.annotator import begin, running
from support.clock import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def spools(clock):
    return ClientSpools(clock)


def shown(spools):
    return {env: (told.size_bytes, told.oldest_s) for env, told in spools.most().items()}


def test_the_largest_and_the_oldest_are_kept_by_environment(spools):
    spools.take("a", 100, 5.0)
    spools.take("a", 50, 7.0)
    spools.take("b", 1, 1.0)
    assert shown(spools) == {"a": (100, 7.0), "b": (1, 1.0)}


def test_what_is_told_each_half_minute_is_never_out_of_sight(spools, clock):
    for _ in range(100):
        spools.take("a", 100, 5.0)
        clock.now_ns += 30 * 10**9
        assert shown(spools) == {"a": (100, 5.0)}


def test_what_was_told_once_is_forgotten(spools, clock):
    spools.take("a", 100, 5.0)
    clock.now_ns += SPAN_NS
    spools.take("b", 1, 1.0)
    assert shown(spools) == {"a": (100, 5.0), "b": (1, 1.0)}
    spools.take("a", 2, 1.0)
    assert shown(spools)["a"] == (2, 1.0), "a span later only what is told now counts"
    clock.now_ns += 2 * SPAN_NS
    assert shown(spools) == {}


def test_the_number_of_environments_is_bounded(spools, clock, monkeypatch):
    monkeypatch.setattr(client_spools, "MOST_ENVS", 2)
    for env in "abc":
        spools.take(env, 1, 1.0)
    assert set(spools.most()) == {"a", "b"}
    clock.now_ns += 2 * SPAN_NS
    spools.take("c", 1, 1.0)
    assert set(spools.most()) == {"c"}


def metrics(client):
    """Return size and age of the oldest event by environment."""
    text = client.ask("GET", "/metrics")[2].decode()
    found = re.findall(r'^energy_annotator_spool_(\w+)\{env="(.*)"\} (\S+)$', text, re.MULTILINE)
    return {(env, name): float(value) for name, env, value in found}


def test_a_batch_tells_of_its_spool(tmp_path):
    """By the name that the environment has here; one that says nothing changes nothing."""
    with running(tmp_path, more='[env_aliases]\n"agent-*" = "pod1"') as annotator:
        client = annotator.client()
        heartbeat = {"op": "heartbeat", "step_id": begin(client, "pod1")[0]}
        assert metrics(client) == {}
        spool = {"env": "agent-7", "size_bytes": 51200, "oldest_s": 3600.5}
        assert client.post("/v1/batch", {"items": [heartbeat], "spool": spool})[0] == 200
        assert client.post("/v1/batch", {"items": [heartbeat]})[0] == 200
        assert metrics(client) == {("pod1", "bytes"): 51200, ("pod1", "oldest_seconds"): 3600.5}


def test_an_environment_that_is_heard_and_has_nothing_waiting_shows_zero(tmp_path):
    with running(tmp_path) as annotator:
        client = annotator.client()
        client.ask("POST", "/v1/samples", b"server_power,env=a,server=n,scope=server watts=1")
        zeros = {("a", "bytes"): 0, ("a", "oldest_seconds"): 0}
        annotator.until(lambda: metrics(client) == zeros)


def test_a_token_speaks_for_its_own_environments_alone(tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    tokens = {env: create_token(state / "tokens.json", env, ["read", "write"], [env]) for env in "ab"}
    with running(tmp_path, token=tokens["a"]) as annotator:
        spool = {"env": "a", "size_bytes": 1, "oldest_s": 1.0}
        status, _ = annotator.client(tokens["b"]).post("/v1/batch", {"items": [], "spool": spool})
        assert status == 200
        assert metrics(annotator.client()) == {}
        assert annotator.client().post("/v1/batch", {"items": [], "spool": spool})[0] == 200
        assert metrics(annotator.client()) == {("a", "bytes"): 1, ("a", "oldest_seconds"): 1.0}
