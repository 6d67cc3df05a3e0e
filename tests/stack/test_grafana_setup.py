"""`energy-annotator grafana-setup` against a small server that answers as Grafana does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from energyrecorder.errors import EnergyError
from energyrecorder_annotator import grafana_setup
from energyrecorder_annotator.cli.grafana_setup import grafana_setup as grafana_setup_command
from energyrecorder_annotator.doctor.grafana import look
from support.fake_grafana import PASSWORD, FakeGrafana
from support.fake_server import FakeServer


def setup(url, *arguments, password=PASSWORD):
    environ = {**os.environ, "GRAFANA_ADMIN_PASSWORD": password}
    command = [sys.executable, "-m", "energyrecorder_annotator", "grafana-setup", "--url", url, *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert PASSWORD not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_the_first_time_makes_an_account_and_the_second_a_token_alone(tmp_path):
    """The token is in a file for its owner, never on the terminal."""
    with FakeGrafana() as server:
        for number in (1, 2):
            file = tmp_path / f"token{number}"
            done = setup(server.url, "--token-file", file)
            assert done.returncode == 0, done.stderr
            assert file.read_text() == f"glsa_{number}\n"
            assert file.stat().st_mode & 0o777 == 0o600
            assert "glsa_" not in done.stdout
            assert f"{{file={file}}}" in done.stdout
        assert server.roles == ["Editor"]
        assert len(set(server.tokens)) == 2
        assert setup(server.url, "--token-file", file).returncode == 2
        assert len(server.tokens) == 2


def test_looking_makes_nothing():
    with FakeGrafana() as server:
        done = setup(server.url, "--check")
        assert done.returncode == 0
        assert "Grafana 11.6.0" in done.stdout
        assert (server.accounts, server.tokens) == ([], [])


@pytest.mark.parametrize(
    ("state", "arguments", "code", "said"),
    [
        ({"version": "10.4.2"}, ("--check",), 1, "11.0 or newer"),
        ({"broken": {"/api/plugins/influxdb/settings": 404}}, ("--check",), 0, "influxdb: missing"),
        ({"broken": {"/api/datasources/uid/energy-influxdb/health": 404}}, ("--check",), 0, "not there"),
        ({"broken": {"/api/datasources/uid/energy-influxdb/health": 400}}, ("--check",), 0, "HTTP 400"),
        ({"broken": {"/api/serviceaccounts/search": 403}}, ("--token-file", "t"), 1, "an administrator"),
        ({"broken": {"/api/serviceaccounts/search": 429}}, ("--token-file", "t"), 1, "HTTP 429"),
        ({}, (), 2, "--token-file"),
        ({}, ("--token-file", "nowhere/t"), 2, "--token-file: there is no folder 'nowhere'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, monkeypatch, state, arguments, code, said):
    """One line each; no file is left behind."""
    monkeypatch.chdir(tmp_path)
    with FakeGrafana(**state) as server:
        done = setup(server.url, *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(("version", "code"), [("12.4.0", 0), ("10.4.2", 1)])
def test_a_version_that_is_hidden_from_strangers(version, code):
    """``[auth.anonymous] hide_version``: who logs in sees it, who does not is told so."""
    with FakeGrafana(version=version, hidden=True) as server:
        done = setup(server.url, "--check")
        assert (done.returncode, version in done.stdout + done.stderr) == (code, True)
        (finding,) = look(None, server.url)
    assert (finding.ok, "only to a user or a token" in finding.text) == (False, True)


def test_one_that_does_not_answer_in_time_is_named(tmp_path, monkeypatch):
    """By `doctor` and by the setup alike: neither waits for ever."""
    monkeypatch.setattr(grafana_setup, "TIMEOUT_S", 0.2)
    monkeypatch.setenv("GRAFANA_ADMIN_PASSWORD", PASSWORD)
    release = threading.Event()

    def answer(*_):
        release.wait(30)
        return 200, b"{}", {}

    server = FakeServer(answer)
    try:
        (finding,) = look(None, server.url)
        assert (finding.ok, "does not answer in time" in finding.text) == (False, True)
        arguments = ["--url", server.url, "--token-file", str(tmp_path / "t")]
        with pytest.raises(EnergyError, match="does not answer in time"):
            grafana_setup_command.main(arguments, standalone_mode=False)
    finally:
        release.set()
        server.close()


def test_nobody_there_and_a_wrong_password(tmp_path):
    with FakeGrafana() as server:
        url = server.url
        done = setup(url, "--token-file", tmp_path / "t", password="wrong")
        assert (done.returncode, "an administrator" in done.stderr) == (1, True)
    done = setup(url, "--check")
    assert (done.returncode, "cannot be reached: connection refused" in done.stderr) == (1, True)
