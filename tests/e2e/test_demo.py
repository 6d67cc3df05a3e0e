"""`make demo` as a user runs it: six servers, all protocols, intervals that cover the truth, a page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import descendants

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "build" / "demo"
COMMAND = [sys.executable, "-m", "demo"]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def demo():
    """One run of the demo; it promises about two minutes, which a busy machine need not keep."""
    run = subprocess.run(
        COMMAND, cwd=ROOT, env=ENVIRON, capture_output=True, text=True, timeout=900, check=False
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    return run


@pytest.mark.timeout(1000)
def test_the_figures_cover_the_truth(demo):
    """Six servers, three protocols; at least four steps are measurable, and each covers the truth."""
    result = json.loads((OUT / "result.json").read_text())
    assert result["servers"] == 6
    assert result["protocols"] == ["ilo", "ipmi", "redfish"]
    steps = result["steps"]
    assert [step["step"] for step in steps[:5]] == ["vping", "tempest", "rally", "vims", "juju_epc"]
    assert len(steps) == 8
    measurable = [step for step in steps if step["quality"] in ("resolved", "coarse")]
    assert len(measurable) >= 4
    for step in measurable:
        assert abs(step["energy_j"] - step["true_j"]) <= 1.5 * step["u95_j"], step
        assert 0.5 * step["true_j"] < step["energy_j"] < 2 * step["true_j"], step
    for step in steps:
        assert step["duration_s"] > 11.5


@pytest.mark.timeout(1000)
def test_what_is_printed(demo):
    """The terminal shows progress, a table with the truth, and what these sensors mean for short steps."""
    for words in ("servers are up", "hard reboot", "vping", "vnf_bench", "truth", "10 to 30 s", "report:"):
        assert words in demo.stdout
    assert "Traceback" not in demo.stdout + demo.stderr


@pytest.mark.timeout(1000)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_offline_without_errors(demo, browser, scheme, tmp_path):
    """The page is one file: no console error, no request, and it shows curve, steps and table."""
    page = browser.new_page(color_scheme=scheme)
    problems, requests = [], []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((OUT / "report.html").as_uri())
    page.wait_for_load_state("load")
    text = page.inner_text("body")
    page.screenshot(path=str(tmp_path / "report.png"), full_page=True)
    shapes = page.locator("svg path, svg polyline").count()
    page.close()
    assert not problems
    assert requests == [(OUT / "report.html").as_uri()]
    assert shapes >= 7
    for words in ("functest", "rally", "vnf_bench", "Wh"):
        assert words in text


@pytest.mark.timeout(1000)
def test_no_password_is_left_behind(demo):
    """Neither what was printed nor any file of the run holds the servers' password."""
    password = b"simulated-bmcs-only"
    assert password.decode() not in demo.stdout + demo.stderr
    files = [path for path in OUT.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if password in path.read_bytes()]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_leaves_nothing_running(signum):
    """Ctrl-C ends everything the demo started, within seconds."""
    process = subprocess.Popen(COMMAND, cwd=ROOT, env=ENVIRON, stdout=subprocess.PIPE, text=True)
    seen = ""
    while "servers are up" not in seen:
        line = process.stdout.readline()
        assert line, seen
        seen += line
    started = descendants(process.pid)
    assert len(started) >= 2
    process.send_signal(signum)
    process.communicate(timeout=100)
    assert process.returncode in (130, 143)
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
