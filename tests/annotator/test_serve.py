"""The service as a whole: plugins, results, signs of life, restarts, memory, orderly ends."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from support.annotator import LONGEST_S, PLUGINS, Annotator, config_file, new_id, running

SECOND = 1_000_000_000
EVERYWHERE = "0.0.0.0"  # noqa: S104  # what must be refused
STEADY = (sys.executable, PLUGINS / "steady.py")


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """An annotator with two servers of 200 W and 100 W."""
    with running(tmp_path_factory.mktemp("steady"), commands=[STEADY]) as annotator:
        client = annotator.client()
        annotator.until(lambda: len(client.get("/v1/power?env=pod1")["series"]) == 2)
        yield annotator


def test_a_step_gets_its_joules_from_the_plugin(steady):
    client = steady.client()
    run_id = new_id()
    status, begun = client.post("/v1/steps", {"step_id": run_id, "env": "pod1", "scenario": "functest"})
    assert status == 201
    assert begun["servers"] == 2
    assert begun["warnings"] == []
    assert begun["last_sample_age_s"] >= 0
    time.sleep(3)  # how long the step is; whatever the machine adds is part of it
    client.post(f"/v1/steps/{run_id}/stop", {"outcome": "passed"})
    # A minute at most: half of what is waited for a server that says nothing.
    run = steady.until(lambda: (r := client.get(f"/v1/runs/{run_id}")["run"])["result"] and r)
    result = run["result"]
    assert result["energy_j"] == pytest.approx(300 * run["duration_s"], rel=1e-6)
    assert (result["quality"], result["servers"], result["coverage"]) == ("resolved", 2, 1.0)
    assert result["per_server"]["node-1"]["energy_j"] == pytest.approx(
        2 * result["per_server"]["node-2"]["energy_j"]
    )
    [listed] = client.get("/v1/runs?env=pod1")["runs"]
    assert (listed["energy_j"], listed["quality"]) == (result["energy_j"], "resolved")
    _, _, page = client.ask("GET", f"/v1/runs/{run_id}/report.html")
    assert b"node-1" in page
    _, _, text = client.ask("GET", f"/v1/runs/{run_id}/report.md")
    assert b"Wh" in text
    assert steady.rss_mb() <= 120


def test_power_is_shown_per_server(steady):
    client = steady.client()
    series = {one["server"]: one for one in client.get("/v1/power?env=pod1&max_points=3")["series"]}
    assert {server: one["points"][0][1:] for server, one in series.items()} == {
        "node-1": [200.0, 200.0, 200.0],
        "node-2": [100.0, 100.0, 100.0],
    }
    assert all(len(one["points"]) <= 3 for one in series.values())
    assert [one["server"] for one in client.get("/v1/power?env=pod1&server=node-2")["series"]] == ["node-2"]


def test_servers_a_step_names_are_counted_and_missing_ones_warned_of(steady):
    client = steady.client()
    body = {"env": "pod1", "scenario": "s", "servers": ["node-1", "node-9", "other-*"]}
    _, begun = client.post("/v1/steps", body)
    assert begun["servers"] == 2
    assert any("node-9" in warning for warning in begun["warnings"])
    assert any("other-*" in warning for warning in begun["warnings"])


def test_a_silent_run_is_lost_and_a_late_stop_replaces_that(steady):
    client = steady.client()
    run_id = new_id()
    client.post("/v1/steps", {"step_id": run_id, "env": "quiet", "scenario": "s", "ttl_s": 1})
    lost = steady.until(lambda: (r := client.get(f"/v1/runs/{run_id}")["run"])["state"] == "lost" and r)
    assert lost["duration_s"] < 1
    assert lost["outcome"] is None
    status, body = client.post(f"/v1/steps/{run_id}/stop", {"outcome": "passed"})
    assert (status, body["state"]) == (202, "passed")


def test_heartbeats_keep_a_run_alive(steady):
    client = steady.client()
    run_id = new_id()
    client.post("/v1/steps", {"step_id": run_id, "env": "quiet", "scenario": "s", "ttl_s": 1})
    for _ in range(12):
        assert client.post(f"/v1/steps/{run_id}/heartbeat")[1]["state"] == "running"
        time.sleep(0.25)


def test_it_ends_in_order_on_sigterm_and_goes_on_where_it_was(tmp_path):
    run_id = new_id()
    with running(tmp_path, commands=[STEADY]) as annotator:
        client = annotator.client()
        client.post("/v1/steps", {"step_id": run_id, "env": "pod1", "scenario": "s"})
        annotator.until(lambda: len(client.get("/v1/power?env=pod1")["series"]) == 2)
        assert annotator.stop() == 0
        assert any("steady plugin ends" in line for line in annotator.log)
        assert not [line for line in annotator.log if line.startswith("E! ")]
    with running(tmp_path, commands=[STEADY]) as annotator:
        client = annotator.client()
        assert client.get(f"/v1/runs/{run_id}")["run"]["state"] == "running"
        _, begun = client.post("/v1/steps", {"env": "pod1", "scenario": "s2"})
        assert begun["servers"] == 2, "servers are known again before the first new sample"
        client.post(f"/v1/steps/{run_id}/stop", {"outcome": "passed"})
        assert annotator.stop(signal.SIGINT) == 0


def test_a_second_one_on_the_same_state_is_refused_by_pid(tmp_path):
    with running(tmp_path) as annotator:
        second = Annotator(["--config", str(config_file(tmp_path)), "--state", str(tmp_path / "state")])
        assert second.process.wait(60) == 2
        second.stop()
        assert len(second.log) == 1
        assert f"in use by process {annotator.process.pid}" in second.log[0]


def test_an_address_in_use_is_one_line(tmp_path):
    with running(tmp_path) as annotator:
        other = Annotator(
            [
                "--config",
                str(config_file(tmp_path)),
                "--state",
                str(tmp_path / "other"),
                "--port",
                str(annotator.port),
            ]
        )
        assert other.process.wait(60) == 2
        other.stop()
        assert len(other.log) == 1
        assert f"port {annotator.port}" in other.log[0]


def test_listening_to_the_world_needs_a_token(tmp_path):
    arguments = [
        "--config",
        str(config_file(tmp_path)),
        "--state",
        str(tmp_path / "state"),
        "--host",
        EVERYWHERE,
    ]
    refused = Annotator(arguments)
    assert refused.process.wait(60) == 2
    refused.stop()
    assert len(refused.log) == 1
    assert "no token" in refused.log[0]
    allowed = Annotator([*arguments, "--insecure"])
    try:
        allowed.wait_until_listening()
        assert any(line.startswith("W! ") and "without a token" in line for line in allowed.log)
    finally:
        assert allowed.stop() == 0


@pytest.mark.parametrize("kill_after", [20, 60])
def test_every_acknowledged_step_is_there_once_after_sigkill(tmp_path, kill_after):
    acknowledged = []
    with running(tmp_path) as annotator:

        def keep_starting():
            client = annotator.client()
            while True:
                step_id = new_id()
                try:
                    status, _ = client.post("/v1/steps", {"step_id": step_id, "env": "e", "scenario": "s"})
                except OSError:
                    return
                except Exception:  # noqa: BLE001  # half an answer: not acknowledged
                    return
                assert status == 201
                acknowledged.append(step_id)

        threads = [threading.Thread(target=keep_starting) for _ in range(4)]
        for thread in threads:
            thread.start()
        annotator.until(lambda: len(acknowledged) >= kill_after)
        annotator.process.kill()
        for thread in threads:
            thread.join(60)
    with running(tmp_path) as annotator:
        client = annotator.client()
        found, cursor = [], ""
        while cursor is not None:
            page = client.get(f"/v1/steps?limit=1000&cursor={cursor}")
            found += [step["step_id"] for step in page["steps"]]
            cursor = page["next_cursor"]
        assert set(acknowledged) <= set(found)
        assert len(found) == len(set(found))


def test_plugins_end_when_the_annotator_is_killed(tmp_path):
    with running(tmp_path, commands=[STEADY]) as annotator:
        client = annotator.client()
        annotator.until(lambda: client.get("/healthz")["plugins"][0]["points"])
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(annotator.process.pid)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        annotator.process.kill()
        annotator.process.wait()
        deadline = time.monotonic() + LONGEST_S
        while any(_lives(int(pid)) for pid in children):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _lives(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


def test_a_host_that_goes_off_and_on_leaves_marks(tmp_path):
    plugin = tmp_path / "switching.py"
    plugin.write_text(
        "import sys, time\n"
        "for n, host in enumerate(['on', 'off', 'on']):\n"
        "    print(f'server_bmc,env=pod1,server=n1 up=1i,host=\"{host}\" {time.time_ns()}', flush=True)\n"
        "    time.sleep(0.6)\n"
        "sys.stdin.read()\n"
    )
    with running(tmp_path, commands=[(sys.executable, plugin)]) as annotator:
        client = annotator.client()
        annotator.until(lambda: client.get("/healthz")["samples"]["stored"] == 3)
        run_id = new_id()
        client.post("/v1/steps", {"step_id": run_id, "env": "pod1", "scenario": "s"})
        page = client.ask("GET", f"/v1/runs/{run_id}/report.html")[2].decode()
        assert "n1: power off" in page
        assert "n1: power on" in page
