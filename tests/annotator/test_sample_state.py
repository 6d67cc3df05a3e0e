"""What a start is told of the samples that its energy will be made of."""

import pytest

from energyrecorder_annotator.api.sample_state import AHEAD_NS, STALE_NS, sample_state
from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.samples.base import Batch, Reading
from energyrecorder_annotator.samples.freshness import Freshness

NOW_NS = 1_800_000_000 * 10**9
STEP = Step(
    step_id="s", run_id="s", parent_id=None, env="pod1", scenario="functest", step=None, start_ns=NOW_NS
)


@pytest.mark.parametrize(
    ("age_ns", "warnings"),
    [
        (0, []),
        (STALE_NS, []),
        (STALE_NS + 1, ["no sample for 60 s from 'n1'"]),
        (-AHEAD_NS, []),
        (-AHEAD_NS - 1, ["samples of 'n1' are ahead of this service's clock: see doctor"]),
    ],
)
def test_samples_that_are_old_or_of_the_future_are_told_of(age_ns, warnings):
    """A collector whose clock is off gives a step the energy of another moment."""
    freshness = Freshness()
    freshness.add(Batch(readings=[Reading("pod1", "n1", "server", None, NOW_NS - age_ns, 100.0)]))
    told = sample_state(STEP, freshness, NOW_NS)
    assert (told["servers"], told["warnings"]) == (1, warnings)
    assert told["last_sample_age_s"] == max(age_ns, 0) / 1e9
