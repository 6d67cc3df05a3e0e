"""Remote sites push line protocol through a proxy; a link that was down is made up for."""

import gzip
import json
import socket
import time

import pytest

from energyrecorder_annotator.auth.tokens import create_token
from support.annotator import Client, begin, error, running
from support.proxy import Proxy

SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def central(tmp_path_factory):
    directory = tmp_path_factory.mktemp("central")
    (directory / "state").mkdir()
    tokens = directory / "state" / "tokens.json"
    texts = {site: create_token(tokens, site, ["read", "write"], [f"{site}-*"]) for site in ("a", "b")}
    with running(directory) as annotator:
        proxy = Proxy(annotator.port)
        yield annotator, proxy, texts
        proxy.stop()


@pytest.fixture
def site(central):
    _, proxy, texts = central
    clients = []

    def connect(name):
        clients.append(Client(proxy.port, texts[name]))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def lines(env, watts, first_ns, count, step_ns=SECOND):
    return "".join(
        f"server_power,env={env},server=n1,scope=server "
        f'watts={watts},window_s=0,clock="bmc" {first_ns + n * step_ns}\n'
        for n in range(count)
    ).encode()


def push(client, body, **headers):
    status, _, raw = client.ask("POST", "/v1/samples", body, headers or {"Content-Type": "text/plain"})
    return status, json.loads(raw)


def test_two_sites_push_and_each_gets_its_own_energy(central, site):
    annotator, _, _ = central
    t_ns = time.time_ns() - 200 * SECOND
    for name, watts in (("a", 100.0), ("b", 300.0)):
        client = site(name)
        body = gzip.compress(lines(f"{name}-1", watts, t_ns, 100))
        status, answer = push(client, body, **{"Content-Encoding": "gzip", "Content-Type": "text/plain"})
        assert (status, answer["stored"]) == (200, 100)
    for name, watts in (("a", 100.0), ("b", 300.0)):
        client = site(name)
        annotator.until(lambda c=client, n=name: c.get(f"/v1/power?env={n}-1")["series"])
        run_id, _ = begin(client, f"{name}-1", started_at=t_ns + 20 * SECOND)
        client.post(f"/v1/steps/{run_id}/stop", {"outcome": "passed", "ended_at": t_ns + 80 * SECOND})
        run = annotator.until(lambda c=client, r=run_id: (x := c.get(f"/v1/runs/{r}")["run"])["result"] and x)
        assert run["result"]["energy_j"] == pytest.approx(60 * watts, rel=1e-3)


def test_points_of_others_are_refused_with_a_count(site):
    mixed = lines("a-2", 1, time.time_ns(), 2) + lines("b-2", 1, time.time_ns(), 3)
    status, answer = push(site("a"), mixed)
    assert (status, answer["stored"], answer["forbidden"]) == (200, 2, 3)
    status, answer = push(site("a"), lines("b-2", 1, time.time_ns(), 3))
    assert error((status, answer)) == (403, "forbidden_env")
    assert site("b").get("/v1/power?env=b-2")["series"] == []


def test_ten_minutes_of_lost_link_are_made_up_for(central, site):
    annotator, proxy, _ = central
    client = site("a")
    t_ns = time.time_ns() - 700 * SECOND
    run_id, _ = begin(client, "a-3", started_at=t_ns, ttl_s=3600)
    waiting = []
    proxy.is_up = False
    for first in range(0, 600, 100):
        body = lines("a-3", 200.0, t_ns + first * SECOND, 100)
        lost = site("a")
        if lost.ask("POST", "/v1/samples", body)[0] != 200:
            waiting.append(body)
    assert len(waiting) == 6
    proxy.is_up = True
    client = site("a")
    for body in (*waiting, waiting[0]):
        assert push(client, body)[0] == 200
    client.post(f"/v1/steps/{run_id}/stop", {"outcome": "passed", "ended_at": t_ns + 590 * SECOND})

    def resolved():
        # The first result may come before the last of the readings is stored: it is computed anew then.
        run = client.get(f"/v1/runs/{run_id}")["run"]
        return run["quality"] == "resolved" and run["result"]["coverage"] > 0.99 and run

    run = annotator.until(resolved)
    assert run["result"]["energy_j"] == pytest.approx(590 * 200, rel=0.01)
    assert run["result"]["coverage"] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"nonsense\n", {}, 400),
        (b"\xff\xfe\n", {}, 400),
        (b"server_power,env=a-1 watts=1 1\n", {}, 400),
        (b"not gzip", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"#" * 80_000_000, 1, mtime=0), {"Content-Encoding": "gzip"}, 413),
        (b"x", {"Content-Encoding": "br"}, 415),
        (b"x" * 4_200_000, {}, 413),
        (b"", {}, 200),
        (b"# a comment\n\n", {}, 200),
    ],
)
def test_what_is_no_line_protocol_is_told_so(central, body, headers, status):
    annotator, _, texts = central
    client = annotator.client(texts["a"])
    assert client.ask("POST", "/v1/samples", body, headers)[0] == status
    assert client.get("/healthz")["status"] == "ok"


def test_a_bad_line_costs_that_line_alone(central):
    annotator, _, texts = central
    client = annotator.client(texts["a"])
    body = lines("a-4", 1, time.time_ns(), 2) + b"nonsense\ncpu,host=x usage=1 1\n"
    status, answer = push(client, body)
    assert (status, answer["stored"], answer["bad"], answer["ignored"]) == (200, 2, 1, 1)


def test_a_client_that_says_nothing_is_not_waited_for_for_ever(central, monkeypatch):
    annotator, _, _ = central
    with socket.create_connection(("127.0.0.1", annotator.port), timeout=100) as silent:
        silent.sendall(b"POST /v1/steps HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert silent.recv(1) == b""
