"""The test suite that `make demo` records: decorators say which step runs, nothing here knows of servers.

``--steps N`` runs the first N steps only.
"""

from __future__ import annotations

import argparse

import energyrecorder as energy
from demo.workload import workload
from energyrecorder import Energy


class Functest:
    """Five test cases of a telco cloud, one after another."""

    case_name = "functest"

    def __init__(self, count: int) -> None:
        cases = (self.vping, self.tempest, self.rally, self.vims, self.juju_epc)
        self.cases = cases[:count]

    @energy.enable_recording
    def run(self) -> None:
        """Run the cases; the scenario gets its name from ``case_name``."""
        for case in self.cases:
            case()

    @energy.set_step("vping")
    def vping(self) -> None:
        """Two small machines talk to each other: next to nothing."""
        workload(extra_w=8, for_s=12)

    @energy.set_step("tempest")
    def tempest(self) -> None:
        """API tests: a moderate load."""
        workload(extra_w=45, for_s=13)

    @energy.set_step("rally")
    def rally(self) -> None:
        """Benchmarks of the control plane: heavy."""
        workload(extra_w=110, for_s=15)

    @energy.set_step("vims")
    def vims(self) -> None:
        """A virtual IMS under signalling load, with a note half-way."""
        workload(extra_w=70, for_s=7)
        Energy.mark("vIMS deployed, traffic starts")
        workload(extra_w=85, for_s=7)

    @energy.set_step("juju_epc")
    def juju_epc(self) -> None:
        """A packet core comes up and idles."""
        workload(extra_w=30, for_s=13)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5)
    Functest(parser.parse_args().steps).run()
