"""Operators' commands against a running service: doctor, recompute, backup, migrate; signals; TLS."""

import configparser
import email.utils
import json
import shlex
import signal
import sqlite3
import ssl
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from energyrecorder_annotator.cli.upkeep import DEFAULT_URL, doctor
from energyrecorder_annotator.config import load_config
from energyrecorder_annotator.doctor.examine import examine
from energyrecorder_annotator.running_service import RunningService
from support.annotator import PLUGINS, Annotator, begin, command, config_file, new_id, running
from support.fake_server import FakeServer

STEADY = (sys.executable, PLUGINS / "steady.py")
DEAF = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)\n"


@pytest.fixture(scope="module")
def annotator(tmp_path_factory):
    directory = tmp_path_factory.mktemp("annotator")
    with running(directory, commands=[STEADY]) as one:
        one.directory = directory
        client = one.client()
        one.until(lambda: len(client.get("/v1/power?env=pod1")["series"]) == 2)
        yield one


class TestDoctor:
    def test_it_finds_nothing_wrong_where_nothing_is(self, annotator):
        found = command("doctor", "--url", f"http://127.0.0.1:{annotator.port}")
        assert found.returncode == 0, found.stdout + found.stderr
        assert "newest of 'pod1'" in found.stdout
        assert "ok   settings: none to be read here" in found.stdout
        assert "ok   Grafana: not looked at: give --grafana URL" in found.stdout
        assert "service clock" in found.stdout

    def test_it_takes_the_settings_of_serve_from_the_environment(self):
        """As the systemd unit has them where nobody wrote a file."""
        variables = {"ENERGY_ANNOTATOR_SAMPLES_KIND": "influxdb", "ENERGY_INFLUX_URL": "http://127.0.0.1:1"}
        found = command("doctor", "--url", "http://127.0.0.1:1", **variables)
        assert (found.returncode, "FAIL InfluxDB: " in found.stdout) == (3, True), found

    @pytest.mark.parametrize(("url", "sent"), [(None, "of-the-service"), ("http://other", None)])
    def test_the_services_own_token_goes_to_the_service_of_this_machine_alone(self, monkeypatch, url, sent):
        asked = []
        monkeypatch.setenv("ENERGY_ANNOTATOR_TOKEN", "of-the-service")
        monkeypatch.setenv("ENERGY_ANNOTATOR_SAMPLES_KIND", "influxdb")
        monkeypatch.setenv("ENERGY_INFLUX_URL", "http://127.0.0.1:1")
        monkeypatch.setattr(
            "energyrecorder_annotator.running_service.RunningService", lambda *given: asked.append(given)
        )
        monkeypatch.setattr("energyrecorder_annotator.doctor.examine.examine", lambda *_, **__: [])
        doctor.main([] if url is None else ["--url", url], standalone_mode=False)
        assert asked == [(url or DEFAULT_URL, sent)]

    def test_it_says_that_nobody_answers(self):
        found = command("doctor", "--url", "http://127.0.0.1:1")
        assert found.returncode == 3
        assert found.stdout.startswith("FAIL service: cannot reach http://127.0.0.1:1: connection refused; ")

    @pytest.mark.parametrize("option", ["--url", "--grafana"])
    @pytest.mark.parametrize("url", ["nonsense", "ftp://h", "http://", "http://h:99999", "http://h:0"])
    def test_a_malformed_url_is_a_mistake_of_the_caller(self, option, url):
        found = command("doctor", option, url)
        assert (found.returncode, found.stdout) == (2, "")
        assert found.stderr.startswith(f"E! {option}")
        assert f" is {url!r}; allowed: an http:// or https:// URL" in found.stderr
        assert found.stderr.count("\n") == 1

    def test_a_malformed_url_in_the_environment_is_named_by_its_variable(self):
        found = command("doctor", ENERGY_URL="nonsense")
        assert (found.returncode, "--url or ENERGY_URL is 'nonsense'" in found.stderr) == (2, True)

    @pytest.mark.parametrize("answer", ["<html>hello</html>", [1], {"status": "ok"}])
    def test_another_service_is_told_as_such(self, answer):
        with FakeServer(lambda *_: (200, answer, {})) as other:
            found = command("doctor", "--url", other.url)
        assert (found.returncode, found.stderr) == (3, "")
        line = found.stdout.splitlines()[0]
        assert line.startswith("FAIL service: what answers is no energy-annotator: HTTP 200: ")

    def test_it_says_when_the_token_is_wrong_and_no_sample_comes(self, tmp_path):
        with running(tmp_path, environ={"ENERGY_ANNOTATOR_TOKEN": "right"}) as annotator:
            url = f"http://127.0.0.1:{annotator.port}"
            wrong = command("doctor", "--url", url, ENERGY_TOKEN="wrong")
            assert (wrong.returncode, "FAIL token" in wrong.stdout) == (3, True)
            right = command("doctor", "--url", url, ENERGY_TOKEN="right")
            assert (right.returncode, "FAIL samples" in right.stdout) == (3, True)

    @pytest.mark.parametrize(
        ("off_s", "ok", "told"), [(120, False, "is ahead"), (-120, False, "is behind"), (0, True, "after")]
    )
    def test_it_compares_the_collectors_clock(self, tmp_path, off_s, ok, told):
        plugin = tmp_path / "off.py"
        plugin.write_text(
            f"import time\nwhile True:\n    now = time.time_ns() + {off_s} * 10**9\n"
            "    print(f'server_power,env=pod1,server=n1,scope=server watts=1 {now}', flush=True)\n"
            "    time.sleep(0.2)\n"
        )
        with running(tmp_path, commands=[(sys.executable, plugin)]) as annotator:
            client = annotator.client()
            annotator.until(lambda: client.get("/healthz")["samples"]["stored"])
            found = list(examine(None, RunningService(f"http://127.0.0.1:{annotator.port}", None)))
        [clock] = [one for one in found if one.what == "collector clock"]
        assert (clock.ok, told in clock.text) == (ok, True), clock

    @pytest.mark.parametrize(("off_s", "ok"), [(0, True), (100, False), (-100, False)])
    def test_it_compares_influxdbs_clock(self, tmp_path, off_s, ok):
        def answer(*_):
            return 204, b"", {"Date": email.utils.formatdate(time.time() + off_s, usegmt=True)}

        with FakeServer(answer) as server:
            config = config_file(tmp_path, more=f'[influxdb]\nurl = "{server.url}"\n')
            settings = load_config(config=str(config), fleet=None, environ={}, flags={})
            found = list(examine(settings, RunningService("http://127.0.0.1:1", None)))
        [influxdb] = [one for one in found if one.what == "InfluxDB"]
        assert influxdb.ok == ok, influxdb
        assert "its clock is" in influxdb.text
        assert ("NTP" in influxdb.text) is not ok


