"""Two sites push to one annotator through a real nginx with TLS; the settings are those of the documents."""

import gzip
import json
import os
import time

import pytest

from energyrecorder_annotator.auth.tokens import create_token
from support.annotator import running
from support.nginx import Nginx

SECOND = 1_000_000_000
JSON = {"Content_Type": "application/json"}


@pytest.fixture
def central(tmp_path):
    """An annotator, the proxy before it, and the tokens of two sites."""
    (tmp_path / "state").mkdir()
    path = tmp_path / "state" / "tokens.json"
    tokens = {site: create_token(path, site, ["read", "write"], [f"{site}-*"]) for site in ("a", "b")}
    with running(tmp_path) as annotator:
        nginx = Nginx(tmp_path / "nginx", annotator.port, user="user root;" if os.geteuid() == 0 else "")
        nginx.start()
        try:
            yield annotator, nginx, tokens
        finally:
            nginx.stop()


def lines(env, watts, first_ns, count):
    text = f"server_power,env={env},server=n1,scope=server watts={watts},window_s=0"
    return "\n".join(f"{text} {first_ns + n * SECOND}" for n in range(count)).encode()


def post(nginx, token, path, body):
    status, raw = nginx.ask("POST", path, token, json.dumps(body).encode(), **JSON)
    assert status < 300, raw
    return json.loads(raw)


def get(nginx, token, path):
    status, raw = nginx.ask("GET", path, token)
    assert status == 200, raw
    return json.loads(raw)


def test_two_sites_stay_apart_and_ten_minutes_without_a_link_are_made_up_for(central):
    annotator, nginx, tokens = central
    t_ns = time.time_ns() - 700 * SECOND
    runs, waiting = {}, []
    for site, token in tokens.items():
        start = {"env": f"{site}-1", "scenario": "s", "started_at": t_ns, "ttl_s": 7200}
        runs[site] = post(nginx, token, "/v1/steps", start)["run_id"]
    nginx.stop()
    for first in range(0, 600, 100):
        for site, watts in (("a", 100.0), ("b", 300.0)):
            body = gzip.compress(lines(f"{site}-1", watts, t_ns + first * SECOND, 100))
            with pytest.raises(OSError, match="refused"):
                nginx.ask("POST", "/v1/samples", tokens[site], body, Content_Encoding="gzip")
            waiting.append((site, body))
    nginx.start()
    for site, body in waiting:
        status, _ = nginx.ask("POST", "/v1/samples", tokens[site], body, Content_Encoding="gzip")
        assert status == 200
    for site, watts in (("a", 100.0), ("b", 300.0)):
        end = {"outcome": "passed", "ended_at": t_ns + 590 * SECOND}
        post(nginx, tokens[site], f"/v1/steps/{runs[site]}/stop", end)

        def resolved(site=site):
            run = get(nginx, tokens[site], f"/v1/runs/{runs[site]}")["run"]
            return run["quality"] == "resolved" and run["result"]["coverage"] > 0.99 and run

        run = annotator.until(resolved)
        assert run["result"]["energy_j"] == pytest.approx(590 * watts, rel=0.01)
    assert nginx.ask("POST", "/v1/samples", tokens["a"], lines("b-1", 1, t_ns, 1))[0] == 403
    assert nginx.ask("GET", f"/v1/runs/{runs['b']}", tokens["a"])[0] == 404
    assert get(nginx, tokens["a"], "/v1/power?env=b-1")["series"] == []
    assert b"b-1" not in nginx.ask("GET", "/", tokens["a"])[1]


def test_what_the_service_takes_the_proxy_takes_too(central):
    annotator, nginx, tokens = central
    largest = lines("a-1", 1.0, time.time_ns(), 50_000)[: 4 * 1024 * 1024]
    largest = largest[: largest.rindex(b"\n")]
    assert nginx.ask("POST", "/v1/samples", tokens["a"], largest)[0] == 200
    assert nginx.ask("POST", "/v1/samples", tokens["a"], b"x" * (4 * 1024 * 1024 + 1))[0] == 413
    name = "a-" + "x" * 10_000
    body = {"env": name, "scenario": name}
    assert post(nginx, tokens["a"], "/v1/steps", body)["env"] == name
    odd = "/resources/recorders/environment/a-%C3%A4%20%22"
    session = json.dumps({"scenario": "s", "step": ""}).encode()
    status, raw = nginx.ask("POST", odd, tokens["a"], session, **JSON)
    assert (status, json.loads(raw)["environment"]) == (200, 'a-ä "')
    report = f"/v1/runs/{get(nginx, tokens['a'], '/v1/runs')['runs'][0]['run_id']}/report.html"
    assert nginx.ask("GET", report, tokens["a"])[0] == 200
    assert nginx.ask("GET", "/v1/runs", "stranger")[0] == 401
    assert annotator.client(tokens["a"]).get("/healthz")["status"] == "ok"
