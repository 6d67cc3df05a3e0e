"""What a state file holds costs a walk at most, whatever shape it has."""

from __future__ import annotations

import contextlib
import json
import random

from energyrecorder.errors import BmcError
from support.mutation import mutated
from support.redfish_bench import Bench, two_nodes

MUTATIONS = 1500


async def test_facts_of_any_shape_give_the_right_power_or_none():
    """Types swapped, keys dropped: the nodes of two have their power, and nothing is raised."""
    bench = Bench(two_nodes())
    await bench.poll()
    kept = json.loads(json.dumps(bench.facts))
    drawn = random.Random(2026)
    for _ in range(MUTATIONS):
        facts = mutated(kept, drawn)
        with contextlib.suppress(BmcError):
            # A plan without totals is one, too: the walk that found nothing is repeated after a minute.
            poll, _ = await Bench(two_nodes(), facts=facts if isinstance(facts, dict) else {}).poll()
        assert {reading.watts for reading in poll.readings} <= {300.0, 500.0, 293.0, 493.0}
