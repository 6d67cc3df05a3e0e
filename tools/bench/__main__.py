"""Measure what the project promises, each figure beside a named peer in the same run.

Writes build/bench/results.json: [{"name", "value", "unit", "peer", "limit", "pass"}]; exits 1 if a limit is
broken. The short rounds of ``--quick`` share their machine with whatever else runs there: they show and
record what misses its limit, and fail only if something cannot be measured at all.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench import (
    annotator,
    dashboards,
    demo,
    energy,
    imports,
    ipmi,
    journal,
    line_writer,
    memory,
    redfish,
    samples,
    sdk,
    under_telegraf,
)
from bench.measure import Figure

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "build" / "bench" / "results.json"


def main() -> int:
    """Run the benchmarks and print one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for CI")
    quick = parser.parse_args().quick
    figures: list[Figure] = []
    for measure in (
        line_writer.measure,
        imports.measure,
        sdk.measure,
        memory.measure,
        annotator.measure,
        journal.measure,
        samples.measure,
        energy.measure,
        redfish.measure,
        under_telegraf.measure,
        ipmi.measure,
        dashboards.measure,
        demo.measure,
    ):
        for figure in measure(quick=quick):
            figures.append(figure)
            print(figure.text(), flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps([figure.as_json() for figure in figures], indent=1) + "\n", encoding="utf-8")
    return 0 if quick or all(figure.passed for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
