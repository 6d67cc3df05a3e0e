"""Runs of the past in a real annotator: readings first, then the steps that they belong to."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass, field

from support.annotator import new_id, running

SECOND = 1_000_000_000
SCATTER = (0.0, 0.012, -0.012, 0.005, -0.007, 0.009, -0.004, 0.002, -0.01, 0.007, -0.002, 0.004)
"""Log energies of runs that differ by 1 % or so."""
BOOT_S, TRAFFIC_S, PAUSE_S = 20, 40, 10
FIELDS = 'window_s=1,refresh_s=1,clock="bmc",source="power_control",protocol="redfish"'


@dataclass
class History:
    """Writes runs one after another, from four hours ago on."""

    client: object
    at_s: int = field(default_factory=lambda: int(time.time()) - 4 * 3600)
    posted: int = 0
    written: int = 0
    events: list = field(default_factory=list)

    def run(
        self,
        *,
        watts=(150.0, 300.0),
        servers=("n1", "n2"),
        side="ac",
        lengths=(BOOT_S, TRAFFIC_S),
        scenario="functest",
        env="pod1",
        outcome="passed",
        **more,
    ):
        """Write the readings of one run of two steps, note the steps for `finish`, and return its id.

        Args:
            watts: Power of each server in both steps, before the scatter of runs.
            servers: Each reads half of it.
            side: Side of the power supplies.
            lengths: Of both steps, seconds.
            scenario: Its name.
            env: Its environment.
            outcome: How it ended.
            more: Of the start: tags, group.
        """
        factor = math.exp(SCATTER[self.written % len(SCATTER)])
        self.written += 1
        start_s, boot_s, end_s = self.at_s, self.at_s + lengths[0], self.at_s + sum(lengths)
        lines = [
            f"server_power,env={env},server={server},scope=server "
            f'watts={watts[at_s > boot_s] * factor:.3f},{FIELDS},side="{side}" {at_s * SECOND}'
            for at_s in range(start_s - PAUSE_S // 2, end_s + PAUSE_S // 2)
            for server in servers
        ]
        status, _, raw = self.client.ask("POST", "/v1/samples", "\n".join(lines).encode())
        assert status == 200, raw
        self.posted += len(lines)
        run_id = new_id()
        root = {"env": env, "scenario": scenario, "servers": list(servers), "started_at": start_s * SECOND}
        self.events.append({"op": "start", "step_id": run_id, **root, **more})
        for name, from_s, to_s in (("boot", start_s, boot_s), ("traffic", boot_s, end_s)):
            step_id = new_id()
            inner = {"parent_id": run_id, "step": name, "started_at": from_s * SECOND}
            self.events.append({"op": "start", "step_id": step_id, **root, **inner})
            self.events.append(
                {"op": "stop", "step_id": step_id, "outcome": outcome, "ended_at": to_s * SECOND}
            )
        self.events.append({"op": "stop", "step_id": run_id, "outcome": outcome, "ended_at": end_s * SECOND})
        self.at_s = end_s + PAUSE_S
        return run_id

    def finish(self):
        """Tell the steps once their readings are stored, and wait until each has its result."""
        self.until_stored()
        status, body = self.client.post("/v1/batch", {"items": self.events})
        assert status == 200, body
        assert all(item["status"] < 300 for item in body["items"]), body
        self.until_computed()

    def until_stored(self):
        deadline = time.monotonic() + 30
        while self.client.get("/healthz")["samples"]["stored"] < self.posted:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def until_computed(self):
        """Wait until every run and step has its result."""
        deadline = time.monotonic() + 60
        while any(step["quality"] == "pending" for step in self.client.get("/v1/steps?limit=1000")["steps"]):
            assert time.monotonic() < deadline
            time.sleep(0.1)


@contextlib.contextmanager
def lab(directory, **more):
    """Run an annotator that knows what `write_lab` writes, and yield it with the client."""
    with running(directory, **more) as annotator:
        client = annotator.client()
        ids = write_lab(History(client))
        yield annotator, client, ids


def write_lab(history):
    """Write twelve runs of main and some candidates, by turns, and return ids worth knowing."""
    main = {"tags": {"vcs.ref.head.name": "main"}}
    ids = {}
    for number in range(6):
        history.run(**main)
        history.run(tags={"vcs.ref.head.revision": "5a5e0f" + "0" * 34, "wanted": "yes"})
        history.run(**main)
        history.run(
            watts=(150.0, 345.0), tags={"vcs.ref.head.revision": "bad0bad" + "0" * 33}, group=f"b{number}"
        )
    ids["failed"] = history.run(outcome="failed", **main)
    ids["one"] = history.run(group="one")
    ids["two"] = history.run(watts=(150.0, 345.0), group="two")
    for more in (
        {"servers": ("n3",), "group": "elsewhere"},
        {"lengths": (1, 1), "group": "short"},
        {"side": "dc", "group": "other-side"},
    ):
        # Readings well before and after a run tell how its sensor behaves: another side must not be near.
        history.at_s += 900
        for _ in range(4):
            history.run(**more)
    history.at_s += 900
    ids["secret"] = history.run(env="pod2", group="secret")
    history.finish()
    return ids
