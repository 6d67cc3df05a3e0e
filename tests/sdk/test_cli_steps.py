"""`energy-step start`, `step`, `stop`, `mark`, `status`, `flush`, `doctor`: never in the way of a job."""

import json
import time

import pytest

from energyrecorder.cli.state_file import edited_state, load_state
from energyrecorder.delivery import spool_of
from energyrecorder.notices import Notices
from energyrecorder.sdk_settings import SdkSettings


@pytest.fixture
def told(annotator, energy_step, monkeypatch):
    """Point `energy-step` at the fake annotator."""
    monkeypatch.setenv("ENERGY_URL", annotator.url)
    monkeypatch.setenv("ENERGY_ENV", "pod1")
    return annotator.told


def state(tmp_path):
    return json.loads((tmp_path / "job.json").read_text())


def test_start_step_stop_tell_a_scenario_with_its_steps(told, energy_step, annotator, tmp_path):
    for arguments in (["start", "functest"], ["step", "boot"], ["step", "boot"], ["step", "ping"], ["stop"]):
        done = energy_step(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert told() == [
        ("start", "functest", None),
        ("start", "functest", "boot"),
        ("stop", "functest", "boot"),
        ("start", "functest", "ping"),
        ("stop", "functest", "ping"),
        ("stop", "functest", None),
    ]
    root, boot = annotator.events[0], annotator.events[1]
    assert boot["parent_id"] == root["step_id"]
    assert root["ttl_s"] == 6 * 3600
    assert state(tmp_path)["open"] == []
    assert (tmp_path / "job.json").stat().st_mode & 0o777 == 0o600


def test_start_takes_step_servers_and_tags_and_prints_the_run_id(told, energy_step, annotator):
    done = energy_step(
        "start",
        "functest",
        "--step",
        "boot",
        "--server",
        "n1",
        "--server",
        "n2",
        "--tag",
        "a=b=c",
        "--print-id",
    )
    root = annotator.events[0]
    assert done.stdout.strip() == root["step_id"]
    assert (root["servers"], root["tags"]) == (["n1", "n2"], {"a": "b=c"})
    assert told() == [("start", "functest", None), ("start", "functest", "boot")]


def test_a_scenario_within_an_open_one_is_its_child(told, energy_step, annotator):
    energy_step("start", "outer")
    done = energy_step("start", "inner")
    assert "'inner' lies within 'outer'" in done.stderr
    assert annotator.events[1]["parent_id"] == annotator.events[0]["step_id"]
    energy_step("stop", "--all", "--outcome", "failed")
    assert told("stop") == [("stop", "inner", None), ("stop", "outer", None)]
    assert {event["outcome"] for event in annotator.events if event["op"] == "stop"} == {"failed"}


def test_the_same_scenario_again_aborts_the_first(told, energy_step, annotator):
    energy_step("start", "functest", "--step", "boot")
    done = energy_step("start", "functest")
    assert "still open" in done.stderr
    assert told()[2:] == [
        ("stop", "functest", "boot"),
        ("stop", "functest", None),
        ("start", "functest", None),
    ]
    assert [event["outcome"] for event in annotator.events if event["op"] == "stop"] == ["aborted", "aborted"]
    assert "parent_id" not in annotator.events[-1]


def test_stop_without_start_warns_and_is_no_error(told, energy_step):
    done = energy_step("stop")
    assert (done.returncode, "nothing is open" in done.stderr) == (0, True)
    assert energy_step("stop", "--strict").returncode == 3


def test_step_without_a_scenario_of_its_own_asks_for_the_open_run(told, energy_step, annotator):
    energy_step("step", "boot")
    energy_step("step", "ping", env={"ENERGY_RUN_ID": "run-1", "ENERGY_STEP_ID": "step-1"})
    first, second = annotator.events
    assert (first["op"], first["step"], "run_id" in first) == ("step", "boot", False)
    assert (second["op"], second["step"], second["run_id"]) == ("step", "ping", "run-1")


def test_a_mark_names_the_run(told, energy_step, annotator):
    energy_step("start", "functest")
    energy_step("mark", "vm destroyed", "--text", "by the fault injector")
    assert annotator.events[1]["title"] == "vm destroyed"
    assert annotator.events[1]["text"] == "by the fault injector"
    assert annotator.events[1]["run_id"] == annotator.events[0]["step_id"]


def test_ids_are_handed_to_later_steps_of_a_github_job(told, energy_step, annotator, tmp_path):
    files = {"GITHUB_ENV": str(tmp_path / "env"), "GITHUB_OUTPUT": str(tmp_path / "out")}
    energy_step("start", "func\nEVIL=1\ntest", env=files)
    run_id = annotator.events[0]["step_id"]
    assert (tmp_path / "env").read_text().splitlines() == [
        f"ENERGY_RUN_ID={run_id}",
        f"ENERGY_STEP_ID={run_id}",
        "ENERGY_SCENARIO=func EVIL=1 test",
    ]
    assert (tmp_path / "out").read_text() == f"run_id={run_id}\nstep_id={run_id}\n"
    energy_step("stop", env={**files, "ENERGY_RUN_ID": run_id, "ENERGY_STEP_ID": run_id})
    assert (tmp_path / "env").read_text().splitlines()[3:] == [
        "ENERGY_RUN_ID=",
        "ENERGY_STEP_ID=",
        "ENERGY_SCENARIO=",
    ]


def test_two_jobs_of_one_user_do_not_mix(told, energy_step, annotator, monkeypatch, tmp_path):
    monkeypatch.delenv("ENERGY_STATE_FILE")
    jobs = [{"RUNNER_TEMP": str(tmp_path), "GITHUB_RUN_ID": "9", "GITHUB_JOB": job} for job in ("a", "b")]
    for number, job in enumerate(jobs):
        energy_step("start", f"scenario {number}", env=job)
    for job in jobs:
        energy_step("stop", env=job)
    assert told() == [
        ("start", "scenario 0", None),
        ("start", "scenario 1", None),
        ("stop", "scenario 0", None),
        ("stop", "scenario 1", None),
    ]
    assert all("parent_id" not in event for event in annotator.events)


def test_a_state_file_that_is_damaged_or_cannot_be_written_is_no_error(told, energy_step, tmp_path):
    (tmp_path / "job.json").write_text("{")
    assert energy_step("start", "functest").returncode == 0
    (tmp_path / "file").write_text("")
    done = energy_step("start", "other", env={"ENERGY_STATE_FILE": str(tmp_path / "file" / "job.json")})
    assert (done.returncode, "cannot be written" in done.stderr) == (0, True)
    assert told("start") == [("start", "functest", None), ("start", "other", None)]


def test_a_file_system_without_locks_keeps_the_state_all_the_same(tmp_path, monkeypatch):
    """Some that CI systems mount have none."""
    monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError(37, "No locks available")))
    warned = []
    with edited_state(tmp_path / "job.json", warned.append) as state:
        state.last_run_id = "r"
    assert (load_state(tmp_path / "job.json").last_run_id, warned) == ("r", [])


