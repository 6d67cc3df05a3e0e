"""`energy-annotator grafana-setup` against a small server that answers as Grafana does."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

PASSWORD = "admin-of-grafana-1"


class FakeGrafana(ThreadingHTTPServer):
    """Service accounts, health, plugin and data source; ``broken`` maps a path to a status."""

    def __init__(self, **state):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.version = state.get("version", "11.6.0")
        self.accounts = state.get("accounts", [])
        self.broken = state.get("broken", {})
        self.tokens = []
        self.roles = []


class _Handler(BaseHTTPRequestHandler):
    def _answer(self, status, body):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _allowed(self, path):
        sent = self.headers.get("Authorization", "")
        right = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        if path != "/api/health" and sent != f"Basic {right}":
            self._answer(401, {"message": "Invalid username or password"})
            return False
        if path in self.server.broken:
            self._answer(self.server.broken[path], {"message": "no"})
            return False
        return True

    def do_GET(self):
        path = self.path.partition("?")[0]
        if not self._allowed(path):
            return
        known = {
            "/api/health": {"database": "ok", "version": self.server.version},
            "/api/plugins/influxdb/settings": {"id": "influxdb", "enabled": True},
            "/api/datasources/uid/energy-influxdb/health": {"status": "OK"},
            "/api/serviceaccounts/search": {"serviceAccounts": self.server.accounts},
        }
        self._answer(200, known[path])

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._allowed(self.path):
            return
        if self.path == "/api/serviceaccounts":
            self.server.accounts.append({"id": 7, "name": body["name"]})
            self.server.roles.append(body["role"])
            self._answer(201, {"id": 7})
        else:
            assert self.path == "/api/serviceaccounts/7/tokens"
            self.server.tokens.append(body["name"])
            self._answer(200, {"id": 1, "key": f"glsa_{len(self.server.tokens)}"})

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def grafana(**state):
    server = FakeGrafana(**state)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def setup(url, *arguments, password=PASSWORD):
    environ = {**os.environ, "GRAFANA_ADMIN_PASSWORD": password}
    command = [sys.executable, "-m", "energyrecorder_annotator", "grafana-setup", "--url", url, *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert PASSWORD not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def url_of(server):
    return f"http://127.0.0.1:{server.server_address[1]}"


def test_the_first_time_makes_an_account_and_the_second_a_token_alone(tmp_path):
    """The token is in a file for its owner, never on the terminal."""
    with grafana() as server:
        for number in (1, 2):
            file = tmp_path / f"token{number}"
            done = setup(url_of(server), "--token-file", file)
            assert done.returncode == 0, done.stderr
            assert file.read_text() == f"glsa_{number}\n"
            assert file.stat().st_mode & 0o777 == 0o600
            assert "glsa_" not in done.stdout
            assert f"{{file={file}}}" in done.stdout
        assert server.roles == ["Editor"]
        assert len(set(server.tokens)) == 2
        assert setup(url_of(server), "--token-file", file).returncode == 2
        assert len(server.tokens) == 2


def test_looking_makes_nothing():
    with grafana() as server:
        done = setup(url_of(server), "--check")
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
    ],
)
def test_what_is_wrong_is_named(tmp_path, monkeypatch, state, arguments, code, said):
    """One line each; no file is left behind."""
    monkeypatch.chdir(tmp_path)
    with grafana(**state) as server:
        done = setup(url_of(server), *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert not (tmp_path / "t").exists()


def test_nobody_there_and_a_wrong_password(tmp_path):
    with grafana() as server:
        url = url_of(server)
        done = setup(url, "--token-file", tmp_path / "t", password="wrong")
        assert (done.returncode, "an administrator" in done.stderr) == (1, True)
    done = setup(url, "--check")
    assert (done.returncode, "cannot be reached" in done.stderr) == (1, True)
