"""`deploy/smoke-grafana.sh` against a small server that answers as Grafana does and asks a real InfluxDB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from grafana_data import demo_lines, now_ms
from grafana_queries import DASHBOARDS, dashboards
from support.fake_server import FakeServer
from support.tools import need

ROOT = Path(__file__).resolve().parent.parent.parent
DATABASE = "smoke"
BOARDS = dashboards()
PAGE = "<html><body><h2>{title}</h2>{error}</body></html>"
ERROR = '<button data-testid="data-testid Panel status error">!</button>'


class FakeGrafana(FakeServer):
    """Health, provisioning, queries and pages; what is in ``missing`` is not there."""

    def __init__(self, influxd, missing=(), broken_page=""):
        self.influxd, self.missing, self.broken_page = influxd, missing, broken_page
        self.asked = 0
        super().__init__(self._answer)

    def _answer(self, method, path, _query, body, headers):
        if method == "POST":
            return self._queried(json.loads(body)["queries"])
        if not headers.get("Authorization", "").startswith("Basic "):
            return 401, {"message": "Unauthorized"}, {}
        if path.startswith("/d/"):
            uid = path.removeprefix("/d/")
            error = ERROR if uid == self.broken_page else ""
            page = PAGE.format(title=BOARDS[uid]["panels"][0]["title"], error=error)
            return 200, page.encode(), {"Content-Type": "text/html"}
        if any(path.endswith(f"/{name}") for name in self.missing):
            return 404, {"message": "not found"}, {}
        return 200, {"version": "12.4.0", "status": "OK"}, {}

    def _queried(self, queries):
        results = {}
        for query in queries:
            text = query["query"].replace("$timeFilter", "time > now() - 1h")
            text = text.replace("$__interval_ms", "10000").replace("$__interval", "10s")
            self.asked += 1
            try:
                self.influxd.query(text, DATABASE)
                results[query["refId"]] = {"status": 200}
            except (RuntimeError, OSError) as error:
                results[query["refId"]] = {"status": 400, "error": str(error)}
        broken = any("error" in result for result in results.values())
        return 400 if broken else 200, {"results": results}, {}


def smoke(server):
    environ = {
        **os.environ,
        "GRAFANA_URL": server.url,
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
    with FakeGrafana(filled) as server:
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
    with FakeGrafana(filled, **state) as server:
        done = smoke(server)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


@pytest.mark.timeout(240)
def test_a_refused_query_is_named(influxd_of_its_own):
    """InfluxDB without our database."""
    influxd_of_its_own.stop()
    with FakeGrafana(influxd_of_its_own) as server:
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
