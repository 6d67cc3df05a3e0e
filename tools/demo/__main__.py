"""`make demo`: six simulated servers, two test runs with a hard reboot between them, one report.

Everything on the way is the real product: the collector reads the servers over TLS and RMCP+, the annotator
hosts it, the test suite uses the SDK's decorators, one step is recorded by ``energy-step run``. Leaves
build/demo/report.html and build/demo/result.json; exits 1 if a step is missing or its interval does not
cover the truth.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from demo.lab import BIN, Lab, LabError
from demo.outcome import judge, print_table, result_json, wait_for_outcome
from demo.page import write_report
from demo.progress import Progress
from energyrecorder_analysis.report.model import ReportMark

HERE = Path(__file__).resolve().parent
OUT = HERE.parent.parent / "build" / "demo"
REBOOTED = ("dell-1", "lenovo-1", "ipmi-dcmi-1", "ipmi-sdr-1")
REBOOT_S = 8.0
SETTLE_S = 4.0
RESULT_TIMEOUT_S = 60.0
SENSORS = """
These sensors renew every 1 or 2 s (10 s on the iLO servers). Most real ones take 10 to 30 s: there a step
should last a minute or more, or be repeated inside one bracket (energy-step run --min-duration).
"""


def main() -> int:
    """Run the demo; Ctrl-C ends everything it started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    try:
        return _demo()
    except KeyboardInterrupt:
        print("\nstopped; nothing is left running")
        return 130
    except LabError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1


def _demo() -> int:
    print("energyrecorder demo: six simulated servers (Redfish, iLO, IPMI), two test runs, about two minutes")
    with Lab(OUT / "lab", HERE / "sim.toml", interval="1s") as lab, Progress(lab) as progress:
        progress.say(f"{len(lab.bmcs)} servers are up, the annotator listens on {lab.url}")
        _wait_for_first_samples(lab)
        time.sleep(SETTLE_S)
        _job(lab, [sys.executable, "-m", "demo.functest"])
        workload = [sys.executable, "-m", "demo.workload", "--extra-w", "60", "--for-s", "12"]
        _job(
            lab,
            [str(BIN / "energy-step"), "run", "--scenario", "vnf_bench", "--step", "iperf", "--", *workload],
        )
        progress.say(f"hard reboot of {', '.join(REBOOTED)}: {REBOOT_S:g} s without power")
        marks = [_reboot(lab, server) for server in REBOOTED]
        time.sleep(REBOOT_S + SETTLE_S)
        _job(lab, [sys.executable, "-m", "demo.functest", "--steps", "2"])
        progress.say("waiting until every server's readings cover the last step")
        outcome = wait_for_outcome(lab, deadline=time.monotonic() + RESULT_TIMEOUT_S)
        result = result_json(lab, outcome)
        write_report(lab, outcome, marks, OUT / "report.html")
    (OUT / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print_table(outcome)
    print(SENSORS)
    print(f"report: {os.path.relpath(OUT / 'report.html')}")
    return judge(outcome)


def _reboot(lab: Lab, server: str) -> ReportMark:
    lab.reboot(server, off_s=REBOOT_S, standby_w=0.0)
    return ReportMark(at_ns=time.time_ns(), title=f"{server}: hard reboot", kind="power")


def _wait_for_first_samples(lab: Lab) -> None:
    deadline = time.monotonic() + 30
    while True:
        series = lab.get("/v1/power", env="demo", max_points=10)["series"]
        if len({one["server"] for one in series if one["points"]}) == len(lab.bmcs):
            return
        if time.monotonic() > deadline:
            raise LabError(f"only {len(series)} of {len(lab.bmcs)} servers gave a reading; see {lab.folder}")
        time.sleep(0.2)


def _job(lab: Lab, command: list[str]) -> None:
    """Run one test job as a CI system would: its environment says where the annotator is."""
    environ = {**lab.environ(), "PYTHONPATH": str(HERE.parent)}
    subprocess.run(command, env=environ, check=True, timeout=120)


if __name__ == "__main__":
    sys.exit(main())