@pytest.mark.parametrize("server", ["", "node 1", "nöde"])
def test_a_server_that_the_annotator_would_refuse_is_a_mistake(told, energy_step, server):
    """Rather than a run that is not recorded, with exit code 0."""
    done = energy_step("start", "functest", "--server", server)
    assert (done.returncode, told()) == (2, [])
    assert f"{server!r} is no server id or glob, such as node-01 or 'node-*'" in done.stderr


def test_a_scenario_without_a_name_is_found_again(told, energy_step):
    """A variable that is empty in two jobs of one folder does not nest them for ever."""
    energy_step("start", "")
    assert "was still open" in energy_step("start", "").stderr
    assert [op for op, *_ in told()] == ["start", "stop", "start"]


def test_strict_takes_no_settings_but_those_that_were_given(energy_step, monkeypatch):
    """Without it the step goes to the default URL, with a warning: better there than nowhere."""
    monkeypatch.setenv("ENERGY_URL", "energy.example:8742")
    for arguments in (("start", "functest"), ("step", "boot"), ("mark", "x"), ("stop",), ("flush",)):
        done = energy_step(*arguments, "--strict")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "ENERGY_URL is 'energy.example:8742'" in done.stderr


@pytest.mark.parametrize("mode", ["500", "401", "html", "cut", "hang"])
def test_trouble_with_the_service_is_a_warning_unless_strict(
    told, impatient, energy_step, annotator, spool_lines, mode
):
    annotator.mode = mode
    before = time.monotonic()
    done = energy_step("start", "functest")
    assert time.monotonic() - before < 30  # a service that hangs does so for longer
    assert (done.returncode, done.stdout) == (0, "")
    assert {line["scenario"] for line in spool_lines()} == {"functest"}
    assert len(done.stderr.splitlines()) == 1
    if mode != "hang":
        assert energy_step("stop", "--strict").returncode == 3


