"""Stand-in for a real test case: the simulated servers draw more power for a while."""

from __future__ import annotations

import argparse
import os
import time

from demo.lab import post


def workload(*, extra_w: float, for_s: float) -> None:
    """Keep every simulated server busy.

    Args:
        extra_w: Power above what the replayed trace shows, watts per server.
        for_s: Seconds; returns when they are over.
    """
    post(f"{os.environ['DEMO_CONTROL']}/load", {"server": "*", "extra_w": extra_w, "for_s": for_s})
    time.sleep(for_s)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extra-w", type=float, required=True)
    parser.add_argument("--for-s", type=float, required=True)
    given = parser.parse_args()
    workload(extra_w=given.extra_w, for_s=given.for_s)
