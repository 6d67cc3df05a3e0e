"""`deploy/smoke-grafana.sh` against a small server that answers as Grafana does and asks a real InfluxDB."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from grafana_data import demo_lines, now_ms
from grafana_queries import DASHBOARDS, dashboards
from support.tools import need

ROOT = Path(__file__).resolve().parent.parent.parent
DATABASE = "smoke"
BOARDS = dashboards()
PAGE = "<html><body><h2>{title}</h2>{error}</body></html>"
ERROR = '<button data-testid="data-testid Panel status error">!</button>'


class FakeGrafana(ThreadingHTTPServer):
    """Health, provisioning, queries and pages; what is in ``missing`` is not there."""

    def __init__(self, influxd, missing=(), broken_page=""):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.influxd, self.missing, self.broken_page = influxd, missing, broken_page
        self.asked = 0


class _Handler(BaseHTTPRequestHandler):
    def _answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self):
        path = self.path.partition("?")[0]
        if self.headers.get("Authorization", "").startswith("Basic ") is False:
            self._answer(401, '{"message": "Unauthorized"}')
        elif path.startswith("/d/"):
            uid = path.removeprefix("/d/")
            error = ERROR if uid == self.server.broken_page else ""
            title = BOARDS[uid]["panels"][0]["title"]
            self._answer(200, PAGE.format(title=title, error=error), "text/html")
        elif any(path.endswith(f"/{name}") for name in self.server.missing):
            self._answer(404, '{"message": "not found"}')
        else:
            self._answer(200, '{"version": "12.4.0", "status": "OK"}')

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        results = {}
        for query in body["queries"]:
            text = query["query"].replace("$timeFilter", "time > now() - 1h")
            text = text.replace("$__interval_ms", "10000").replace("$__interval", "10s")
            self.server.asked += 1
            try:
                self.server.influxd.query(text, DATABASE)
                results[query["refId"]] = {"status": 200}
            except (RuntimeError, OSError) as error:
                results[query["refId"]] = {"status": 400, "error": str(error)}
        broken = any("error" in result for result in results.values())
        self._answer(400 if broken else 200, json.dumps({"results": results}, separators=(",", ":")))

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def grafana(influxd, **state):
    server = FakeGrafana(influxd, **state)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def smoke(server):
    environ = {
        **os.environ,
        "GRAFANA_URL": f"http://127.0.0.1:{server.server_address[1]}",
        "GRAFANA_PASSWORD": "smoke-password",
        "SMOKE_SETTLE_S": "0.2",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        [ROOT / "deploy" / "smoke-grafana.sh"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert "smoke-password" not in done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def filled(influxd):
    need("chromium")
    influxd.fill(DATABASE, demo_lines(now_ms()))
    return influxd


@pytest.mark.timeout(240)
def test_all_is_well(filled):
    """Every dashboard, every query, every page."""
    with grafana(filled) as server:
        done = smoke(server)
    assert done.returncode == 0, done.stdout + done.stderr
    targets = sum(len(panel["targets"]) for board in BOARDS.values() for panel in board["panels"])
    assert server.asked == targets
    for uid in BOARDS:
        assert f"{uid}: provisioned, all queries accepted" in done.stdout
        assert f"{uid}: drawn" in done.stdout


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"missing": ("health",)}, "no Grafana answers"),
        ({"missing": ("energy-fleet",)}, "energy-fleet: not provisioned"),
        ({"missing": ("energy-step-lost",)}, "alert rule energy-step-lost: not provisioned"),
        ({"broken_page": "energy-trend"}, "energy-trend: 1 panels show an error"),
    ],
)
def test_what_is_missing_is_named(filled, state, said):
    with grafana(filled, **state) as server:
        done = smoke(server)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


@pytest.mark.timeout(240)
def test_a_refused_query_is_named(influxd_of_its_own):
    """InfluxDB without our database."""
    influxd_of_its_own.stop()
    with grafana(influxd_of_its_own) as server:
        done = smoke(server)
    assert done.returncode != 0
    assert "a query fails" in done.stderr


def test_the_matrix_runs_it_with_the_grafanas_that_are_met():
    """11.6, 12.4 and 13; the script that it runs passes shellcheck."""
    workflow = ROOT / ".github" / "workflows" / "grafana.yml"
    command = ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", workflow]
    shells = [ROOT / "deploy" / name for name in ("smoke-grafana.sh", "up.sh")]
    for words in (command, ["shellcheck", *shells, ROOT / "tools" / "install_servers.sh"]):
        program, *arguments = words
        done = subprocess.run(
            [Path(sys.executable).parent / program, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    text = workflow.read_text(encoding="utf-8")
    assert all(f'"{version}.' in text for version in ("11.6", "12.4"))
    assert '"13.' in text
    assert "deploy/smoke-grafana.sh" in text
    assert (DASHBOARDS / "provisioning" / "alerting" / "energy.json").is_file()