def test_a_black_hole_is_not_waited_for(impatient, energy_step, black_hole, spool_lines):
    environment = {"ENERGY_URL": black_hole, "ENERGY_ENV": "pod1"}
    before = time.monotonic()
    done = energy_step("start", "functest", env=environment)
    # The kernel would try for two minutes; that it takes two seconds at most is measured by `make bench`.
    assert time.monotonic() - before < 30
    assert done.returncode == 0
    assert {line["op"] for line in spool_lines()} == {"start"}


def test_what_was_kept_is_sent_in_order_by_the_next_command(
    told, energy_step, annotator, closed_port, spool_lines
):
    annotator.mode = "500"
    energy_step("start", "functest")
    energy_step("step", "boot")
    annotator.mode = "up"
    energy_step("stop")
    assert [op for op, _, _ in told()] == ["start", "start", "stop", "stop"]
    assert spool_lines() == []
    at_ns = [event["at"]["boot_ns"] for event in annotator.events]
    assert at_ns == sorted(at_ns)


def test_flush_sends_the_spool_and_what_was_kept_before_the_url_was_set(energy_step, annotator, spool_lines):
    # Nobody listens on the default URL of this machine as far as this test knows: the spool is written first.
    energy_step("start", "functest", env={"ENERGY_URL": ""})
    assert len(spool_lines()) == 1
    target = {"ENERGY_URL": annotator.url}
    done = energy_step("flush", "--env", "pod1", env=target)
    assert (done.returncode, done.stdout) == (0, "1 event sent, 0 left\n")
    assert [(event["scenario"], event["env"]) for event in annotator.events] == [("functest", "pod1")]


def test_flush_says_how_to_send_what_it_leaves(energy_step, annotator):
    energy_step("start", "functest", env={"ENERGY_URL": annotator.url})
    done = energy_step("flush", env={"ENERGY_URL": annotator.url})
    assert (done.returncode, done.stdout) == (0, "0 events sent, 1 left\n")
    assert "names no environment (see --env)" in done.stderr
    assert energy_step("flush", "--env", "pod1", env={"ENERGY_URL": annotator.url}).stderr == ""


def test_flush_leaves_what_cannot_be_sent(told, energy_step, annotator):
    annotator.mode = "500"
    energy_step("start", "functest")
    done = energy_step("flush")
    assert (done.returncode, done.stdout) == (0, "0 events sent, 1 left\n")
    assert energy_step("flush", "--strict").returncode == 3


def test_flush_that_is_cut_off_says_how_much_was_sent(told, energy_step, annotator, tmp_path):
    spool = spool_of(SdkSettings(annotator.url, tmp_path / "spool", env="pod1"), Notices())
    at = {"wall_ns": time.time_ns(), "boot_ns": 1, "boot_id": "b"}
    spool.append(
        [
            {"op": "mark", "at": at, "mark_id": str(number), "title": "up", "env": "pod1"}
            for number in range(300)
        ]
    )
    take = annotator.take

    def take_one_batch(item):
        if len(annotator.events) == 199:
            annotator.mode = "500"
        return take(item)

    annotator.take = take_one_batch
    done = energy_step("flush", "--strict")
    assert (done.returncode, done.stdout) == (3, "200 events sent, 100 left\n")