def test_results_are_computed_anew_on_demand(annotator):
    client = annotator.client()
    run_id, _ = begin(client, "pod1")
    client.post(f"/v1/steps/{run_id}/stop", {"outcome": "passed"})
    annotator.until(lambda: client.get(f"/v1/runs/{run_id}")["run"]["result"])
    url = f"http://127.0.0.1:{annotator.port}"
    done = command("recompute", "--url", url, "--run", run_id)
    assert (done.returncode, done.stdout) == (0, "1 steps are computed anew\n")
    elsewhere = command("recompute", "--url", url, "--step-id", run_id, "--env", "pod2")
    assert elsewhere.stdout == "0 steps are computed anew\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "name the steps by --run, --step-id, --env, --scenario, --from or --to"),
        (("--from", "yesterday"), "--from is 'yesterday'; allowed: ISO 8601 with a zone"),
        (("--to", "1767225600"), "--to is '1767225600', which counts seconds; allowed: ISO 8601 with a zone"),
        (("--env", ""), "the service answers 422: env: "),
    ],
)
def test_a_mistake_in_recompute_is_one_of_the_caller(annotator, arguments, told):
    refused = command("recompute", "--url", f"http://127.0.0.1:{annotator.port}", *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert told in refused.stderr


def test_a_backup_of_a_running_service_holds_every_step(annotator, tmp_path):
    client = annotator.client()
    ids = {begin(client, "backed-up")[0] for _ in range(20)}
    state = annotator.directory / "state"
    target = tmp_path / "backup"
    made = command("backup", target, "--state", state)
    assert made.returncode == 0, made.stderr
    assert {path.name for path in target.iterdir()} == {"annotator.db", "samples.db"}
    refused = command("backup", "/proc/backup", "--state", state)
    assert (refused.returncode, refused.stderr) == (
        2,
        "E! backup to '/proc/backup' failed: No such file or directory\n",
    )
    again = command("backup", target, "--state", state)
    assert (again.returncode, "there already" in again.stderr) == (2, True)
    with closing(sqlite3.connect(target / "annotator.db")) as copy:
        found = {row[0] for row in copy.execute("SELECT step_id FROM steps WHERE env = 'backed-up'")}
    assert found == ids


def test_migrate_wants_the_service_to_be_stopped(annotator, tmp_path):
    refused = command("migrate", "--state", annotator.directory / "state")
    assert (refused.returncode, "in use" in refused.stderr) == (2, True)
    assert command("migrate", "--state", tmp_path).returncode == 0
    assert (tmp_path / "annotator.db").exists()


def test_sighup_takes_new_settings_over_and_keeps_the_old_ones_for_bad_ones(tmp_path):
    with running(tmp_path) as annotator:
        client = annotator.client()
        config_file(tmp_path, more='[env_aliases]\n"x-*" = "pod1"\n[store]\npath = "/elsewhere.db"\n')
        annotator.process.send_signal(signal.SIGHUP)
        annotator.until(lambda: any("only after a restart: [store] path" in line for line in annotator.log))
        assert begin(client, "x-1")[1]["env"] == "pod1"
        config_file(tmp_path, more="[listen]\nprot = 1\n")
        annotator.process.send_signal(signal.SIGHUP)
        annotator.until(lambda: any("'prot'" in line and "stay" in line for line in annotator.log))
        assert begin(client, "x-1")[1]["env"] == "pod1"


def test_https_by_certificate_files(tmp_path):
    authority = trustme.CA()
    bundle = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(bundle)
    with running(tmp_path, more=f'[listen]\ntls_certificate = "{bundle}"\n') as annotator:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        url = f"https://127.0.0.1:{annotator.port}/healthz"
        with urllib.request.urlopen(url, context=context, timeout=60) as answer:
            assert json.load(answer)["status"] == "ok"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"certificate": "/nowhere.pem"}, "'/nowhere.pem' (key '/nowhere.pem') cannot be used: No such file"),
        ({"key": "/nowhere.pem"}, "tls_certificate is not"),
        ({"certificate": "empty.pem"}, "cannot be used: no certificate or no key in it (PEM)"),
        ({"certificate": "one.pem", "key": "other.key"}, "cannot be used: they do not fit"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_one_line(tmp_path, monkeypatch, keys, told):
    monkeypatch.chdir(tmp_path)
    authority = trustme.CA()
    authority.issue_cert("a.example").cert_chain_pems[0].write_to_path("one.pem")
    authority.issue_cert("b.example").private_key_pem.write_to_path("other.key")
    (tmp_path / "empty.pem").touch()
    more = "[listen]\n" + "".join(f'tls_{key} = "{name}"\n' for key, name in keys.items())
    refused = command("serve", "--config", config_file(tmp_path, more=more), "--state", "s", "--port", "0")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert told in refused.stderr


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("127.0.0.1", "Address already in use; choose another --port"),
        # TEST-NET-1, which no machine has.
        ("192.0.2.1", "choose another --host"),
    ],
)
def test_an_address_that_cannot_be_had_is_told_with_what_to_change(tmp_path, annotator, host, told):
    listen = ("--host", host, "--port", annotator.port, "--insecure")
    refused = command("serve", "--config", config_file(tmp_path), "--state", tmp_path / "state", *listen)
    assert refused.returncode == 2
    assert refused.stderr.endswith(f"{told}\n")