def test_status_shows_what_is_open_here_and_what_runs_there(told, energy_step, annotator):
    annotator.pages["/v1/steps"] = {
        "steps": [{"env": "pod1", "scenario": "other\x1b[2J", "step": "x", "duration_s": 75.0}]
    }
    energy_step("start", "functest", "--step", "boot")
    done = energy_step("status", "--utc")
    assert done.returncode == 0
    assert "functest / boot" in done.stdout
    assert "nothing waits in the spool" in done.stdout
    assert "1 min 15 s" in done.stdout
    assert "\x1b" not in done.stdout


def test_doctor_is_content_with_a_good_service(told, energy_step, annotator):
    now_ns = time.time_ns()
    annotator.clock_ns = lambda: (time.time_ns(), time.time_ns())
    annotator.pages["/v1/steps"] = {"steps": []}
    annotator.pages["/v1/power"] = {
        "series": [{"server": "n1", "scope": "server", "points": [[now_ns, 200.0, 200.0, 200.0]]}]
    }
    done = energy_step("doctor")
    assert done.returncode == 0, done.stdout
    assert "1 server of 'pod1'" in done.stdout


@pytest.mark.parametrize("trouble", ["away", "no env", "no samples", "clock", "plugin", "sink", "spool"])
def test_doctor_names_what_is_wrong(told, energy_step, annotator, trouble):
    annotator.clock_ns = lambda: (time.time_ns(), time.time_ns())
    annotator.pages["/v1/steps"] = {"steps": []}
    annotator.pages["/v1/power"] = {"series": []}
    environment = {"ENERGY_ENV": "" if trouble == "no env" else "pod1"}
    if trouble == "away":
        annotator.mode = "500"
    if trouble == "clock":
        annotator.clock_ns = lambda: (5, 5)
    if trouble == "plugin":
        annotator.pages["/healthz"]["plugins"] = [{"name": "energy-execd", "running": False}]
    if trouble == "sink":
        annotator.pages["/readyz"] = {"status": "degraded", "away": ["grafana", "influxdb"]}
    if trouble == "spool":
        environment["ENERGY_SPOOL_DIR"] = __file__
    done = energy_step("doctor", env=environment)
    assert done.returncode == 3
    expected = {
        "away": "WRONG  service",
        "no env": "set ENERGY_ENV",
        "no samples": "no reading from 'pod1'",
        "clock": "WRONG  clock",
        "plugin": "not running: energy-execd",
        "sink": "WRONG  sinks: away, and told later: grafana, influxdb",
        "spool": "cannot be written: Not a directory",
    }
    assert expected[trouble] in done.stdout
    if trouble == "away":
        assert done.stdout.count("WRONG") == 1, "each question would have the same answer"


def test_usage_errors_end_with_2(energy_step):
    assert energy_step("start").returncode == 2
    assert energy_step("start", "x", "--tag", "novalue").returncode == 2
    assert energy_step("nonsense").returncode == 2
    assert energy_step("run").returncode == 2
    assert energy_step("stop", "--outcome", "great").returncode == 2


def test_a_mistake_in_the_file_is_told_by_each_verb_in_its_way(told, energy_step, tmp_path):
    pytest.importorskip("tomllib", reason="reading TOML needs Python 3.11")
    (tmp_path / "energyrecorder.toml").write_text('urll = "x"')
    done = energy_step("start", "functest")
    assert (done.returncode, "unknown key 'urll'" in done.stderr) == (0, True)
    assert told() == [("start", "functest", None)]
    done = energy_step("report")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "Traceback" not in done.stderr


def test_disabled_sends_nothing(told, energy_step, annotator, spool_lines):
    for arguments in (["start", "s"], ["step", "a"], ["run", "--", "true"], ["stop"]):
        assert energy_step(*arguments, env={"ENERGY_DISABLED": "1"}).returncode == 0
    assert annotator.requests == []
    assert spool_lines() == []


def test_help_lists_every_verb_and_each_has_help(energy_step):
    verbs = ["start", "step", "stop", "mark", "run", "status", "report", "flush", "doctor"]
    listing = energy_step("--help").stdout
    for verb in verbs:
        assert f"  {verb}" in listing
        done = energy_step(verb, "--help")
        assert (done.returncode, "Usage: energy-step" in done.stdout) == (0, True)