def test_a_damaged_token_file_is_one_line(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    (state / "tokens.json").write_text("{")
    refused = command("serve", "--config", config_file(tmp_path), "--state", state, "--port", "0")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "tokens.json' cannot be read: it is damaged; restore it" in refused.stderr


def test_it_ends_whatever_its_plugin_does(tmp_path):
    """5 s after the signal, which only an idle machine would show: see `test_host` for the times."""
    deaf = tmp_path / "deaf.py"
    deaf.write_text(DEAF)
    with running(tmp_path, commands=[(sys.executable, deaf)]) as annotator:
        client = annotator.client()
        annotator.until(lambda: client.get("/healthz")["plugins"][0]["running"])
        assert annotator.stop() == 0


def test_foreign_text_forges_no_line_of_the_log(tmp_path):
    forged = tmp_path / "forged.py"
    forged.write_text('import sys, time\nprint("bad\\rE! forged", flush=True)\nsys.stdin.read()\n')
    with running(tmp_path, commands=[(sys.executable, forged)]) as annotator:
        client = annotator.client()
        client.ask(
            "POST", "/v1/steps", {"env": "a\nE! forged", "scenario": "s", "step_id": new_id(), "ttl_s": 0.1}
        )
        annotator.until(lambda: any("skipped" in line for line in annotator.log))
        annotator.until(lambda: any("is lost" in line for line in annotator.log))
        assert not [line for line in annotator.log if line.startswith("E! forged")]


def test_a_log_file_of_json_lines_is_opened_anew_where_it_was_moved_away(tmp_path):
    path = tmp_path / "annotator.log"
    annotator = Annotator(
        [
            *("--config", str(config_file(tmp_path)), "--state", str(tmp_path / "state")),
            *("--log-format", "json", "--log-file", str(path)),
        ]
    )
    try:
        annotator.until(lambda: path.exists() and "listening" in path.read_text())
        assert json.loads(path.read_text().splitlines()[0])["level"]
        path.rename(tmp_path / "annotator.log.1")
        annotator.process.send_signal(signal.SIGHUP)
        annotator.until(path.exists)
        annotator.until(lambda: [json.loads(line) for line in path.read_text().splitlines()])
    finally:
        annotator.stop()


def test_the_systemd_unit_starts_reloads_and_waits_as_the_service_does():
    text = (Path(__file__).resolve().parents[2] / "deploy" / "energy-annotator.service").read_text()
    unit = configparser.RawConfigParser()
    unit.optionxform = str
    unit.read_string(text)
    service = unit["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert (Path(program).name, arguments) == ("energy-annotator", ["serve"])
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert int(service["TimeoutStopSec"]) > 5, "a graceful stop takes up to 5 s"
    assert service["StateDirectory"] == "energyrecorder", "which ENERGY_STATE_DIR's default follows"


def test_tokens_allow_to_listen_beyond_this_machine(tmp_path):
    state = tmp_path / "state"
    assert command("token", "--state", state, "create", "a").returncode == 0
    config = config_file(tmp_path)
    annotator = Annotator(["--config", str(config), "--state", str(state), "--host", "0.0.0.0"])  # noqa: S104  # must be refused: nothing listens there
    try:
        annotator.wait_until_listening()
        assert annotator.client(None).ask("GET", "/v1/runs")[0] == 401
    finally:
        assert annotator.stop() == 0
